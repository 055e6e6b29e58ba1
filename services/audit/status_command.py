"""`battlefield status`: how each part is, in a few seconds, whatever is away."""

import json
import logging
import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console

from services.audit.status import Part, Status, status
from services.audit.text import printable
from services.common.query_command import as_table
from services.common.settings import running_settings

COLUMNS = ("part", "state", "last sign", "changes/s", "behind")


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the heartbeats are. [default: the running stack's, else $DATA_DIR]",
)
def command(as_json: bool, data_dir: Path | None) -> None:
    """Tell state, rate, lag, position and last error of each part. Exit status 0 when all is well, else 1."""
    settings = running_settings()
    # the driver logs what it could not reach; we say it ourselves
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    now = status(settings.model_copy(update={"data_dir": data_dir or settings.data_dir}))
    if as_json:
        click.echo(
            json.dumps({"well": now.well, **msgspec.to_builtins(now)}, indent=2, ensure_ascii=False, default=str)
        )
    else:
        Console().print(as_table(COLUMNS, [row(part) for part in now.parts]))
        for line in remarks(now):
            click.echo(line)
    sys.exit(0 if now.well else 1)


def row(part: Part) -> tuple[str, ...]:
    """A part for the table."""
    behind = f"{sum(part.lag.values()):,} messages" if part.lag else f"{part.lag_s:.1f} s" if part.lag_s else ""
    return (
        part.name,
        part.state if part.well else f"NOT WELL: {part.state}",
        "" if part.age is None else f"{part.age:.0f} s ago",
        "" if part.rate is None else f"{part.rate:,.1f}",
        behind,
    )


def remarks(now: Status) -> list[str]:
    """What does not fit the table, and the whole in a sentence."""
    lines = []
    for part in now.parts:
        lines += [
            f"{part.name}: would go on after {origin}, offset {offset}" for origin, offset in part.position.items()
        ]
        if declared := part.figures.get("declared"):
            lines.append(f"{part.name}: what Wikimedia declares of reverts: {printable(str(declared)[:300])}")
        behind = {number: messages for number, messages in part.lag.items() if messages}
        if behind:
            lines.append(f"{part.name}: messages behind by partition: {behind}")
        if part.last_error:
            lines.append(f"{part.name}: last error: {printable(part.last_error[:300])}")
    if now.group_lag is not None:
        who = "1 worker" if now.workers == 1 else f"{now.workers} workers"
        lines.append(f"Consumer group: {who}, {now.group_lag:,} messages behind. While that grows, take more workers.")
    if now.well:
        fresh = "" if now.freshness_s is None else f" The newest edit is {now.freshness_s:.0f} s old."
        lines.append(f"All is well.{fresh}")
    else:
        lines.append(f"Not well: {', '.join(part.name for part in now.parts if not part.well)}.")
    return [*lines, f"Heartbeats: {now.data_dir}"]
