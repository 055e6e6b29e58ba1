"""`battlefield rebuild`: write the rows that SQL computes from `edits` over those that are stored."""

import sys
from datetime import datetime, timedelta
from typing import NamedTuple

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


class Step(NamedTuple):
    """One table's rows of one span."""

    definition: Definition
    span: Span
    changes: int  # what it costs, about


def steps(span: Span, wholes: Span, hours: list[tuple[datetime, int]]) -> list[Step]:
    """What is to be done, in order: battles, alerts and roll-ups stand on reverts, days on hours.

    `wholes` is the part of the span in which battles and alerts can be recomputed.
    """
    plan = [
        Step(definition, piece, sum(n for hour, n in hours if piece.since <= hour < piece.until))
        for piece in slices(span, hours)
        for definition in (REVERTS_DEFINED, FRONTS_DEFINED)
    ]
    if not wholes.is_empty:
        plan += [Step(definition, wholes, 0) for definition in (BATTLES_DEFINED, ALERTS_DEFINED)]
    plan.append(Step(HOURLY_DEFINED, span.around(HOUR), 0))
    plan.append(Step(DAILY_DEFINED, span.around(DAY), 0))
    return plan


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
    """Rebuild a source over a span; returns what was done, in a sentence."""
    result = run_query(client, "audit_hours", source=present.source, **span._asdict())
    plan = steps(span, span_of_wholes(present, span), [(row["hour"], row["changes"]) for row in result.named_results()])
    rows = 0
    with progress_bar(quietly=False) as bar:
        task = bar.add_task(present.source, total=sum(step.changes + 1 for step in plan)) if bar else None
        for step in plan:
            if bar and task is not None:
                bar.update(task, description=f"{present.source}: {step.definition.table.name}")
            rows += rebuild(client, step.definition, step.span, present.source)
            if bar and task is not None:
                bar.advance(task, step.changes + 1)
    return (
        f"{present.source}: {rows:,} rows written, {span.since:%Y-%m-%d %H:%M:%S} to {span.until:%Y-%m-%d %H:%M:%S} UTC"
    )
