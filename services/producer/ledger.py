"""What was read, in the order it was read, and how far the broker has acknowledged it without a gap.

Every event read becomes an entry. A dropped one is settled at once, a kept or dead-lettered one when the broker
has acknowledged it. Only the settled head of the line counts: it moves the resume position, and it is added
to the ledger's pages of 1,000 source offsets, against which ClickHouse's rows are checked later.
"""

from collections import deque

import msgspec

from services.common.change import LedgerPage, Origin, Position

PAGE = 1000  # source offsets a page


class Entry(msgspec.Struct, gc=False):
    """One event read. `outcome` is "kept", "dead_lettered" or the reason of a drop."""

    origin: Origin
    dt_ms: int
    outcome: str
    settled: bool
    behind: "Entry | None" = None  # settled together with this one


class Ledger:
    """Entries in reading order; see the module's text."""

    def __init__(self) -> None:
        self._line: deque[Entry] = deque()
        self._pages: dict[tuple[str, int, int], LedgerPage] = {}
        self._changed: dict[tuple[str, int, int], LedgerPage] = {}
        self._read_up_to: dict[tuple[str, int], int] = {}
        self.positions: dict[tuple[str, int], Position] = {}

    @property
    def unacknowledged(self) -> int:
        """Entries that wait, for an acknowledgement or behind one that does."""
        return len(self._line)

    @property
    def read_positions(self) -> dict[tuple[str, int], int]:
        """The highest offset read, by (topic, partition): where this process goes on after a cut."""
        return self._read_up_to

    def resume_from(self, positions: list[Position]) -> None:
        """Take up saved positions.

        The page that a position stands in is read again from its beginning, for only then is its account whole.
        """
        for position in positions:
            key = (position.source_topic, position.source_partition)
            self.positions[key] = position
            self._read_up_to[key] = (position.offset + 1) // PAGE * PAGE - 1

    def is_repeated(self, origin: Origin) -> bool:
        """Has this process read the offset before? In one source partition offsets only grow."""
        return origin.offset <= self._read_up_to.get((origin.topic, origin.partition), -1)

    def enter(self, origin: Origin, dt_ms: int, outcome: str, *, settled: bool = False) -> Entry:
        """Put an event that was just read at the end of the line."""
        entry = Entry(origin, dt_ms, outcome, settled)
        self._line.append(entry)
        self._read_up_to[origin.topic, origin.partition] = origin.offset
        return entry

    def advance(self) -> None:
        """Take the settled head off the line, into the pages and the positions."""
        line = self._line
        while line and (line[0].settled or ((other := line[0].behind) is not None and other.settled)):
            entry = line.popleft()
            topic, partition, offset = entry.origin
            self.positions[topic, partition] = Position(topic, partition, offset, entry.dt_ms)
            key = (topic, partition, offset // PAGE)
            page = self._pages.get(key)
            if page is None:
                page = LedgerPage(topic, partition, offset // PAGE, offset, offset, 0, 0, 0, {})
                self._pages[key] = page
            _add(page, entry)
            self._changed[key] = page

    def take_changed_pages(self) -> list[LedgerPage]:
        """The pages that changed since the last call, oldest first; full ones are forgotten with it."""
        changed, self._changed = list(self._changed.values()), {}
        for key in [k for k in self._pages if k[2] < self.positions[k[0], k[1]].offset // PAGE]:
            del self._pages[key]
        return changed


def _add(page: LedgerPage, entry: Entry) -> None:
    page.last_offset = entry.origin.offset
    page.read += 1
    if entry.outcome == "kept":
        page.kept += 1
    elif entry.outcome == "dead_lettered":
        page.dead_lettered += 1
    else:
        page.dropped[entry.outcome] = page.dropped.get(entry.outcome, 0) + 1
