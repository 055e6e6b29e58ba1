"""The worker's fold: deduplication, reverts, windows, lateness, memory; on a dict instead of Quix state."""

import pytest

from services.worker.engage import engage
from services.worker.memory import DictState as Memory
from services.worker.memory import ShardMemory, page_key
from services.worker.rows import EDITS, FRONTS, REVERTS, Table
from services.worker.state import LAYOUT, MEMORY, PAGE_MEMORY, REVISIONS, WINDOW
from tests.events import START, change

GRACE = 3600


def feed(memory: Memory, *changes, source="live"):
    working = ShardMemory(memory, source, GRACE)
    rows = engage(list(changes), 3, source, working)
    working.write_back()
    return rows


def named(table: Table, row: tuple) -> dict:
    return dict(zip(table.columns, row, strict=True))


def fronts(rows) -> dict:
    return {(f["window_start"], f["actor"]): f for f in (named(FRONTS, r) for r in rows.fronts.values())}


def test_one_message_or_many_give_the_same_rows():
    changes = [change(n, timestamp=START + n, user="~2026-1-1" if n % 3 else "Ada Example") for n in range(40)]
    together = feed(Memory(), *changes)
    memory, singly = Memory(), {}
    for one in changes:
        singly |= feed(memory, one).fronts
    assert singly == together.fronts
    assert sum(f["edits"] for f in fronts(together).values()) == 40


def test_a_source_offset_counts_once_however_often_it_comes():
    memory = Memory()
    feed(memory, change(5), change(6))
    again = feed(memory, change(5), change(6))
    assert again.edits == []
    assert again.fronts == {}


def test_one_id_at_two_offsets_counts_once_and_is_kept_as_a_duplicate():
    memory = Memory()
    first = change(5)
    feed(memory, first)
    twin = change(9, meta_id=first.meta_id)
    rows = feed(memory, twin)
    assert rows.edits == []
    assert len(rows.duplicates) == 1
    assert feed(memory, change(10)).edits


def test_the_other_datacenter_counts_offsets_of_its_own():
    memory = Memory()
    feed(memory, change(500))
    rows = feed(memory, change(3, source_topic="eqiad.mediawiki.recentchange"))
    assert len(rows.edits) == 1


def test_a_window_is_upserted_with_a_growing_version():
    memory = Memory()
    first = fronts(feed(memory, change(1, length_old=10, length_new=4)))[START, "person"]
    second = fronts(feed(memory, change(2, type="new", length_old=None, length_new=50)))[START, "person"]
    assert (first["edits"], first["bytes_removed"], first["version"]) == (1, 6, 1)
    assert (second["edits"], second["creations"], second["bytes_added"], second["version"]) == (2, 1, 50, 2)


def test_log_entries_are_stored_but_are_no_edits():
    rows = feed(Memory(), change(1, type="log", log_type="protect"))
    assert len(rows.edits) == 1
    assert rows.fronts == {}


def test_within_grace_a_late_change_updates_its_window_and_beyond_it_is_marked_late():
    memory = Memory()
    feed(memory, change(1))
    feed(memory, change(2, timestamp=START + GRACE + WINDOW - 1))
    inside = feed(memory, change(3))
    assert fronts(inside)[START, "person"]["edits"] == 2
    feed(memory, change(4, timestamp=START + GRACE + WINDOW))
    outside = feed(memory, change(5))
    assert named(EDITS, outside.edits[0])["late"] is True
    assert outside.fronts == {}
    assert len([key for key in memory if key.startswith(b"j%d|" % LAYOUT)]) == 3, "what closed windows counted is gone"


def test_a_replay_of_old_changes_is_not_late_beside_the_live_stream():
    memory = Memory()
    feed(memory, change(1))
    old = change(1, timestamp=START - 10**7, source_topic="replay-x.codfw.mediawiki.recentchange")
    rows = feed(memory, old, source="replay-x")
    assert named(EDITS, rows.edits[0])["late"] is False


def revert(memory: Memory, offset: int, comment: str, **changed) -> dict:
    rows = feed(memory, change(offset, comment=comment, user=changed.pop("user", "Bea Example"), **changed))
    (row,) = rows.reverts
    return named(REVERTS, row)


UNDO = "Undid revision {} by [[Special:Contributions/{}|{}]] ([[User talk:{}|talk]])"
ROLLBACK = (
    "Reverted edits by [[Special:Contributions/{0}|{0}]] ([[User talk:{0}|talk]]) to last version by Cleo Example"
)


