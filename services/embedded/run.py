"""One run of the planned parts: start them, show what happens, end them, and say what came of a finite run."""

import os
import shutil
import signal
import time
from types import FrameType, TracebackType

from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console

from services.common.settings import Settings
from services.embedded.memory import MEASURE
from services.embedded.meter import Finish, Meter
from services.embedded.plan import Plan, announced, child_environment, parts_of
from services.embedded.ports import LOOPBACK
from services.embedded.screen import Screen
from services.embedded.summary import Summary, summarise
from services.embedded.supervisor import TICK, PartFailed, Stage, Supervisor

# A finite run in which nothing at all goes on for this long will not end by itself. A restart of the broker with all
# that hangs on it takes some 20 s.
STALL_LIMIT = 120.0  # seconds
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class RunFailed(Exception):
    """The run cannot go on; the message says why and where to look."""


class StopSignals:
    """Counts the signals that ask us to end, for as long as it is entered."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "StopSignals":
        self._before = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1

    def urged(self) -> bool:
        """A second Ctrl-C: there is no time for an orderly end."""
        return self.count > 1


def run(plan: Plan, settings: Settings, console: Console, *, finite: bool) -> Summary | None:
    """Run until a signal comes (None) or, if `finite`, until all is stored. Raises RunFailed."""
    # beats of an earlier run would be taken for this one's
    shutil.rmtree(plan.data_dir / "heartbeats", ignore_errors=True)
    meter = Meter(plan, reader_settings(plan, settings), finite=finite)
    parts, environment = parts_of(plan), child_environment(plan, os.environ)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (
        announced(plan, settings.data_dir),
        StopSignals() as signals,
        Screen(console, live=plan.follows_the_clock) as screen,
        Supervisor(parts, environment, plan.data_dir / "logs", screen.say) as supervisor,
    ):
        meter.start()
        try:
            finish = _run_until_the_end(plan, supervisor, meter, screen, signals, finite=finite)
            if finish is None:
                screen.say("Ending everything in order; what was stored stays. Ctrl-C again ends it at once.")
                return None
            # the last windows and reverts are written when the workers end
            supervisor.stop(signals.urged, upto=Stage.WORK)
            return _summarise(plan, meter, finish)
        except PartFailed as error:
            raise RunFailed(str(error)) from error
        finally:
            meter.end()
            supervisor.stop(signals.urged)


def reader_settings(plan: Plan, settings: Settings) -> Settings:
    """Settings that lead to the embedded ClickHouse endpoint as its local reader."""
    embedded = {
        "clickhouse_host": LOOPBACK,
        "clickhouse_port": plan.ports.clickhouse,
        "clickhouse_secure": False,
        "clickhouse_reader_user": "",
    }
    return settings.model_copy(update=embedded)


def _run_until_the_end(
    plan: Plan, supervisor: Supervisor, meter: Meter, screen: Screen, signals: StopSignals, *, finite: bool
) -> Finish | None:
    """The loop; None when a signal ended it. Raises PartFailed, RunFailed."""
    greeted = False
    while not signals.count:
        supervisor.tick()
        if meter.finish is not None:
            return meter.finish
        if greeted:
            screen.show_figures(meter.figures)
        elif supervisor.all_up:
            greeted = True
            screen.say(_greeting(plan))
        else:
            screen.show_start(supervisor.slots, time.monotonic())
        if finite and is_stalled(plan, meter, time.monotonic()):
            raise RunFailed(_stall_message(plan, meter))
        time.sleep(TICK)
    return None


def is_stalled(plan: Plan, meter: Meter, now: float) -> bool:
    """Whether a finite run stands still although it has something to do; `now` as time.monotonic().

    A recording at its own pace may have long silences of its own: then only what was sent and not stored counts.
    """
    waited_for = plan.play.speed == "max" or meter.figures.playing.all_sent
    return waited_for and now - meter.progressed > STALL_LIMIT


def _greeting(plan: Plan) -> str:
    address = (
        f"http://{LOOPBACK}:{plan.ports.dashboard}"
        if plan.dashboard
        else f"ClickHouse at {LOOPBACK}:{plan.ports.clickhouse}"
    )
    return f"\nWiki Battlefield: {address}\nPlaying {plan.source}. Data and logs: {plan.data_dir}. Ctrl-C ends it.\n"


def _stall_message(plan: Plan, meter: Meter) -> str:
    figures = meter.figures
    events = figures.playing.events
    return (
        f"Nothing has gone on for {STALL_LIMIT:.0f} s: {figures.playing.sent:,} of "
        f"{events if events is not None else '?':,} events sent, {figures.read:,} read, {figures.accounted:,} accounted"
        f" for, {figures.stored:,} stored. The parts' logs are in {plan.data_dir / 'logs'}."
        + (f"\nClickHouse's last error: {meter.last_error}" if meter.last_error else "")
    )


def _summarise(plan: Plan, meter: Meter, finish: Finish) -> Summary:
    try:
        account = meter.account()
    except ClickHouseError as error:
        raise RunFailed(f"All is stored, but ClickHouse does not say how much: {error}") from error
    return summarise(str(plan.source), account, meter.figures.playing, finish, meter.peak_memory, MEASURE)
