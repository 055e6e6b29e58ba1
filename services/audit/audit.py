"""Do the stored rows agree with what `edits` says, and `edits` with what was read? One source at a time.

What is still on its way must not look like a mismatch. A source that had nothing stored for QUIET seconds is compared
to its newest event. Else the newest UNSETTLED of event time are left out, a table that differs is compared a second
time a little later, and of the ledger only those pages are judged that every shard has got past.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from services.audit.accounts import Gap, Page, Unstored, dropped_by_reason, find_gaps, find_unstored
from services.audit.definitions import (
    ALERTS_DEFINED,
    BATTLES_DEFINED,
    DAILY_DEFINED,
    FRONTS_DEFINED,
    HOURLY_DEFINED,
    REVERTS_DEFINED,
    Comparison,
    Definition,
    compare,
)
from services.audit.spans import DAY, HOUR, WINDOW, Span, ceiling, floor, slices
from services.common.queries import run_query

QUIET = 10  # seconds without a stored change; a checkpoint is made every three (WORKER_COMMIT_INTERVAL)
UNSETTLED = timedelta(seconds=60)  # of event time: the windows that every checkpoint still changes
SECOND_LOOK = 5.0  # seconds until what differed is compared again
# Before it a page's memory may hold changes that have expired in ClickHouse (services/worker/state.py: PAGE_MEMORY).
RECALL = timedelta(hours=26)
# Battles and alerts stand on two such memories: what they answer or repeat looked a day back itself.
LONG_RECALL = 2 * RECALL

Progress = Callable[[str, int, int], None]  # what, how many of, how many


class Present(msgspec.Struct):
    """A row of clickhouse/queries/audit_sources.sql: a source, and what there is of it."""

    source: str
    oldest: datetime
    newest: datetime
    complete_since: datetime
    seconds_since_stored: int

    @property
    def quiet(self) -> bool:
        """Whether nothing comes in."""
        return self.seconds_since_stored >= QUIET


class Report(msgspec.Struct):
    """What an audit of one source found."""

    source: str
    since: datetime
    until: datetime
    started: datetime
    quiet: bool
    changes: int
    late: int
    seconds: float = 0.0
    comparisons: list[Comparison] = []
    gaps: list[Gap] = []
    unstored: list[Unstored] = []
    pages: int = 0
    unsettled_pages: int = 0  # not judged yet
    rolled_up_until: datetime | None = None  # hours from here on change still
    dropped: dict[str, int] = {}
    dead_letters: dict[str, int] = {}

    @property
    def mismatches(self) -> int:
        """Rows that are not as they should be."""
        return sum(comparison.mismatches for comparison in self.comparisons)

    @property
    def missing_offsets(self) -> int:
        """Source offsets that nobody read."""
        return sum(gap.offsets for gap in self.gaps)

    @property
    def missing_changes(self) -> int:
        """Changes that the ledger has and ClickHouse has not, or the other way round."""
        return sum(abs(page.expected - page.present) for page in self.unstored)

    @property
    def passed(self) -> bool:
        """Whether all agrees."""
        return not (self.mismatches or self.gaps or self.unstored)


def sources_present(client: Client, raw_days: int) -> list[Present]:
    """Every source that has changes stored."""
    rows = run_query(client, "audit_sources", raw_days=raw_days).named_results()
    return [Present(**row) for row in rows]


def span_of(present: Present, since: datetime | timedelta) -> Span:
    """What is audited of a source: from `since`, or so long before its newest event, to what has settled.

    Never from before the first of its changes that may have expired.
    """
    until = present.newest + timedelta(seconds=1)
    begin = until - since if isinstance(since, timedelta) else since
    expired = present.complete_since > datetime.fromtimestamp(0, UTC)
    earliest = present.complete_since + RECALL if expired else present.oldest
    settled = ceiling(until, WINDOW) if present.quiet else floor(until - UNSETTLED, WINDOW)
    return Span(floor(max(begin, earliest), WINDOW), settled)


def span_of_wholes(present: Present, span: Span) -> Span:
    """The part of a span in which battles and alerts can be judged: all that they stand on is still kept."""
    if present.complete_since <= datetime.fromtimestamp(0, UTC):
        return span
    return Span(max(span.since, floor(present.complete_since + LONG_RECALL, WINDOW)), span.until)


def audit(client: Client, present: Present, span: Span, progress: Progress) -> Report:
    """Audit a source over a span that `span_of` gave. Raises clickhouse-connect's errors."""
    began = time.monotonic()
    hours = _hours(client, present.source, span)
    report = Report(
        present.source,
        *span,
        started=datetime.now(UTC),
        quiet=present.quiet,
        changes=sum(hour["changes"] for hour in hours),
        late=sum(hour["late"] for hour in hours),
    )
    pieces = slices(span, [(hour["hour"], hour["changes"]) for hour in hours])
    report.comparisons = [
        _compare(client, definition, pieces, present, progress) for definition in (FRONTS_DEFINED, REVERTS_DEFINED)
    ]
    wholes = span_of_wholes(present, span)
    report.comparisons += [
        _compare(client, definition, [] if wholes.is_empty else [wholes], present, progress)
        for definition in (BATTLES_DEFINED, ALERTS_DEFINED)
    ]
    report.comparisons += _compare_rollups(client, report, present, span, progress)
    _check_ledger(client, report, progress)
    report.seconds = round(time.monotonic() - began, 2)
    return report


