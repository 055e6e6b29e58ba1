"""Edit wars by hand: when a battle brews, opens, is joined and ends; who is on which side; how intense it is."""

import re
from itertools import count

import pytest

from services.common.queries import QUERIES
from services.worker.battles import MOST_FIGHTERS, ROUTINE, is_battlefield, page_kind
from services.worker.engage import engage
from services.worker.memory import ShardMemory
from services.worker.rows import BATTLES
from tests.events import START, change
from tests.unit.test_worker_engage import GRACE, ROLLBACK, Memory

HOUR = 3600


class Page:
    """A page on which people edit and revert each other."""

    def __init__(self, title: str = "Battle of Nowhere", namespace: int = 0) -> None:
        self.title, self.namespace = title, namespace
        self.memory = Memory()
        self.battles: dict = {}
        self.history: list[str] = []  # phases as they were written
        self._offsets = count()

    def do(self, user: str, at: int, comment: str = "copy edit", **changed) -> None:
        one = change(
            next(self._offsets),
            user=user,
            timestamp=START + at,
            comment=comment,
            title=self.title,
            namespace=self.namespace,
            **changed,
        )
        working = ShardMemory(self.memory, "live", GRACE)
        rows = engage([one], 3, "live", working)
        working.write_back()
        for row in rows.battles.values():
            battle = dict(zip(BATTLES.columns, row, strict=True))
            before = self.battles.get(battle["battle_id"])
            assert before is None or battle["version"] > before["version"]
            self.battles[battle["battle_id"]] = battle
            if not self.history or self.history[-1] != battle["phase"]:
                self.history.append(battle["phase"])

    def revert(self, user: str, reverted: str, at: int, **changed) -> None:
        self.do(user, at, ROLLBACK.format(reverted), **changed)

    @property
    def battle(self) -> dict:
        (battle,) = self.battles.values()
        return battle

    @property
    def sides(self) -> dict[str, str]:
        return {fighter[0]: fighter[2] for fighter in self.battle["fighters"]}


def war() -> Page:
    page = Page()
    page.do("Bo", 0)
    page.revert("Al", "Bo", 60)
    page.revert("Bo", "Al", 120)
    page.revert("Al", "Bo", 180)
    return page


def test_one_revert_is_no_battle_an_answer_is_one_brewing_a_third_makes_it_war():
    page = Page()
    page.do("Bo", 0)
    page.revert("Al", "Bo", 60)
    assert page.battles == {}
    page.revert("Bo", "Al", 120)
    assert (page.battle["phase"], page.battle["war"]) == ("brewing", False)
    page.revert("Al", "Bo", 180)
    battle = page.battle
    assert (battle["phase"], battle["war"], battle["alternations"], battle["reverts"]) == ("war", True, 3, 3)
    assert (battle["opened"], battle["declared"], battle["updated"]) == (START + 60, START + 180, START + 180)
    assert page.history == ["brewing", "war"]


def test_a_patroller_who_reverts_one_vandal_after_another_fights_no_war():
    page = Page()
    for n in range(6):
        page.do(f"~2026-{n}-1", n * 100)
        page.revert("Patroller", f"~2026-{n}-1", n * 100 + 50)
    assert page.battles == {}


def test_reverting_oneself_is_no_part_of_it():
    page = Page()
    page.do("Bo", 0)
    for at in (60, 120, 180, 240):
        page.revert("Bo", "Bo", at)
    assert page.battles == {}


def test_alternations_must_lie_within_a_day():
    page = Page()
    page.do("Bo", 0)
    page.revert("Al", "Bo", 60)
    page.revert("Bo", "Al", 60 + 24 * HOUR)
    assert page.battles == {}


def test_allies_are_found_through_whom_they_fight():
    page = war()
    page.revert("Bea", "Al", 240)  # Bo's ally
    page.revert("Ann", "Bea", 300)  # Al's ally
    assert page.sides == {"Al": "first", "Bo": "second", "Bea": "second", "Ann": "first"}


def test_a_revert_between_strangers_on_the_same_page_does_not_join():
    page = war()
    page.do("Vandal", 200)
    page.revert("Patroller", "Vandal", 220)
    assert "Vandal" not in page.sides
    assert page.battle["reverts"] == 3
    assert page.battle["updated"] == START + 180


def test_a_battle_keeps_its_id_and_ends_with_protection():
    page = war()
    page.revert("Bo", "Al", 240)
    page.do("Admin", 300, "edit warring", type="log", log_type="protect", log_action="protect")
    battle = page.battle
    assert (battle["phase"], battle["ended_by"], battle["ended"]) == ("ended", "protection", START + 300)
    assert battle["war"] is True


@pytest.mark.parametrize(
    ("log_type", "log_action"), [("protect", "unprotect"), ("move", "move"), ("delete", "restore")]
)
def test_other_log_entries_do_not_end_it(log_type, log_action):
    page = war()
    page.do("Admin", 300, type="log", log_type=log_type, log_action=log_action)
    assert page.battle["phase"] == "war"