def test_an_undo_names_revision_and_editor_and_counts_on_both_sides():
    memory = Memory()
    feed(memory, change(1, user="~2026-1-1"))
    rows = feed(
        memory,
        change(
            2,
            timestamp=START + 30,
            user="Bea Example",
            comment=UNDO.format(5_000_001, "~2026-1-1", "~2026-1-1", "~2026-1-1"),
        ),
    )
    row = named(REVERTS, rows.reverts[0])
    assert (row["reverter"], row["reverted"], row["reverted_actor"]) == ("Bea Example", "~2026-1-1", "temporary")
    assert (row["reverted_rev_id"], row["seconds_to_revert"], row["target"]) == (5_000_001, 30, "named")
    assert (row["method"], row["self_revert"]) == ("undo", False)
    counted = fronts(rows)
    assert counted[START + 30, "person"]["reverts"] == 1
    assert counted[START + 30, "temporary"]["reverted"] == 1
    assert counted[START + 30, "temporary"]["version"] == 1


def test_a_rollback_hits_the_newest_revision_of_the_named_editor():
    memory = Memory()
    feed(memory, change(1, user="Dan Example"), change(2, user="Dan Example", timestamp=START + 10))
    row = revert(memory, 3, ROLLBACK.format("Dan Example"), timestamp=START + 15)
    assert (row["reverted_rev_id"], row["seconds_to_revert"], row["method"]) == (5_000_002, 5, "rollback")


def test_a_bare_rv_is_inferred_from_the_revision_that_it_replaced():
    memory = Memory()
    feed(memory, change(1, user="Dan Example"))
    row = revert(memory, 2, "rv", old_rev_id=5_000_001)
    assert (row["reverted"], row["target"], row["method"]) == ("Dan Example", "inferred", "manual")
    unknown = revert(Memory(), 2, "rv", old_rev_id=77)
    assert (unknown["reverted"], unknown["target"], unknown["seconds_to_revert"]) == ("", "unknown", None)


def test_a_bot_keeps_its_class_when_it_is_reverted():
    memory = Memory()
    feed(memory, change(1, user="ExampleBot", bot=True))
    assert revert(memory, 2, ROLLBACK.format("ExampleBot"))["reverted_actor"] == "bot"


def test_a_revision_that_comes_as_two_changes_is_one_revert():
    memory = Memory()
    feed(memory, change(1, user="Dan Example"))
    revert(memory, 2, ROLLBACK.format("Dan Example"))
    again = feed(memory, change(3, comment="rv", user="Bea Example", rev_id=5_000_002))
    assert (len(again.edits), again.reverts) == (1, [])
    assert fronts(again)[START, "person"]["reverts"] == 1


def test_a_declared_revert_counts_though_its_summary_says_nothing():
    memory = Memory()
    feed(memory, change(1, user="~2026-1-1"), change(2, user="~2026-1-1", timestamp=START + 10))
    told = {"declared_method": "rollback", "declared_rev_ids": [5_000_001, 5_000_002]}
    rows = feed(memory, change(3, timestamp=START + 30, user="Bea Example", comment="better", **told))
    row = named(REVERTS, rows.reverts[0])
    assert (row["reverter"], row["reverted"], row["reverted_actor"]) == ("Bea Example", "~2026-1-1", "temporary")
    assert (row["reverted_rev_id"], row["seconds_to_revert"], row["target"]) == (5_000_002, 20, "revision")
    assert (row["method"], row["evidence"], row["version"]) == ("rollback", "declared", 2)
    counted = fronts(rows)
    assert (counted[START + 30, "person"]["reverts"], counted[START + 30, "temporary"]["reverted"]) == (1, 1)
    edit = named(EDITS, rows.edits[0])
    assert (edit["claim_method"], edit["declared_method"]) == ("", "rollback")
    assert edit["declared_rev_ids"] == [5_000_001, 5_000_002]


def test_a_declaration_replaces_the_summary_and_counts_once():
    memory = Memory()
    feed(memory, change(1, user="Dan Example"), change(2, user="Eve Example"))
    told = {"declared_method": "undo", "declared_rev_ids": [5_000_001]}
    rows = feed(memory, change(3, comment="rv", user="Bea Example", old_rev_id=5_000_002, **told))
    (row,) = (named(REVERTS, one) for one in rows.reverts)
    assert (row["reverted"], row["method"], row["evidence"]) == ("Dan Example", "undo", "declared")
    assert fronts(rows)[START, "person"]["reverts"] == 1