def _hours(client: Client, source: str, span: Span) -> list[dict[str, Any]]:
    return list(run_query(client, "audit_hours", source=source, **span._asdict()).named_results())


def _compare(
    client: Client, definition: Definition, pieces: list[Span], present: Present, progress: Progress
) -> Comparison:
    total = Comparison(definition.table.name, 0, 0, 0, 0, [])
    for done, piece in enumerate(pieces):
        progress(definition.table.name, done, len(pieces))
        found = compare(client, definition, piece, present.source)
        if found.mismatches and not present.quiet:
            time.sleep(SECOND_LOOK)
            found = compare(client, definition, piece, present.source)
        total = total.plus(found)
    progress(definition.table.name, len(pieces), len(pieces))
    return total


def _compare_rollups(
    client: Client, report: Report, present: Present, span: Span, progress: Progress
) -> list[Comparison]:
    rows = run_query(client, "audit_rollups", source=report.source, **span._asdict()).named_results()
    unsettled = next(iter(rows))
    hours, days = span.within(HOUR), span.within(DAY)
    if report.quiet:  # the last hour and day are over, as far as there is any
        hours, days = Span(hours.since, span.around(HOUR).until), Span(days.since, span.around(DAY).until)
    hours = Span(hours.since, min(hours.until, unsettled["unsettled_hour"] or hours.until))
    days = Span(days.since, min(days.until, unsettled["unsettled_day"] or days.until))
    report.rolled_up_until = hours.until
    found = []
    for definition, rolled in ((HOURLY_DEFINED, hours), (DAILY_DEFINED, days)):
        pieces = [] if rolled.is_empty else [rolled]
        found.append(_compare(client, definition, pieces, present, progress))
    return found


def _check_ledger(client: Client, report: Report, progress: Progress) -> None:
    progress("ledger", 0, 1)
    span = Span(report.since, report.until)
    result = run_query(client, "audit_ledger", source=report.source, **span._asdict())
    pages = [Page(**row) for row in result.named_results()]
    report.pages = len(pages)
    report.unsettled_pages = 0 if report.quiet else sum(not page.settled for page in pages)
    report.gaps = find_gaps(pages)
    report.unstored = find_unstored(pages, quiet=report.quiet)
    report.dropped = dropped_by_reason(pages)
    letters = run_query(client, "audit_dead_letters", source=report.source)
    report.dead_letters = {row["reason"]: row["letters"] for row in letters.named_results()}
    progress("ledger", 1, 1)