def test_after_a_day_without_an_answer_a_new_war_is_a_new_battle():
    page = war()
    page.do("Cy", 180 + 24 * HOUR + 1)
    (old,) = page.battles.values()
    later = 30 * HOUR
    page.do("Bo", later)
    page.revert("Al", "Bo", later + 60)
    page.revert("Bo", "Al", later + 120)
    assert len(page.battles) == 2
    assert page.battles[old["battle_id"]] == old, "nothing of the new one is added to it"


def test_reverts_that_are_not_answered_do_not_keep_a_battle_alive():
    page = war()
    for hour in range(1, 40):
        page.do(f"~2026-{hour}-1", hour * HOUR)
        page.revert("Al", f"~2026-{hour}-1", hour * HOUR + 60)
    assert (page.battle["updated"], page.battle["reverts"]) == (START + 180, 3)
    assert page.sides == {"Al": "first", "Bo": "second"}
    page.revert("Bo", "Al", 40 * HOUR)
    assert len(page.battles) == 2


def test_protection_after_a_day_of_silence_ended_nothing():
    page = war()
    page.do("Admin", 180 + 24 * HOUR + 1, type="log", log_type="protect", log_action="protect")
    assert page.battle["phase"] == "war"


def test_after_a_protection_nothing_from_before_is_answered():
    page = war()
    page.do("Admin", 300, type="log", log_type="protect", log_action="protect")
    page.revert("Bo", "Al", 400)
    assert page.battle["phase"] == "ended"


def test_what_two_fighters_did_to_each_other_before_the_first_answer_is_of_it():
    page = Page()
    for at in (60, 120, 180):
        page.do("Bo", at - 30)
        page.revert("Al", "Bo", at)
        page.do("Vandal", at + 10)
        page.revert("Al", "Vandal", at + 20)
    page.revert("Bo", "Al", 240)
    assert (page.battle["opened"], page.battle["reverts"], page.battle["phase"]) == (START + 60, 4, "brewing")
    assert page.sides == {"Al": "first", "Bo": "second"}
    assert page.battle["edits"] == 12


def test_the_state_of_a_mobbed_page_is_bounded():
    page = war()
    for n in range(MOST_FIGHTERS + 20):
        page.revert("Al", "Bo", 200 + n)
        page.revert(f"Ally {n}", "Al", 200 + n)
    assert len(page.battle["fighters"]) == MOST_FIGHTERS
    assert page.battle["reverts"] == 2 * MOST_FIGHTERS + 43


def test_sql_knows_the_same_pages_where_reverting_is_routine():
    sql = (QUERIES / "recomputed_battles.sql").read_text(encoding="utf-8")
    (words,) = re.findall(r"multiSearchAny\(lowerUTF8\(title\), \[([^\]]+)\]", sql)
    assert tuple(re.findall(r"'([^']+)'", words)) == ROUTINE


def test_a_quarrel_of_two_has_no_intensity_for_the_top_pair_is_left_out():
    battle = war().battle
    assert battle["intensity"] == 0
    assert battle["editors"] == 2
    assert battle["pairs"] == [("Al", "Bo", 2)]


def test_intensity_is_editors_times_the_weights_below_the_top_pair():
    page = war()
    page.revert("Bea", "Al", 240)
    page.revert("Al", "Bea", 300)
    page.revert("Ann", "Bea", 360)
    page.revert("Bea", "Ann", 420)
    battle = page.battle
    # edits: Al 3, Bo 2, Bea 2, Ann 1; mutual: Al-Bo 2 (top), Al-Bea 2, Ann-Bea 1
    assert [pair[2] for pair in battle["pairs"]] == [2, 2, 1]
    assert (battle["editors"], battle["intensity"]) == (4, 4 * (2 + 1))


def test_exempt_claims_are_counted():
    page = Page()
    page.do("Bo", 0)
    page.revert("Al", "Bo", 60)
    page.revert("Bo", "Al", 120)
    page.do("Al", 180, "Reverted vandalism by [[Special:Contributions/Bo|Bo]] ([[User talk:Bo|talk]])")
    assert page.battle["exempt_claims"] == 1


def test_nobody_fights_a_war_in_a_sandbox_or_on_a_noticeboard():
    assert is_battlefield(0, "Sandbox (video games)")
    assert is_battlefield(1, "Talk:Battle of Nowhere")
    assert not is_battlefield(4, "Wikipedia:Sandbox")
    assert not is_battlefield(4, "Wikipedia:Spielwiese")
    assert not is_battlefield(4, "Wikipedia:Administrators' noticeboard/Incidents")
    assert not is_battlefield(2, "User:Al/Draft")
    page = Page("Wikipedia:Sandbox", 4)
    page.do("Bo", 0)
    for n, (a, b) in enumerate([("Al", "Bo"), ("Bo", "Al"), ("Al", "Bo")]):
        page.revert(a, b, 60 * (n + 1))
    assert page.battles == {}


def test_page_kinds_follow_mediawikis_namespaces():
    assert [page_kind(n) for n in (0, 1, 4, 5, 14, 15)] == ["content", "talk", "project", "talk", "content", "talk"]


def test_hostile_names_do_no_harm():
    page = Page()
    evil, worse = "a|b|\0c", "<script>|" * 20
    page.do(evil, 0)
    page.revert(worse, "x", 30)
    page.do(worse, 40, f"Undid revision {5_000_000} by [[Special:Contributions/{evil}|{evil}]]")
    assert page.battles == {}