@pytest.mark.parametrize(
    ("rev_ids", "comment", "reverted", "rev_id", "target"),
    [
        ([5_000_001, 5_000_002, 5_000_003], "", "Dan Example", 5_000_002, "revision"),  # the newest of another's
        ([5_000_003], "", "Bea Example", 5_000_003, "revision"),  # her own
        ([7, 8], "", "", 8, "unknown"),  # nobody remembers them
        ([7, 8], ROLLBACK.format("Far Example"), "Far Example", 8, "named"),  # but the summary knows
        ([5_000_001], ROLLBACK.format("Cleo Example"), "Cleo Example", 5_000_001, "named"),
        ([5_000_002], ROLLBACK.format("Cleo Example"), "Dan Example", 5_000_002, "revision"),  # Wikimedia knows better
        ([], ROLLBACK.format("Dan Example"), "Dan Example", 5_000_002, "named"),
    ],
)
def test_whom_a_declared_revert_hits(rev_ids, comment, reverted, rev_id, target):
    memory = Memory()
    users = ("Cleo Example", "Dan Example", "Bea Example")
    feed(memory, *(change(number, user=user) for number, user in enumerate(users, 1)))
    row = revert(memory, 4, comment, declared_method="manual", declared_rev_ids=rev_ids)
    assert (row["reverted"], row["reverted_rev_id"], row["target"]) == (reverted, rev_id, target)
    assert row["self_revert"] == (reverted == "Bea Example")
    assert (row["seconds_to_revert"] is None) == (rev_id < 5_000_000)


def test_a_self_revert_is_marked_and_not_counted():
    memory = Memory()
    feed(memory, change(1, user="Bea Example"))
    rows = feed(memory, change(2, user="Bea Example", comment=ROLLBACK.format("Bea Example")))
    assert named(REVERTS, rows.reverts[0])["self_revert"] is True
    counted = fronts(rows)[START, "person"]
    assert (counted["reverts"], counted["reverted"]) == (0, 0)


@pytest.mark.parametrize(("age", "known"), [(MEMORY - 1, True), (MEMORY, False)])
def test_revisions_are_remembered_for_a_day(age, known):
    memory = Memory()
    feed(memory, change(1, user="Dan Example"))
    row = revert(memory, 2, ROLLBACK.format("Dan Example"), timestamp=START + age)
    assert (row["seconds_to_revert"] is not None) is known
    assert row["reverted"] == "Dan Example"


def test_a_page_remembers_its_last_revisions_only():
    memory = Memory()
    feed(memory, *(change(n, user=f"Editor {n}") for n in range(REVISIONS + 1)))
    assert revert(memory, 200, UNDO.format(5_000_000, "X", "X", "X"))["seconds_to_revert"] is None
    assert revert(memory, 201, UNDO.format(5_000_002, "Y", "Y", "Y"))["seconds_to_revert"] == 0


def test_a_page_that_is_edited_daily_does_not_become_a_longer_record_each_day():
    memory, sizes = Memory(), []
    for day in range(30):
        feed(memory, change(day, title="Daily", user="Clock Bot", timestamp=START + day * 86_400))
        sizes += [len(value) for key, value in memory.items() if key.startswith(b"p%d|" % LAYOUT)]
    assert max(sizes[3:]) == max(sizes[:4])


def test_state_is_bounded_quiet_pages_and_closed_windows_are_forgotten():
    memory = Memory()
    for n in range(200):
        feed(memory, change(n, title=f"Quiet {n}"))
    busy = "Busy"
    feed(memory, change(200, title=busy))
    sizes = []
    for n in range(201, 3000):
        feed(memory, change(n, title=f"Page {n}", timestamp=START + (n - 200) * 120))
        if n % 100 == 0:
            feed(memory, change(100_000 + n, title=busy, timestamp=START + (n - 200) * 120, source_partition=1))
        sizes.append(len(memory))
    kept = PAGE_MEMORY // 120
    assert max(sizes) < kept + GRACE // WINDOW + 400
    pages = {key[-12:] for key in memory if key.startswith(b"p%d|" % LAYOUT)}
    assert page_key("enwiki", "Quiet 7") not in pages
    assert page_key("enwiki", busy) in pages


def test_a_fold_that_fails_leaves_the_state_as_it_was():
    memory = Memory()
    feed(memory, change(1))
    before = dict(memory)
    broken = change(4, timestamp=None)
    with pytest.raises(TypeError):
        feed(memory, change(3), broken)
    assert memory == before
