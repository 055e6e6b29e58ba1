"""State from ClickHouse: what a worker must know of a shard that it has no current state for.

The state is a function of the accepted changes, and ClickHouse holds those. So a shard is seeded by folding its
last day of `edits` once more, through the same `engage`, with the result thrown away. This serves a first start
over existing data, a lost state directory, and the embedded run, whose broker keeps no changelogs.

State on this disk is as good as seeded where it has accepted as many changes as ClickHouse holds. So a start after an
orderly end, or after most deaths, seeds nothing.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import OperationalError

from services.common.change import Change
from services.worker.engage import engage
from services.worker.memory import KeyValue, ShardMemory
from services.worker.state import PAGE_MEMORY

BATCH = 5_000  # changes folded between two write-backs
PATIENCE = 240.0  # seconds to wait for ClickHouse; Kafka takes a consumer for dead after 300 without a poll

STORED = """
SELECT max(sequence), maxIf(timestamp, NOT late)
FROM edits
WHERE shard = {shard:UInt8} AND source = {source:String}
"""

OFFSETS = """
SELECT concat(source_topic, '/', toString(source_partition)), max(source_offset)
FROM edits
WHERE shard = {shard:UInt8} AND source = {source:String}
GROUP BY source_topic, source_partition
"""

# Beside the last day, what open battles stand on: all of them and the day before. And of pages with reverts two days: a
# battle that opens later counts edits from a day before its first revert, and the three-revert watch knows how high
# an editor was a day ago.
# Late changes never were in the state. Without FINAL: a row that was written twice has one source offset, and
# `engage` leaves the second out.
REMEMBERED = """
SELECT toString(meta_id), source_topic, source_partition, source_offset, wiki, server_name, namespace, title, type,
       user, actor, comment, toUnixTimestamp(timestamp), toUnixTimestamp64Milli(received), rev_id, old_rev_id,
       length_old, length_new, minor, log_type, log_action, log_params,
       declared_method, declared_rev_ids
FROM edits
WHERE shard = {shard:UInt8} AND source = {source:String} AND NOT late
    AND timestamp >= least(
        {from:DateTime('UTC')} - {memory:UInt32},
        (
            SELECT ifNull(minOrNull(opened), {from:DateTime('UTC')}) - {memory:UInt32}
            FROM battles FINAL
            WHERE updated >= {from:DateTime('UTC')} AND shard = {shard:UInt8} AND source = {source:String}
        )
    )
    AND (
        timestamp >= {from:DateTime('UTC')}
        OR (wiki, title) IN
        (
            SELECT wiki, title
            FROM battles FINAL
            WHERE updated >= {from:DateTime('UTC')} AND shard = {shard:UInt8} AND source = {source:String}
            UNION ALL
            SELECT wiki, title
            FROM reverts
            WHERE toStartOfHour(timestamp) >= toStartOfHour({from:DateTime('UTC')} - {memory:UInt32})
                AND shard = {shard:UInt8} AND source = {source:String}
        )
    )
ORDER BY sequence
"""

log = structlog.get_logger()


class Place(NamedTuple):
    """A shard's state of one source, and the partition that it came from."""

    partition: int
    source: str
    shard: int


class Seeder:
    """Holds the memory of the shards for which this process has current state, and seeds the others."""

    def __init__(
        self, client_factory: Callable[[], Client], grace: int, *, changelog: bool, on_wait: Callable[[str], None]
    ) -> None:
        self._client_factory = client_factory
        self._client: Client | None = None
        self._grace = grace
        self._changelog = changelog
        self._on_wait = on_wait
        self._memories: dict[Place, ShardMemory] = {}
        self._current: set[Place] = set()
        self._current_since: set[Place] = set()  # of these, found so since the last checkpoint
        self._changed: set[tuple[str, int]] = set()  # (source, shard) whose state has changed since then
        self._next: dict[int, int] = {}  # the offset after the last one processed, by partition; at the last checkpoint
        self._next_since: dict[int, int] = {}  # and since

    def follow(self, partition: int, offset: int) -> None:
        """A message comes. Where it does not follow the one before, another worker may have had the partition in
        between, and the state on this disk may be old."""
        if offset != self._next_since.get(partition, self._next.get(partition)):
            self._current = {place for place in self._current if place.partition != partition}
            self._memories = {place: of for place, of in self._memories.items() if place.partition != partition}
        self._next_since[partition] = offset + 1

    def memory(self, state: KeyValue, place: Place) -> ShardMemory:
        """The shard's memory, over `state`; seeded where this process has no current state.

        Raises OperationalError after PATIENCE seconds without ClickHouse.
        """
        memory = self._memories.get(place)
        if memory is None:
            memory = self._memories[place] = self._load(state, place)
        memory.use(state)
        return memory

    def drop(self, place: Place) -> None:
        """The memory is not what the state is any more: load it again."""
        self._memories.pop(place, None)

    def note(self, place: Place) -> None:
        """The shard's state has been changed, and the change is not yet committed."""
        self._changed.add((place.source, place.shard))

    def settle(self, *, committed: bool) -> None:
        """The checkpoint was written, or dropped: then the state goes back with it, and its messages come again."""
        if committed:
            self._next |= self._next_since
        else:
            self._current -= self._current_since
            self._memories.clear()
        self._next_since.clear()
        self._current_since.clear()
        self._changed.clear()

    def _load(self, state: KeyValue, place: Place) -> ShardMemory:
        """From state that is this process's own, or holds just what ClickHouse does; else from ClickHouse.

        A changelog makes any state that is there current. Without one, ClickHouse's newest sequence number tells.
        """
        memory = ShardMemory(state, place.source, self._grace)
        if place in self._current:
            return memory
        sequence = memory.shard.sequence
        if not (self._changelog and sequence > 0):
            stored, newest = self._ask(STORED, shard=place.shard, source=place.source)[0]
            # Fewer in ClickHouse: rows of the open checkpoint are still on the way. Without such rows a crash of the
            # machine took some that were stored; the producer reads them again, and this state would drop them.
            if stored > sequence or (stored < sequence and (place.source, place.shard) not in self._changed):
                began = time.monotonic()
                count = self._seed(memory, place, stored, int(newest.timestamp()))
                seconds = round(time.monotonic() - began, 2)
                log.info("seeded", source=place.source, shard=place.shard, changes=count, seconds=seconds)
        self._current.add(place)
        self._current_since.add(place)
        return memory

    def _seed(self, memory: ShardMemory, place: Place, sequence: int, newest: int) -> int:
        source, shard = place.source, place.shard
        first = newest - PAGE_MEMORY - self._grace
        memory.forget()
        changes = [
            Change(*row)
            for row in self._ask(REMEMBERED, shard=shard, source=source, memory=PAGE_MEMORY, **{"from": first})
        ]
        for start in range(0, len(changes), BATCH):
            self._on_wait(f"seeding shard {shard}: {start} of {len(changes)} changes")
            engage(changes[start : start + BATCH], shard, source, memory)
            memory.write_back()
        memory.shard.sequence = sequence
        memory.shard.offsets = dict(self._ask(OFFSETS, shard=shard, source=source))
        memory.write_back()
        return len(changes)

    def _ask(self, query: str, **parameters: Any) -> list[Any]:
        """Query, waiting for ClickHouse where it is away."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if self._client is None:
                    self._client = self._client_factory()
                return list(self._client.query(query, parameters).result_rows)
            except OperationalError as error:
                self._client = None
                if time.monotonic() > deadline:
                    raise
                self._on_wait(f"ClickHouse is away: {error}")
                time.sleep(1.0)
