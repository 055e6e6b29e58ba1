"""`battlefield simulate`: the command line of the simulator."""

import asyncio
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import click

from services.common.logs import set_up_logs
from services.common.settings import get_settings
from services.simulator.clock import Pace
from services.simulator.events import iso_milliseconds
from services.simulator.faults import Faults
from services.simulator.log import Source
from services.simulator.recording import Recording, UnreadableRecording
from services.simulator.server import Play, Simulator, serve
from services.simulator.truth import TruthFile
from services.simulator.wargame import DEFAULT_RATE, FIXED_START, WarGame

DEFAULT_PORT = 8088

# How far back a game that follows the clock may begin, milliseconds: all of it is made before its newest part is.
HISTORY_LIMIT = 7 * 86_400_000


def _speed(_: click.Context, __: click.Parameter, value: str) -> float | Literal["max", "real"]:
    if value in ("max", "real"):
        return value  # type: ignore[return-value]
    try:
        speed = float(value)
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e6:
        raise click.BadParameter("give `real`, `max` or a factor above 0, as 10 for ten times as fast")
    return speed


def _start(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else iso_milliseconds(value)
    except (ValueError, OverflowError):
        raise click.BadParameter("give an instant as 2026-01-31T12:00:00Z") from None


@click.command()
@click.option("--recording", type=click.Path(path_type=Path), help="Play this file (.jsonl or .jsonl.gz).")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of the war game, which plays without a recording."
)
@click.option(
    "--rate", type=click.FloatRange(0.01, 100_000), default=DEFAULT_RATE, show_default=True, help="Changes/s."
)
@click.option("--events", type=click.IntRange(1), help="The war game ends after so many events.")
@click.option(
    "--start",
    callback=_start,
    help="The war game's first instant, ISO 8601.  [default: now, or at another speed than real 2026-01-01]",
)
@click.option(
    "--truth", type=click.Path(path_type=Path, dir_okay=False), help="Write the war game's truth (JSON Lines)."
)
@click.option(
    "--declared",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Serve mediawiki.revision-create too, and leave so many of the war game's reverts without a word in the "
    "summary: only that stream tells of them.",
)
@click.option("--host", help="The address to listen on.  [default: LISTEN_ADDRESS, 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help=f"0: a free one.  [default: PORT where set, else {DEFAULT_PORT}]"
)
@click.option("--speed", default="real", show_default=True, callback=_speed, help="real, max or a factor.")
@click.option(
    "--cut-after",
    type=click.FloatRange(0),
    default=15.0,
    show_default=True,
    metavar="MINUTES",
    help="End connections, as Wikimedia does; 0: never.",
)
@click.option(
    "--ids", type=click.Choice(["offset", "timestamp"]), default="offset", show_default=True, help="Kind of SSE ids."
)
@click.option("--fault-seed", type=int, default=0, show_default=True, help="The same seed, the same faults.")
@click.option(
    "--cut-every",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="Fault: cut connections inside an event.",
)
@click.option(
    "--duplicate-every",
    type=click.IntRange(0),
    default=0,
    metavar="EVENTS",
    help="Fault: send the newest events again.",
)
@click.option(
    "--resend-every",
    type=click.IntRange(0),
    default=0,
    metavar="LINES",
    help="Fault: one of so many again at a second offset.",
)
@click.option(
    "--swap-every", type=click.IntRange(0), default=0, metavar="EVENTS", help="Fault: swap the datacenter's topic."
)
@click.option(
    "--refuse",
    type=click.FloatRange(0, 0.95),
    default=0.0,
    metavar="SHARE",
    help="Fault: refuse connections (429, 503).",
)
@click.option("--silence-every", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Fault: fall silent.")
@click.option(
    "--silence-for",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a silence lasts.",
)
def command(
    recording: Path | None,
    seed: int,
    rate: float,
    events: int | None,
    start: int | None,
    truth: Path | None,
    declared: float | None,
    host: str | None,
    port: int | None,
    speed: float | Literal["max", "real"],
    cut_after: float,
    ids: Literal["offset", "timestamp"],
    fault_seed: int,
    cut_every: float,
    duplicate_every: int,
    resend_every: int,
    swap_every: int,
    refuse: float,
    silence_every: float,
    silence_for: float,
) -> None:
    """Serve a recording or a war game as EventStreams would.

    A recording plays at its own pace times SPEED, a war game at RATE changes a second; `max` is as fast as clients
    read. At speed `real` a war game follows the wall clock, so it looks live; at any other speed the same seed and
    options give the same bytes. Its topics are named after seed, start and rate.
    """
    settings = get_settings()
    host = host or settings.listen_address
    port = (settings.port or DEFAULT_PORT) if port is None else port
    faults = Faults(
        fault_seed, cut_every, duplicate_every, resend_every, swap_every, refuse, silence_every, silence_for
    )
    source: Source
    pace: Pace
    with ExitStack() as at_end:
        try:
            if recording is not None:
                if truth or events:
                    raise click.UsageError("--truth and --events are a war game's: leave them out with --recording")
                source = Recording(recording)
                pace = 1.0 if speed == "real" else speed
            else:
                source = _war_game(seed, rate, events, start, truth, declared or 0.0, speed == "real", at_end)
                pace = "clock" if speed == "real" else speed
        except (UnreadableRecording, OSError) as error:
            raise click.ClickException(str(error)) from None
        set_up_logs(settings, "simulator")
        try:
            asyncio.run(_run(Simulator(source, Play(pace, cut_after, ids, declared is not None), faults), host, port))
        except UnreadableRecording as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            message = f"Cannot listen on {host}:{port} ({error.strerror}): choose another --port."
            raise click.ClickException(message) from None


def _war_game(
    seed: int,
    rate: float,
    events: int | None,
    start: int | None,
    truth: Path | None,
    silent: float,
    live: bool,
    at_end: ExitStack,
) -> WarGame:
    """The game; `at_end` completes its truth file. Raises OSError when that cannot be written."""
    now = int(time.time()) * 1000
    if start is None:
        start = now if live else FIXED_START
    elif live and not now - HISTORY_LIMIT <= start <= now:
        raise click.UsageError("at speed real the game follows the clock: --start must lie in the last 7 days")
    if truth is None:
        return WarGame(seed, rate, start, events, silent=silent)
    file = TruthFile(truth)
    at_end.callback(file.close)
    game = WarGame(seed, rate, start, events, tell=file.write, silent=silent)
    at_end.callback(game.close)
    return game


async def _run(simulator: Simulator, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(simulator, host, port, stop)
