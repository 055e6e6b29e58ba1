"""`battlefield audit`: does what the stream computed agree with SQL, and what is stored with what was read?"""

import json
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from services.audit.audit import Present, Report, audit, sources_present, span_of
from services.audit.store import store
from services.audit.text import printable
from services.common.clickhouse import reader_client, refusal, writer_client
from services.common.settings import Settings, running_settings

CANNOT_RUN = 2  # exit status
SHOWN = 5  # examples of each kind on the screen; --json has more


class Since(click.ParamType[datetime | timedelta]):
    """A span such as 90m, 24h or 7d before a source's newest event, or an instant (ISO 8601, UTC)."""

    name = "SPAN|ISO"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        """Parse it; click reports what is wrong."""
        if isinstance(value, datetime | timedelta):
            return value
        if match := re.fullmatch(r"(\d{1,5})([smhd])", value):
            return int(match[1]) * timedelta(
                **{{"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]: 1}
            )
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r}: write a span such as 90m, 24h or 7d, or a time such as 2024-12-07T12:00:00Z", param, ctx
            )
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@click.command("audit")
@click.option(
    "--since", type=Since(), default="24h", show_default=True, help="How far back from a source's newest event."
)
@click.option("--source", help="Only this one: live, replay-NAME or wargame-SEED. [default: each that is stored]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array with one report per source.")
def command(since: datetime | timedelta, source: str | None, as_json: bool) -> None:
    """Recompute windows, reverts, battles, alerts and roll-ups in SQL and compare them row for row; look for gaps.

    Exit status 0: all agrees; 1: something does not; 2: the audit could not run.
    """
    settings = running_settings()
    try:
        reports = run(settings, since, source, quietly=as_json)
    except ClickHouseError as error:
        click.echo(f"Error: {refusal(settings, error, reader=True)}", err=True)
        sys.exit(CANNOT_RUN)
    except LookupError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(CANNOT_RUN)
    if as_json:
        click.echo(json.dumps([as_object(report) for report in reports], indent=2, ensure_ascii=False))
    else:
        click.echo("\n\n".join(as_text(report) for report in reports))
    sys.exit(0 if all(report.passed for report in reports) else 1)


def run(settings: Settings, since: datetime | timedelta, source: str | None, *, quietly: bool) -> list[Report]:
    """Audit and store the results. Raises LookupError where there is nothing to audit, and ClickHouse's errors."""
    reports = []
    with reader_client(settings) as reader, progress_bar(quietly) as bar:
        for present in chosen(sources_present(reader, settings.retention_raw_days), source):
            span = span_of(present, since)
            if span.is_empty:
                continue
            task = bar.add_task(present.source, total=None) if bar else None

            def show(what: str, done: int, of: int, name: str = present.source, task: Any = task) -> None:
                if bar and task is not None:
                    bar.update(task, description=f"{name}: {what}", completed=done, total=of)

            reports.append(audit(reader, present, span, show))
    if not reports:
        raise LookupError("There is nothing to audit in that span: give another --since or --source.")
    try:
        with writer_client(settings) as writer:
            for report in reports:
                store(writer, report)
    except ClickHouseError as error:
        # an audit by somebody who may only read is worth as much
        click.echo(f"The result could not be stored for the board: {error}", err=True)
    return reports


def chosen(sources: list[Present], source: str | None) -> list[Present]:
    """The sources that were asked for. Raises LookupError with what there is."""
    found = [present for present in sources if source in (None, present.source)]
    if not found:
        there_is = ", ".join(present.source for present in sources)
        raise LookupError(
            f"Nothing is stored of {source!r}; there is: {there_is}." if there_is else "Nothing is stored."
        )
    return found


def progress_bar(quietly: bool) -> AbstractContextManager[Progress | None]:
    """A bar on stderr, where a person looks at it."""
    console = Console(stderr=True)
    if quietly or not console.is_terminal:
        return nullcontext()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def as_object(report: Report) -> dict[str, Any]:
    """A report for JSON."""
    verdict = {
        "passed": report.passed,
        "mismatches": report.mismatches,
        "missing_offsets": report.missing_offsets,
        "missing_changes": report.missing_changes,
    }
    comparisons = [
        {**one._asdict(), "examples": [example._asdict() for example in one.examples]} for one in report.comparisons
    ]
    lists = {
        "comparisons": comparisons,
        "gaps": [gap._asdict() for gap in report.gaps],
        "unstored": [page._asdict() for page in report.unstored],
    }
    return {**msgspec.to_builtins(report), **lists, **verdict}


def as_text(report: Report) -> str:
    """A report for people."""
    lines = [
        f"{report.source}: {'all agrees' if report.passed else 'NOT ALL AGREES'}",
        f"  {report.since:%Y-%m-%d %H:%M:%S} to {report.until:%Y-%m-%d %H:%M:%S} UTC, {report.changes:,} changes"
        f" ({report.late:,} late), {report.seconds:.1f} s",
    ]
    for one in report.comparisons:
        lines.append(
            f"  {one.table:<13} {one.rows:>10,} rows: {one.missing:,} missing, {one.extra:,} extra,"
            f" {one.different:,} different"
        )
        for example in one.examples[:SHOWN]:
            key = " ".join(f"{name}={printable(value)}" for name, value in example.key.items())
            figures = ", ".join(
                f"{name} is {printable(is_)}, should be {printable(ought)}"
                for name, (is_, ought) in example.figures.items()
            )
            lines.append(f"    {example.kind}: {key}{': ' if figures else ''}{figures}")
    lines.append(
        f"  ledger        {report.pages:>10,} pages: {report.missing_offsets:,} offsets nobody read,"
        f" {report.missing_changes:,} changes not where they should be"
    )
    lines += [
        f"    not read: {g.offsets:,} of {g.source_topic}/{g.source_partition} in {g.first}..{g.last}"
        for g in report.gaps[:SHOWN]
    ]
    lines += [
        f"    page {u.page} of {u.source_topic}/{u.source_partition}: {u.expected:,} kept, {u.present:,} stored"
        for u in report.unstored[:SHOWN]
    ]
    if not report.quiet:
        lines.append(f"  changes still come in: the newest minute and {report.unsettled_pages:,} pages are left out")
    for title, counts in (("dropped on purpose", report.dropped), ("dead letters", report.dead_letters)):
        if counts:
            lines.append(f"  {title}: " + ", ".join(f"{reason} {count:,}" for reason, count in counts.items()))
    if not report.passed:
        lines.append(
            "  `battlefield rebuild` writes the recomputed rows; what was not read or not stored it cannot bring."
        )
    return "\n".join(lines)
