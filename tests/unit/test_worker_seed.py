"""When a worker takes the state on its disk for current, when it asks ClickHouse, and when it seeds anew."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from services.worker.engage import engage
from services.worker.memory import ShardMemory
from services.worker.seed import OFFSETS, REMEMBERED, STORED, Place, Seeder
from tests.events import START, TOPIC, change
from tests.unit.test_worker_engage import GRACE, Memory

SHARD, PARTITION = 7, 3
PLACE = Place(PARTITION, "live", SHARD)


class ClickHouse:
    """Holds `stored` changes of the shard, offsets from 0 on."""

    def __init__(self, stored: int) -> None:
        self.stored = stored
        self.asked = 0

    def query(self, sql: str, _parameters: dict[str, Any]) -> SimpleNamespace:
        rows: list[Any]
        if sql == STORED:
            self.asked += 1
            rows = [(self.stored, datetime.fromtimestamp(START, UTC))]
        elif sql == OFFSETS:
            rows = [(f"{TOPIC}/0", self.stored - 1)]
        else:
            assert sql == REMEMBERED
            rows = [tuple(getattr(change(n), f) for f in change(n).__struct_fields__) for n in range(self.stored)]
        return SimpleNamespace(result_rows=rows)


def seeder(clickhouse: ClickHouse, *, changelog: bool = False) -> Seeder:
    return Seeder(lambda: clickhouse, GRACE, changelog=changelog, on_wait=lambda _: None)  # type: ignore[arg-type, return-value]


def fold(state: Memory, first: int, last: int) -> None:
    memory = ShardMemory(state, "live", GRACE)
    engage([change(n) for n in range(first, last)], SHARD, "live", memory)
    memory.write_back()


def sequence(state: Memory) -> int:
    return ShardMemory(state, "live", GRACE).shard.sequence


def come(to: Seeder, state: Memory, offset: int) -> None:
    """A message with that offset."""
    to.follow(PARTITION, offset)
    to.memory(state, PLACE)


@pytest.mark.parametrize(("on_disk", "stored", "seeded"), [(5, 5, False), (3, 5, True), (0, 5, True), (5, 3, True)])
def test_state_that_has_accepted_what_clickhouse_holds_is_current(on_disk: int, stored: int, seeded: bool) -> None:
    state, clickhouse = Memory(), ClickHouse(stored)
    fold(state, 0, on_disk)
    before = dict(state)
    come(seeder(clickhouse), state, 100)
    assert sequence(state) == stored
    assert (dict(state) != before) is seeded
    fold(state, 0, 9)  # what has come before is known
    assert sequence(state) == 9


def test_a_shard_is_asked_for_once_while_its_messages_follow_each_other() -> None:
    state, clickhouse = Memory(), ClickHouse(0)
    ours = seeder(clickhouse)
    for offset in range(100, 110):
        come(ours, state, offset)
        fold(state, offset, offset + 1)
        ours.note(PLACE)
        if offset % 3 == 0:
            clickhouse.stored = sequence(state)
            ours.settle(committed=True)
    assert clickhouse.asked == 1


def test_a_gap_means_that_another_worker_may_have_had_the_partition() -> None:
    state, clickhouse = Memory(), ClickHouse(0)
    ours = seeder(clickhouse)
    come(ours, state, 100)
    fold(state, 0, 2)
    ours.note(PLACE)
    clickhouse.stored = 2
    ours.settle(committed=True)
    clickhouse.stored = 6
    come(ours, state, 105)
    assert sequence(state) == 6


def test_rows_on_their_way_are_no_reason_to_seed() -> None:
    state, clickhouse = Memory(), ClickHouse(0)
    ours = seeder(clickhouse)
    come(ours, state, 100)
    fold(state, 0, 2)
    ours.note(PLACE)
    come(ours, state, 105)  # the log itself has a gap
    assert clickhouse.asked == 2
    assert sequence(state) == 2


def test_after_a_dropped_checkpoint_its_messages_follow_again_and_what_was_seeded_in_it_is_seeded_again() -> None:
    clickhouse = ClickHouse(0)
    ours = seeder(clickhouse)
    state = Memory()
    come(ours, state, 100)
    ours.settle(committed=True)
    come(ours, state, 101)
    ours.settle(committed=False)
    come(ours, state, 101)
    assert clickhouse.asked == 1, "ClickHouse is away: nothing may depend on it now"

    clickhouse.stored = 4
    fresh = seeder(clickhouse)
    come(fresh, state, 101)
    assert sequence(state) == 4
    fresh.settle(committed=False)
    rolled_back = Memory()
    come(fresh, rolled_back, 101)
    assert sequence(rolled_back) == 4


def test_a_changelog_makes_any_state_current() -> None:
    state, clickhouse = Memory(), ClickHouse(9)
    fold(state, 0, 5)
    come(seeder(clickhouse, changelog=True), state, 100)
    assert (sequence(state), clickhouse.asked) == (5, 0)
    come(seeder(clickhouse, changelog=True), empty := Memory(), 100)
    assert sequence(empty) == 9
