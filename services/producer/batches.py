"""Changes gathered into messages: one message holds changes of one shard, in source order. Pure but for its memory.

A message costs the worker's framework once, however many changes it holds: full messages make catching up
ten times faster, small ones make the live stream fresh. So the size follows the source: while it delivers
slower than CATCHING_UP, whatever is there leaves at each tick; while it delivers faster, messages fill up.
"""

from typing import NamedTuple

from services.common.change import SHARDS, Change, shard_of
from services.producer.ledger import Entry

MOST_CHANGES = 128  # a message; the worker gains little beyond
MOST_CHARACTERS = 200_000  # of titles and comments; keeps messages far below the broker's 1 MB even at 4 bytes each
# Of event time in one message. The worker's page state may be dropped a day after its last use; a message
# that spans days would reach over that edge from both sides.
LONGEST_SPAN = 3600  # seconds
CATCHING_UP = 2000  # changes/s; the live stream's busiest quarter hours have 90
TICK = 0.05  # seconds between looks; live, a change waits for at most one
LONGEST_WAIT = 20  # ticks that a quiet shard waits for company while catching up


class Batch(NamedTuple):
    """One message to be."""

    shard: int
    changes: list[Change]
    entries: list[Entry]


class _Open:
    __slots__ = ("changes", "characters", "entries", "ticks")

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.entries: list[Entry] = []
        self.characters = 0
        self.ticks = 0


class Batches:
    """The open batch of every shard."""

    def __init__(self) -> None:
        self._open = [_Open() for _ in range(SHARDS)]
        self._since_tick = 0

    def add(self, change: Change, entry: Entry) -> list[Batch]:
        """Add a change; returns the batches that this closes: none, one, or two around an oversized change."""
        shard = shard_of(change.wiki, change.title)
        batch = self._open[shard]
        size = len(change.comment) + len(change.title) + len(change.log_params)
        closed: list[Batch] = []
        if batch.changes and (
            batch.characters + size > MOST_CHARACTERS
            or abs(change.timestamp - batch.changes[0].timestamp) > LONGEST_SPAN
        ):
            closed.append(self._close(shard))
            batch = self._open[shard]
        batch.changes.append(change)
        batch.entries.append(entry)
        batch.characters += size
        self._since_tick += 1
        if len(batch.changes) >= MOST_CHANGES or batch.characters > MOST_CHARACTERS:
            closed.append(self._close(shard))
        return closed

    def tick(self) -> list[Batch]:
        """Call every TICK seconds; returns the batches that must leave now."""
        catching_up = self._since_tick > CATCHING_UP * TICK
        self._since_tick = 0
        due = []
        for shard, batch in enumerate(self._open):
            batch.ticks += 1
            if batch.changes and (not catching_up or batch.ticks >= LONGEST_WAIT):
                due.append(shard)
        return [self._close(shard) for shard in due]

    def close_all(self) -> list[Batch]:
        """Everything that is left, at the end."""
        return [self._close(shard) for shard, batch in enumerate(self._open) if batch.changes]

    def _close(self, shard: int) -> Batch:
        batch, self._open[shard] = self._open[shard], _Open()
        return Batch(shard, batch.changes, batch.entries)
