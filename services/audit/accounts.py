"""The producer's ledger against what ClickHouse holds. Pure."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple


class Page(NamedTuple):
    """A row of clickhouse/queries/audit_ledger.sql."""

    source_topic: str
    source_partition: int
    page: int
    first_offset: int
    last_offset: int
    read: int
    kept: int
    dead_lettered: int
    dropped: dict[str, int]
    present: int  # offsets of it in edits, duplicates or dead letters
    settled: bool  # nothing of it can be on its way any more


class Gap(NamedTuple):
    """Source offsets that nobody read."""

    source_topic: str
    source_partition: int
    first: int  # the first offset that it can be
    last: int
    offsets: int  # how many are missing between them


class Unstored(NamedTuple):
    """A page of which ClickHouse holds another number of changes than the producer kept."""

    source_topic: str
    source_partition: int
    page: int
    expected: int
    present: int


def find_gaps(pages: Iterable[Page]) -> list[Gap]:
    """Where offsets were skipped, in a page or between two; `pages` in the order of the query.

    Where reading began and how far it has come are no gaps, so nothing is asked of the first page's begin and the
    last one's end.
    """
    pages = list(pages)
    gaps = []
    for page in pages:
        missing = page.last_offset - page.first_offset + 1 - page.read
        if missing > 0:
            gaps.append(Gap(*page[:2], page.first_offset, page.last_offset, missing))
    for before, after in pairwise(pages):
        missing = after.first_offset - before.last_offset - 1
        if before[:2] == after[:2] and missing > 0:
            gaps.append(Gap(*before[:2], before.last_offset + 1, after.first_offset - 1, missing))
    return gaps


def find_unstored(pages: Iterable[Page], *, quiet: bool) -> list[Unstored]:
    """Pages whose changes are not all there, or too many. While changes come in, only settled pages are judged."""
    return [
        Unstored(*page[:3], page.kept + page.dead_lettered, page.present)
        for page in pages
        if (quiet or page.settled) and page.kept + page.dead_lettered != page.present
    ]


def dropped_by_reason(pages: Iterable[Page]) -> dict[str, int]:
    """What the producer left out on purpose."""
    total: Counter[str] = Counter()
    for page in pages:
        total.update(page.dropped)
    return dict(sorted(total.items()))
