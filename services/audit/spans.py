"""Spans of event time, and how they are cut so that one query's memory and time stay bounded. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WINDOW = timedelta(seconds=10)
# Changes a slice has at most, if its hours allow: the reader's queries may take 500 MB and 30 s.
SLICE = 1_000_000


class Span(NamedTuple):
    """`since` is included, `until` is not. UTC."""

    since: datetime
    until: datetime

    @property
    def is_empty(self) -> bool:
        """Whether nothing can lie in it."""
        return self.since >= self.until

    def within(self, unit: timedelta) -> "Span":
        """The whole units (hours, days) that lie in it."""
        return Span(ceiling(self.since, unit), floor(self.until, unit))

    def around(self, unit: timedelta) -> "Span":
        """The whole units that it touches."""
        return Span(floor(self.since, unit), ceiling(self.until, unit))


def floor(moment: datetime, unit: timedelta) -> datetime:
    """The last begin of a unit at or before `moment`."""
    return moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % unit


def ceiling(moment: datetime, unit: timedelta) -> datetime:
    """The first begin of a unit at or after `moment`."""
    return floor(moment + unit - timedelta(microseconds=1), unit)


def slices(span: Span, changes_by_hour: Iterable[tuple[datetime, int]], limit: int = SLICE) -> list[Span]:
    """Cut a span at whole hours into pieces of at most `limit` changes; an hour with more is a piece of its own.

    `changes_by_hour` are the hours' begins with their changes, ascending; hours without any may be missing.
    """
    cuts: list[datetime] = []
    gathered = 0
    for hour, changes in changes_by_hour:
        if gathered and gathered + changes > limit and span.since < hour < span.until:
            cuts.append(hour)
            gathered = 0
        gathered += changes
    edges = [span.since, *cuts, span.until]
    return [Span(since, until) for since, until in pairwise(edges)]
