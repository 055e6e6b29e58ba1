"""The three-revert rule as Wikipedia words it, case by case."""

from itertools import count

from services.worker.engage import engage
from services.worker.memory import ShardMemory
from services.worker.rows import ALERTS
from tests.events import START, change
from tests.unit.test_worker_engage import GRACE, ROLLBACK, Memory

HOUR, DAY = 3600, 86_400
VANDALISM = "Reverted vandalism by [[Special:Contributions/{0}|{0}]] ([[User talk:{0}|talk]])"


class Page:
    """One page, and the alerts that its reverts raise."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.alerts: list[dict] = []
        self._offsets = count()

    def edit(self, user: str, at: int, comment: str = "copy edit", **changed) -> None:
        one = change(next(self._offsets), user=user, timestamp=START + at, comment=comment, **changed)
        working = ShardMemory(self.memory, "live", GRACE)
        rows = engage([one], 3, "live", working)
        working.write_back()
        self.alerts += [dict(zip(ALERTS.columns, row, strict=True)) for row in rows.alerts]

    def revert(self, user: str, at: int, form: str = ROLLBACK, **changed) -> None:
        """`user` reverts an edit that Other makes just before."""
        self.edit("Other", at - 1)
        self.edit(user, at, form.format("Other"), **changed)

    @property
    def kinds(self) -> list[str]:
        return [alert["kind"].removeprefix("three_revert_") for alert in self.alerts]


def test_three_reverts_are_a_warning_four_a_breach_each_raised_once():
    page = Page()
    for n in range(6):
        page.revert("Al", HOUR * (n + 1))
    assert page.kinds == ["warning", "breach"]
    breach = page.alerts[1]
    assert (breach["user"], breach["reverts"], breach["raised"]) == ("Al", 4, START + 4 * HOUR)
    assert len(breach["rev_ids"]) == 4
    assert "4 reverts" in breach["detail"]


def test_consecutive_reverts_count_once():
    page = Page()
    page.edit("Other", 0)
    for n in range(5):
        page.edit("Al", 60 + n, ROLLBACK.format("Other"))
    assert page.kinds == []


def test_his_own_plain_edit_in_between_does_not_part_a_series():
    page = Page()
    page.edit("Other", 0)
    for n in range(4):
        page.edit("Al", 60 + 2 * n, ROLLBACK.format("Other"))
        page.edit("Al", 61 + 2 * n)
    assert page.kinds == []


def test_another_editor_in_between_parts_a_series():
    page = Page()
    for n in range(3):
        page.edit("Other", 100 * n)
        page.edit("Al", 100 * n + 1, ROLLBACK.format("Other"))
        page.edit("Al", 100 * n + 2, ROLLBACK.format("Other"))
    assert page.kinds == ["warning"]
    assert page.alerts[0]["reverts"] == 3


def test_reverting_oneself_never_counts():
    page = Page()
    for n in range(5):
        page.edit("Other", 100 * n)
        page.edit("Al", 100 * n + 1)
        page.edit("Al", 100 * n + 2, ROLLBACK.format("Al"))
    assert page.kinds == []


def test_a_fourth_revert_after_23_59_is_a_breach_and_after_24_01_is_not():
    inside, outside = Page(), Page()
    for page, fourth in ((inside, DAY - 60), (outside, DAY + 60)):
        for n in range(3):
            page.revert("Al", 1 + n * 10)
        page.revert("Al", 1 + fourth)
    assert inside.kinds == ["warning", "breach"]
    assert outside.kinds == ["warning"]


def test_each_editor_and_each_page_is_counted_by_itself():
    page = Page()
    for n in range(2):
        page.revert("Al", 100 * n + 10)
        page.revert("Bo", 100 * n + 50)
    page.revert("Al", 500, title="Elsewhere")
    assert page.kinds == []


def test_claims_of_vandalism_are_marked_not_believed():
    page = Page()
    for n in range(3):
        page.revert("Al", 100 * (n + 1), VANDALISM)
    page.revert("Al", 400)
    warning, breach = page.alerts
    assert (warning["reverts"], warning["exempt_claims"]) == (3, 3)
    assert (breach["reverts"], breach["exempt_claims"]) == (4, 3)
    assert "exempt" in breach["detail"]


def test_a_rollback_bots_four_in_a_row_are_one():
    page = Page()
    page.edit("~2026-1-1", 0)
    for n in range(4):
        page.edit("RollbackBot", 10 + n, ROLLBACK.format("~2026-1-1"), bot=True)
    assert page.kinds == []


def test_a_later_day_is_counted_and_raised_anew():
    page = Page()
    for day in range(2):
        for n in range(3):
            page.revert("Al", day * 3 * DAY + 100 * (n + 1))
    assert page.kinds == ["warning", "warning"]
    assert len({alert["alert_id"] for alert in page.alerts}) == 2


def test_the_end_of_a_battle_does_not_make_the_watch_forget():
    page = Page()
    for n in range(3):
        page.revert("Al", 100 * (n + 1))
    page.edit("Admin", 500, type="log", log_type="protect", log_action="protect", rev_id=0)
    page.revert("Al", 600)
    assert page.kinds == ["warning", "breach"]


def test_who_stays_as_high_is_not_raised_again_and_after_a_day_below_he_is():
    page = Page()
    for n in range(12):
        page.revert("Al", n * 8 * HOUR + 100)  # three within a day, all the time
    assert page.kinds == ["warning"]
    for n in range(3):
        page.revert("Al", 6 * DAY + 100 * n)
    assert page.kinds == ["warning", "warning"]
