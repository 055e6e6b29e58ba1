"""`battlefield rebuild`: write the rows that SQL computes from `edits` over those that are stored."""

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta

import click
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.audit.audit import Present, sources_present, span_of, span_of_wholes
from services.audit.audit_command import CANNOT_RUN, Since, chosen, progress_bar
from services.audit.definitions import (
    ALERTS_DEFINED,
    BATTLES_DEFINED,
    DAILY_DEFINED,
    FRONTS_DEFINED,
    HOURLY_DEFINED,
    REVERTS_DEFINED,
    Definition,
)
from services.audit.rebuild import rebuild
from services.audit.spans import DAY, HOUR, WINDOW, Span, ceiling, slices
from services.common.clickhouse import refusal, writer_client
from services.common.queries import run_query
from services.common.settings import running_settings


@click.command("rebuild")
@click.option(
    "--since", type=Since(), default="24h", show_default=True, help="How far back from a source's newest event."
)
@click.option("--until", type=Since(), help="Up to here. [default: what is not on its way any more]")
@click.option("--source", help="Only this one: live, replay-NAME or wargame-SEED. [default: each that is stored]")
def command(since: datetime | timedelta, until: datetime | timedelta | None, source: str | None) -> None:
    """Write windows, reverts, battles, alerts and roll-ups anew, as SQL computes them. The stream may run meanwhile."""
    settings = running_settings()
    try:
        with writer_client(settings) as client:
            for present in chosen(sources_present(client, settings.retention_raw_days), source):
                span = cut_short(span_of(present, since), present, until)
                if not span.is_empty:
                    click.echo(run(client, present, span))
    except ClickHouseError as error:
        click.echo(f"Error: {refusal(settings, error)}", err=True)
        sys.exit(CANNOT_RUN)
    except LookupError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(CANNOT_RUN)


def cut_short(span: Span, present: Present, until: datetime | timedelta | None) -> Span:
    """The span up to `until`, in whole windows, where that is sooner."""
    if until is None:
        return span
    moment = present.newest - until if isinstance(until, timedelta) else until
    return Span(span.since, min(span.until, ceiling(moment, WINDOW)))


def run(client: Client, present: Present, span: Span) -> str:
    """Rebuild a source over a span; returns what was done, in a sentence. Raises ClickHouse's errors.

    Windows are computed from `edits` alone, beside all else. Battles, alerts and roll-ups stand on reverts, days on
    hours. Several at a time, because each waits as long for its deletes as it works.
    """
    result = run_query(client, "audit_hours", source=present.source, **span._asdict())
    pieces = slices(span, [(row["hour"], row["changes"]) for row in result.named_results()])
    wholes = span_of_wholes(present, span)
    with progress_bar(quietly=False) as bar, ThreadPoolExecutor() as pool:
        task = bar.add_task(f"{present.source}: rebuilding", total=2 * len(pieces) + 4) if bar else None

        def advance(_piece: Span) -> None:
            if bar and task is not None:
                bar.advance(task)

        def begin(definition: Definition, *spans: Span) -> Future[int]:
            return pool.submit(rebuild, client, definition, spans, present.source, advance)

        fronts, reverts = begin(FRONTS_DEFINED, *pieces), begin(REVERTS_DEFINED, *pieces)
        rows = reverts.result()
        others = [fronts, begin(HOURLY_DEFINED, span.around(HOUR))]
        if not wholes.is_empty:
            others += [begin(definition, wholes) for definition in (BATTLES_DEFINED, ALERTS_DEFINED)]
        rows += sum(other.result() for other in others)
        rows += begin(DAILY_DEFINED, span.around(DAY)).result()
    return (
        f"{present.source}: {rows:,} rows written, {span.since:%Y-%m-%d %H:%M:%S} to {span.until:%Y-%m-%d %H:%M:%S} UTC"
    )
