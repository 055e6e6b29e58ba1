"""Edits joined with what Wikimedia declares of them, before they take their place in a shard's order. Pure.

The two streams are read over one connection, and which of them tells of a revision first is open. So an edit waits here
for its declaration, and a declaration for its edit. Whatever follows an edit in its shard waits with it: a shard's
changes must leave in source order. What is known when an edit leaves is part of it from then on: it counts once, as a
revert or not, and everything can be recomputed from its row.

Nothing waits long. An edit leaves when the second stream has got past it without a word, and after `patience` seconds
at most, or more while catching up, when one stream can be far ahead of the other and nobody looks at the clock. When
the second stream falls silent, edits pass without waiting.
"""

from collections import deque
from collections.abc import Iterator

import msgspec

from services.common.change import SHARDS, Change, shard_of
from services.producer.events import Declaration
from services.producer.ledger import Entry

# How far apart the two streams' events of one revision stand in Wikimedia's receive time (`meta.dt`), at most.
SLACK_MS = 2_000
# A declaration is forgotten when the edits are so far past it, or after so long, or when there are so many.
LONGEST_MS = 10_000
LONGEST_SECONDS = 30.0
MOST_KNOWN = 50_000
# An edit that arrived so long after Wikimedia received it is from the past; it may wait LONGEST_SECONDS too.
FRESH_MS = 60_000
SILENCE = 5.0  # seconds without any declaration after which edits do not wait


class _Edit(msgspec.Struct, gc=False):
    change: Change
    entry: Entry
    dt_ms: int
    until: float  # it waits so long at most
    ready: bool


class _Known(msgspec.Struct, gc=False):
    declaration: Declaration
    entry: Entry
    dt_ms: int
    since: float
    told: bool  # to an edit


class Declarations:
    """What waits for the other stream.

    `now` are seconds of a clock that stands still while nothing can be read: what is waited for cannot come then.
    `patience`: seconds that a fresh edit waits at most.
    """

    def __init__(self, patience: float, now: float) -> None:
        self.joined = 0  # reverts that were told to their edit
        self.unmatched = 0  # reverts whose edit did not come, or had left before
        self._patience = patience
        self._shards: list[deque[_Edit]] = [deque() for _ in range(SHARDS)]
        self._waiting: dict[tuple[str, int], _Edit] = {}
        self._known: dict[tuple[str, int], _Known] = {}  # in the order in which they came
        self._edits_until = self._declared_until = 0  # newest `meta.dt` of each stream
        self._heard = now

    @property
    def holds(self) -> int:
        """Edits that wait, and those behind them."""
        return sum(map(len, self._shards))

    def edit(self, change: Change, entry: Entry, dt_ms: int, now: float) -> Iterator[tuple[Change, Entry]]:
        """Take a change up; gives what may leave, in source order for each shard."""
        self._edits_until = max(self._edits_until, dt_ms)
        shard = shard_of(change.wiki, change.title)
        is_fresh = change.received - dt_ms < FRESH_MS
        held = _Edit(change, entry, dt_ms, now + (self._patience if is_fresh else LONGEST_SECONDS), ready=True)
        if change.rev_id and now - self._heard < SILENCE:
            key = (change.wiki, change.rev_id)
            if known := self._known.get(key):
                self._tell(held, known)
            elif dt_ms + SLACK_MS > self._declared_until and key not in self._waiting:
                held.ready = False
                self._waiting[key] = held
        self._shards[shard].append(held)
        return self._leave(shard, now)

    def declaration(
        self, declaration: Declaration, entry: Entry, dt_ms: int, now: float
    ) -> Iterator[tuple[Change, Entry]]:
        """Take a declaration up; gives what may leave then.

        Its entry is settled as soon as it need not be read again after a crash: at once, unless its edit is to come.
        """
        self._declared_until = max(self._declared_until, dt_ms)
        self._heard = now
        key = (declaration.wiki, declaration.rev_id)
        held = self._waiting.pop(key, None)
        entry.settled = held is not None or declaration.method == "" or key in self._known
        known = self._known.setdefault(key, _Known(declaration, entry, dt_ms, now, told=False))  # the first stands
        if held is None:
            return iter(())
        self._tell(held, known)
        return self._leave(shard_of(held.change.wiki, held.change.title), now)

    def tick(self, now: float) -> Iterator[tuple[Change, Entry]]:
        """What has waited long enough; call it often."""
        self._give_up(now)
        for shard in range(SHARDS):
            yield from self._leave(shard, now)

    def release(self) -> Iterator[tuple[Change, Entry]]:
        """Everything: at the end, or where there is no room to wait."""
        self._waiting.clear()
        for known in self._known.values():
            self._forget(known)
        self._known.clear()
        for shard in self._shards:
            while shard:
                held = shard.popleft()
                yield held.change, held.entry

    def _leave(self, shard: int, now: float) -> Iterator[tuple[Change, Entry]]:
        line = self._shards[shard]
        while line and (line[0].ready or self._is_over(line[0], now)):
            held = line.popleft()
            if not held.ready:
                self._waiting.pop((held.change.wiki, held.change.rev_id), None)
            yield held.change, held.entry

    def _is_over(self, held: _Edit, now: float) -> bool:
        return held.dt_ms + SLACK_MS <= self._declared_until or now >= held.until or now - self._heard >= SILENCE

    def _tell(self, held: _Edit, known: _Known) -> None:
        held.ready = True
        declaration = known.declaration
        if declaration.method:
            held.change.declared_method = declaration.method
            held.change.declared_rev_ids = declaration.rev_ids
            self.joined += not known.told
        if not known.entry.settled:  # it came before the edit: read again with it, if that gets lost
            known.entry.behind = held.entry
        known.told = True

    def _give_up(self, now: float) -> None:
        while self._known:
            key, known = next(iter(self._known.items()))
            young = known.dt_ms + LONGEST_MS >= self._edits_until and now - known.since < LONGEST_SECONDS
            if young and len(self._known) <= MOST_KNOWN:
                return
            self._forget(known)
            del self._known[key]

    def _forget(self, known: _Known) -> None:
        if not known.told:
            self.unmatched += known.declaration.method != ""
            known.entry.settled = True
