"""Edits joined with what Wikimedia declares of them: in either order, twice, late, or not at all."""

from typing import Any

import msgspec
import pytest

from services.common.change import Change, Origin, shard_of
from services.producer.declared import LONGEST_SECONDS, MOST_KNOWN, SILENCE, SLACK_MS, Declarations
from services.producer.events import Declaration, Dropped, read_event
from services.producer.ledger import Entry, Ledger
from tests.events import TOPIC, change, event_json, revision

PATIENCE = 2.0
DECLARED_TOPIC = TOPIC.replace("recentchange", "revision-create")


class Join:
    """Both streams' events by number, through a ledger, as the producer passes them on; time is told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ledger = Ledger()
        self.declarations = Declarations(PATIENCE, self.now)
        self.left: list[tuple[Change, Entry]] = []

    def edit(self, number: int, *, dt_ms: int = 1_000, **changed: Any) -> None:
        entry = self.ledger.enter(Origin(TOPIC, 0, number), dt_ms, "kept")
        one = change(number, **{"received": dt_ms + 900} | changed)
        self.left += self.declarations.edit(one, entry, dt_ms, self.now)

    def declare(self, number: int, *reverted: int, dt_ms: int = 1_000, offset: int | None = None) -> None:
        told = Declaration("enwiki", 5_000_000 + number, "undo" if reverted else "", list(reverted))
        at = number if offset is None else offset
        entry = self.ledger.enter(Origin(DECLARED_TOPIC, 0, at), dt_ms, told.reason)
        self.left += self.declarations.declaration(told, entry, dt_ms, self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.left += self.declarations.tick(self.now)

    def told(self) -> dict[int, tuple[str, list[int]]]:
        """What each edit that has left was told, by number, in the order of leaving."""
        return {c.source_offset: (c.declared_method, c.declared_rev_ids) for c, _ in self.left}

    def acknowledge(self) -> None:
        for _, entry in self.left:
            entry.settled = True
        self.ledger.advance()

    def position(self, topic: str) -> int:
        """The offset up to which nothing need be read again; -1: nothing."""
        position = self.ledger.positions.get((topic, 0))
        return position.offset if position else -1


def test_a_declaration_after_its_edit_is_told_to_it():
    join = Join()
    join.edit(1)
    assert join.told() == {}
    join.declare(1, 4, 5)
    assert join.told() == {1: ("undo", [4, 5])}


def test_a_declaration_before_its_edit_is_told_to_it():
    join = Join()
    join.declare(1, 4, 5)
    join.edit(1)
    assert join.told() == {1: ("undo", [4, 5])}
    assert (join.declarations.joined, join.declarations.unmatched) == (1, 0)


def test_no_revert_lets_the_edit_go_at_once_in_either_order():
    join = Join()
    join.declare(1)
    join.edit(1)
    join.edit(2)
    join.declare(2)
    assert join.told() == {1: ("", []), 2: ("", [])}
    assert join.declarations.joined == 0


def test_what_follows_in_a_shard_waits_too_and_other_shards_do_not():
    other = next(
        f"Page {n}" for n in range(99) if shard_of("enwiki", f"Page {n}") != shard_of("enwiki", change().title)
    )
    join = Join()
    join.edit(1)
    join.edit(2, type="log", rev_id=0)
    join.edit(3)
    join.edit(4, title=other)
    join.declare(3)
    join.declare(4)
    assert list(join.told()) == [4]
    join.declare(1, 9)
    assert list(join.told()) == [4, 1, 2, 3]


def test_a_declaration_that_comes_twice_counts_once():
    join = Join()
    join.edit(1)
    join.declare(1, 4)
    join.declare(1, 5, offset=2)
    join.edit(2, rev_id=5_000_001)  # and the change of one revision under two ids is told the same
    assert join.told() == {1: ("undo", [4]), 2: ("undo", [4])}
    assert join.declarations.joined == 1
    join.acknowledge()
    assert join.position(DECLARED_TOPIC) == 2


def test_an_edit_waits_for_a_declaration_as_long_as_it_is_told_to():
    join = Join()
    join.declare(0)
    join.edit(1)
    join.wait(PATIENCE - 0.1)
    assert join.told() == {}
    join.wait(0.1)
    assert join.told() == {1: ("", [])}


def test_an_edit_of_the_past_waits_longer_for_one_stream_can_be_far_ahead():
    join = Join()
    join.edit(1, received=10_000_000)
    for number in range(10, 20):
        join.wait(PATIENCE)
        join.declare(number)
    assert join.told() == {}
    join.declare(1, 4)
    assert join.told() == {1: ("undo", [4])}


def test_an_edit_leaves_when_the_other_stream_has_got_past_it():
    join = Join()
    join.edit(1, dt_ms=1_000)
    join.declare(7, dt_ms=1_000 + SLACK_MS - 1)
    join.wait(0)
    assert join.told() == {}
    join.declare(8, dt_ms=1_000 + SLACK_MS)
    join.edit(2, dt_ms=1_000)  # nor does it begin to wait then
    join.wait(0)
    assert list(join.told()) == [1, 2]


def test_a_late_declaration_changes_nothing_and_is_counted():
    join = Join()
    join.edit(1)
    join.wait(PATIENCE)
    join.declare(1, 4)
    join.wait(LONGEST_SECONDS)
    assert join.told() == {1: ("", [])}
    assert (join.declarations.joined, join.declarations.unmatched) == (0, 1)
    join.acknowledge()
    assert join.position(DECLARED_TOPIC) == 1


def test_nothing_waits_once_the_other_stream_is_silent():
    join = Join()
    join.declare(0)
    join.wait(SILENCE)
    join.edit(1)
    assert list(join.told()) == [1]
    join.declare(2)  # it speaks again
    join.edit(3)
    assert list(join.told()) == [1]


def test_a_declaration_is_read_again_after_a_crash_as_long_as_its_edit_would_be():
    join = Join()
    join.declare(1, 4)
    join.ledger.advance()
    assert join.position(DECLARED_TOPIC) == -1, "its edit may still be to come"
    join.edit(1)
    join.ledger.advance()
    assert join.position(DECLARED_TOPIC) == -1, "its edit is on its way"
    join.acknowledge()
    assert (join.position(DECLARED_TOPIC), join.position(TOPIC)) == (1, 1)


def test_without_room_everything_leaves():
    join = Join()
    join.edit(1)
    join.edit(2)
    join.declare(3, 4)
    join.left += join.declarations.release()
    assert list(join.told()) == [1, 2]
    assert join.declarations.holds == 0
    join.acknowledge()
    assert join.position(DECLARED_TOPIC) == 3


def test_what_is_remembered_of_the_other_stream_is_bounded():
    join = Join()
    for number in range(MOST_KNOWN + 10):
        join.declare(number, 4)
    join.wait(0)
    assert join.declarations.unmatched == 10


@pytest.mark.parametrize("order", [None, "sorted"], ids=["as Wikimedia writes it", "in another order of fields"])
def test_a_revert_is_read_as_it_is_declared(order):
    details = {"rev_revert_method": "rollback", "rev_is_exact_revert": True, "rev_reverted_revs": [5, 6]}
    event = revision(7, rev_is_revert=True, rev_revert_details=details)
    reading = read_event(msgspec.json.encode(event, order=order).decode(), 0)
    assert reading.outcome == Declaration("enwiki", 5_000_007, "rollback", [5, 6])
    assert reading.origin == Origin(DECLARED_TOPIC, 0, 7)


def test_most_revisions_are_no_revert_and_what_is_missing_declares_none():
    for changed in ({}, {"rev_is_revert": ...}, {"rev_is_revert": True}):
        reading = read_event(msgspec.json.encode(revision(7, **changed)).decode(), 0)
        assert reading.outcome == Declaration("enwiki", 5_000_007, "", [])
        assert reading.outcome.reason == "no_revert"


def test_canaries_of_both_streams_are_dropped_whatever_else_they_hold():
    assert read_event(msgspec.json.encode(revision(7, meta={"domain": "canary"})).decode(), 0).outcome == Dropped(
        "canary"
    )
    stub = revision(7, meta={"domain": "canary"}, database=..., rev_id=...)
    assert read_event(msgspec.json.encode(stub).decode(), 0).outcome == Dropped("canary")
    assert read_event(event_json(7, meta={"domain": "canary"}, type=..., wiki=...), 0).outcome == Dropped("canary")


@pytest.mark.parametrize(
    "changed",
    [
        {"rev_id": ...},
        {"rev_id": -1},
        {"database": "En Wiki"},
        {"rev_is_revert": True, "rev_revert_details": {"rev_revert_method": "magic", "rev_reverted_revs": []}},
        {"rev_is_revert": True, "rev_revert_details": {"rev_revert_method": "undo", "rev_reverted_revs": [-1]}},
        {"rev_is_revert": True, "rev_revert_details": {"rev_revert_method": "undo"}},
    ],
)
def test_a_faulty_declaration_is_a_dead_letter_of_its_own_stream(changed):
    for order in (None, "sorted"):
        reading = read_event(msgspec.json.encode(revision(7, **changed), order=order).decode(), 0)
        assert reading.outcome.reason == "schema"
        assert reading.origin == Origin(DECLARED_TOPIC, 0, 7)


def test_a_revert_of_very_many_revisions_names_the_newest():
    details = {"rev_revert_method": "manual", "rev_reverted_revs": list(range(1, 1001))}
    reading = read_event(msgspec.json.encode(revision(7, rev_is_revert=True, rev_revert_details=details)).decode(), 0)
    assert reading.outcome.rev_ids == list(range(873, 1001))
