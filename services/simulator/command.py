"""`battlefield simulate`: the command line of the simulator."""

import asyncio
import signal
from pathlib import Path
from typing import Literal

import click

from services.common.logs import set_up_logs
from services.common.settings import get_settings
from services.simulator.clock import Pace
from services.simulator.faults import Faults
from services.simulator.log import Source
from services.simulator.recording import Recording, UnreadableRecording
from services.simulator.server import Play, Simulator, serve


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


@click.command()
@click.option("--recording", type=click.Path(path_type=Path), help="Play this file (.jsonl or .jsonl.gz).")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8088, show_default=True, help="0: a free one.")
@click.option("--speed", default="real", show_default=True, callback=_speed, help="real, max or a factor.")
@click.option("--cut-after", type=click.FloatRange(0), default=15.0, show_default=True, help="Minutes; 0: never.")
@click.option(
    "--ids", type=click.Choice(["offset", "timestamp"]), default="offset", show_default=True, help="Kind of SSE ids."
)
@click.option("--fault-seed", type=int, default=0, show_default=True, help="Repeats the same faults.")
@click.option("--cut-every", type=click.FloatRange(0), default=0.0, help="Cut in the middle of an event, seconds.")
@click.option("--duplicate-every", type=click.IntRange(0), default=0, help="Send the newest events again, events.")
@click.option("--resend-every", type=click.IntRange(0), default=0, help="One of so many again at a second offset.")
@click.option("--swap-every", type=click.IntRange(0), default=0, help="Swap the datacenter's topic, events.")
@click.option("--refuse", type=click.FloatRange(0, 0.95), default=0.0, help="Share of connections refused (429, 503).")
@click.option("--silence-every", type=click.FloatRange(0), default=0.0, help="Fall silent, seconds.")
@click.option(
    "--silence-for", type=click.FloatRange(0), default=5.0, show_default=True, help="Length of a silence, seconds."
)
def command(
    recording: Path | None,
    host: str,
    port: int,
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
    """Serve a recording or a war game as EventStreams would."""
    set_up_logs(get_settings(), "simulator")
    faults = Faults(
        fault_seed, cut_every, duplicate_every, resend_every, swap_every, refuse, silence_every, silence_for
    )
    try:
        source: Source
        if recording is None:
            raise click.UsageError("give --recording FILE")
        source = Recording(recording)
        pace: Pace = 1.0 if speed == "real" else speed
        asyncio.run(_run(Simulator(source, Play(pace, cut_after, ids), faults), host, port))
    except UnreadableRecording as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(
            f"Cannot listen on {host}:{port} ({error.strerror}): choose another --port."
        ) from None


async def _run(simulator: Simulator, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(simulator, host, port, stop)
