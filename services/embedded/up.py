"""`battlefield up`: the whole stack on this machine, without Docker.

Check the machine, choose what plays, plan the parts, run them, and for a finite run say what came of it.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console

from services.common.settings import Settings, get_settings
from services.embedded.checks import CannotStart, PortUse, check_packages, check_ports, only_one, prepare_data_dir
from services.embedded.game import HISTORY, with_start
from services.embedded.plan import Plan, Play, Ports
from services.embedded.ports import LOOPBACK, free_port
from services.embedded.source import Source, choose_source, is_reachable
from services.notifier.webhook import BadAddress, check_address
from services.producer.command import BadSince, since_instant

DEFAULT_SINCE = "1h"
SILENT = 0.1  # share of a war game's reverts whose summary says nothing, so that one sees what the second stream brings
BROKER_PORT, CLICKHOUSE_PORT = 9092, 8123
INTERRUPTED = 130  # exit status of a finite run that a signal ended early, as shells have it for Ctrl-C


class PortOptions(NamedTuple):
    """Ports as they were asked for; None: not said, 0: a free one."""

    broker: int | None
    clickhouse: int | None
    dashboard: int | None


def choose_ports(asked: PortOptions, settings: Settings, *, automatic: bool) -> Ports:
    """What was asked for, else what is set, else the known ports, or free ones where `automatic`."""
    kafka_host, _, kafka_port = settings.kafka_bootstrap_servers.rpartition(":")

    def choose(port: int | None, setting: str, configured: int) -> int:
        if port is None and not (automatic and setting not in settings.model_fields_set):
            return configured
        return port or free_port()

    # settings that lead to another machine (a .env for containers) say nothing about ours
    local = (LOOPBACK, "localhost")
    return Ports(
        broker=choose(
            asked.broker,
            "kafka_bootstrap_servers",
            int(kafka_port) if kafka_host in local and kafka_port.isdecimal() else BROKER_PORT,
        ),
        clickhouse=choose(
            asked.clickhouse,
            "clickhouse_port",
            settings.clickhouse_port if settings.clickhouse_host in local else CLICKHOUSE_PORT,
        ),
        simulator=free_port(),
        dashboard=choose(asked.dashboard, "dashboard_port", settings.dashboard_port),
    )


def needed_ports(plan: Plan) -> list[PortUse]:
    """The ports that a stranger may hold, with the settings that move them."""
    uses = [
        PortUse("broker", plan.ports.broker, f"KAFKA_BOOTSTRAP_SERVERS={LOOPBACK}:PORT (or --broker-port PORT)"),
        PortUse("ClickHouse endpoint", plan.ports.clickhouse, "CLICKHOUSE_PORT=PORT (or --clickhouse-port PORT)"),
    ]
    if plan.dashboard:
        uses.append(PortUse("dashboard", plan.ports.dashboard, "DASHBOARD_PORT=PORT (or --dashboard-port PORT)"))
    return uses


def check_finite(source: Source, events: int | None) -> None:
    """Raises CannotStart for an endless source, with which `--exit-when-done` would never end."""
    if not source.simulated:
        raise CannotStart("--exit-when-done needs an end: play a recording with --source FILE.jsonl[.gz].")
    if source.kind == "war game" and events is None:
        raise CannotStart("A war game has no end of its own: give --events N with --exit-when-done.")


def fill_in(source: Source, play: Play, since: str) -> str:
    """How far back the very first start reads. A recording and a game with an end are read from their beginning."""
    match source.kind:
        case "live" | "other server":
            return since
        case "war game" if play.speed == "real" and play.events is None:
            return f"{HISTORY.seconds}s"
        case _:
            return ""


def wants_notices(settings: Settings) -> bool:
    """Whether a webhook is to be told of incidents. Raises CannotStart for an address that is none."""
    url = settings.alert_webhook_url.get_secret_value()
    try:
        if url:
            check_address(url)
    except BadAddress as error:
        raise CannotStart(str(error)) from None
    return bool(url)


def check_since(since: str) -> None:
    """Raises CannotStart for a span that the producer would refuse."""
    try:
        since_instant(since, datetime.now(UTC))
    except BadSince as error:
        raise CannotStart(str(error)) from None


def _speed(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value in ("real", "max"):
        return value
    try:
        good = 0 < float(value) < float("inf")
    except ValueError:
        good = False
    if not good:
        raise click.BadParameter("use real, max, or a factor such as 10")
    return value


@click.command("up")
@click.option(
    "--source", help="auto, live, simulate, a .jsonl or .jsonl.gz file, or a URL. [default: $SOURCE, or auto]"
)
@click.option("--speed", default="real", show_default=True, callback=_speed, help="real, max, or a factor such as 10.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Changes/s of a war game.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of a war game: the same seed plays the same game.")
@click.option("--events", type=click.IntRange(min=1), help="End a war game after so many events.")
@click.option("--truth", type=click.Path(dir_okay=False, path_type=Path), help="Write a war game's truth to this file.")
@click.option("--since", help=f"How far back the first live start fills in. [default: {DEFAULT_SINCE}]")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Worker processes.")
@click.option("--dashboard/--no-dashboard", default=True, show_default=True, help="Whether to serve the board.")
@click.option("--exit-when-done", is_flag=True, help="End when all of a finite source is stored, with a summary.")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Keep data here, whatever plays.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object on the last line of stdout.")
@click.option("--broker-port", type=click.IntRange(0, 65535), help="0: a free one. [default: 9092]")
@click.option("--clickhouse-port", type=click.IntRange(0, 65535), help="0: a free one. [default: 8123]")
@click.option("--dashboard-port", type=click.IntRange(0, 65535), help="0: a free one. [default: 8501]")
def command(
    source: str | None,
    speed: str,
    rate: float | None,
    seed: int | None,
    events: int | None,
    truth: Path | None,
    since: str | None,
    workers: int,
    dashboard: bool,
    exit_when_done: bool,
    data_dir: Path | None,
    as_json: bool,
    broker_port: int | None,
    clickhouse_port: int | None,
    dashboard_port: int | None,
) -> None:
    """Run broker, ClickHouse, producer, workers and board on this machine, without Docker.

    Live where stream.wikimedia.org can be reached and EVENTSTREAMS_CONTACT is set, else a simulated war game. Each
    kind of source keeps its data in a directory of its own below DATA_DIR; a second run goes on where the first
    ended. Runs with --no-dashboard --exit-when-done take free ports, so that several can run beside each other.
    """
    settings = get_settings()
    console = Console(stderr=as_json)  # so that stdout holds the JSON alone
    try:
        check_packages()
        playing, remark = choose_source(source or settings.source, settings, is_reachable)
        if remark:
            console.print(remark, markup=False, highlight=False)
        if exit_when_done:
            check_finite(playing, events)
        if workers > settings.kafka_partitions:
            raise CannotStart(
                f"{workers} workers cannot share {settings.kafka_partitions} partitions: set KAFKA_PARTITIONS."
            )
        declared = SILENT if playing.kind == "war game" and settings.eventstreams_declared == "auto" else None
        play = Play(speed, rate, seed, events, truth=truth.resolve() if truth else None, declared=declared)
        plan = Plan(
            source=playing,
            data_dir=(data_dir or settings.data_dir / playing.folder).resolve(),
            ports=choose_ports(
                PortOptions(broker_port, clickhouse_port, dashboard_port),
                settings,
                automatic=exit_when_done and not dashboard,
            ),
            play=play,
            since=fill_in(playing, play, since if since is not None else settings.eventstreams_since or DEFAULT_SINCE),
            workers=workers,
            dashboard=dashboard,
            broker_memory_mb=settings.embedded_broker_memory_mb,
            notify=wants_notices(settings),
        )
        check_since(plan.since)
        prepare_data_dir(plan.data_dir)
        with only_one(plan.data_dir):
            check_ports(needed_ports(plan))
            if playing.kind == "war game":
                plan = plan._replace(play=with_start(play, plan.data_dir, datetime.now(UTC)))
            sys.exit(_run(plan, settings, console, finite=exit_when_done, as_json=as_json))
    except CannotStart as error:
        raise click.ClickException(str(error)) from None


def _run(plan: Plan, settings: Settings, console: Console, *, finite: bool, as_json: bool) -> int:
    """Run and report; the exit status."""
    # not on top: they need the packages that check_packages has found by now
    from services.embedded.run import RunFailed, run
    from services.embedded.summary import summary_text

    try:
        summary = run(plan, settings, console, finite=finite)
    except RunFailed as error:
        click.echo(f"Error: {error}", err=True)
        if as_json:
            click.echo(json.dumps({"complete": False, "error": str(error)}))
        return 1
    if summary is None:
        return INTERRUPTED if finite else 0
    console.print(summary_text(summary), markup=False, highlight=False)
    if as_json:
        click.echo(json.dumps({"complete": True, **summary._asdict()}))
    return 0
