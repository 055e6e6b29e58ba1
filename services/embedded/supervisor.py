"""Starts parts as child processes in the order of their needs, starts again what dies, and ends all in order.

A state machine without threads: `tick` looks at every part and takes the next step for each; nothing in it waits.
Whoever owns the loop calls it about ten times a second. What to do is decided by the pure functions on top.
"""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, IntEnum
from pathlib import Path
from types import TracebackType

from services.embedded.process import Guard, kill_group, spawn

TICK = 0.1  # seconds between ticks

FIRST_BACKOFF = 0.5  # seconds
BACKOFF_LIMIT = 30.0  # seconds
# A part that was ready for this long and then dies has come back before: its failures count from one again. Parts that
# die on a bad input do so within a second or two of being ready.
STEADY_AFTER = 5.0  # seconds
FAILURES_LIMIT = 6  # in a row; with the backoff between them, about 15 s of trying
# A part that never got ready has most likely a cause that stays, such as a damaged file: tell it soon.
FIRST_FAILURES_LIMIT = 3

LOG_LIMIT = 4 * 2**20  # bytes of PART.log before it becomes PART.log.1: two weeks of logs cannot fill a disk
LOG_CHECK = 5.0  # seconds between looks at the sizes
TAIL = 12  # lines of a log that are shown when a part fails


class Stage(IntEnum):
    """The order in which parts are ended: what others take from, first."""

    SOURCE = 0
    WORK = 1
    STORE = 2


# Seconds after the order to stop: until when a stage may finish what it has (`Part.idle`), and when what is left of it
# is killed. Most of the time is the worker's, for a last checkpoint; the end of all keeps the promise of 10 s.
FINISH_BY = {Stage.SOURCE: 0.0, Stage.WORK: 3.5, Stage.STORE: 0.0}
KILL_AT = {Stage.SOURCE: 3.5, Stage.WORK: 8.0, Stage.STORE: 9.3}

# While a part is replaced: seconds that those it voids may take to work off what reached them, while nothing new
# comes, and then to end. A broker that is full of what no worker has read yet takes minutes.
DRAIN_LIMIT = 300.0
END_LIMIT = 10.0


@dataclass(frozen=True)
class Part:
    """One child process and how to deal with it."""

    name: str
    command: Sequence[str]
    stage: Stage
    # Whether it does its work, given its process id; asked every tick while it starts, so it must answer fast.
    ready: Callable[[int], bool] = lambda _pid: True
    needs: Sequence[str] = ()  # parts that must be ready (or, one-shot, done) before it starts
    one_shot: bool = False  # it is done when it ends with status 0
    vital: bool = True  # whether the run ends when it does not come back; else it is tried again for ever
    # Parts whose work is void once this one has lost what it held: killed at its death, started anew after it.
    voids: Sequence[str] = ()
    # Why it must be replaced although it works, given its process id; "": it need not. Asked every tick.
    outgrown: Callable[[int], str] = lambda _pid: ""
    # Whether it has worked off what reached it, judged by what it said after the given time (seconds since 1970).
    idle: Callable[[float], bool] = lambda _since: True
    start_limit: float = 60.0  # seconds to get ready


class Phase(Enum):
    """Where a part stands; the values are shown."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DONE = "done"
    DOWN = "down"
    ENDING = "ending"


@dataclass
class Slot:
    """A part and its present state."""

    part: Part
    phase: Phase = Phase.WAITING
    process: subprocess.Popen[bytes] | None = None
    since: float = 0.0  # clock at the last change of phase
    failures: int = 0  # in a row
    was_ready: bool = False  # at any time
    retry_at: float = 0.0  # clock

    @property
    def is_up(self) -> bool:
        """Whether parts that need it can start."""
        return self.phase in (Phase.READY, Phase.DONE)


class PartFailed(Exception):
    """A part does not come back; the message names it, what it last said and where its log is."""


def backoff(failures: int) -> float:
    """Seconds to wait before the next start, after `failures` in a row (1 or more)."""
    # the exponent is capped as well: 2 ** 2000 is no float
    return min(FIRST_BACKOFF * 2.0 ** min(failures - 1, 20), BACKOFF_LIMIT)


def failures_after_death(failures: int, ready_for: float | None) -> int:
    """Failures in a row, counting the one now; `ready_for`: seconds, None if it never got ready."""
    return 1 if ready_for is not None and ready_for >= STEADY_AFTER else failures + 1


def may_start(slot: Slot, slots: Mapping[str, Slot], now: float) -> bool:
    """Whether a part that does not run should start now."""
    if slot.phase is Phase.WAITING:
        return all(slots[need].is_up for need in slot.part.needs)
    return slot.phase is Phase.DOWN and now >= slot.retry_at


def describe_exit(status: int) -> str:
    """An exit status as people say it."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def tail(path: Path, lines: int = TAIL) -> str:
    """The last lines of a log file; "" where there are none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 200 * lines))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def bound_log(path: Path, limit: int = LOG_LIMIT) -> None:
    """Move what a log holds to PATH.1 once it is over the limit; its writer goes on in the emptied file.

    Children write straight into the file, so that no pipe can block them and nothing is lost with the supervisor;
    hence it is copied and emptied, not renamed. A line written between the two is lost.
    """
    if path.exists() and path.stat().st_size > limit:
        shutil.copyfile(path, path.with_name(path.name + ".1"))
        with path.open("r+b") as file:
            file.truncate()


@dataclass
class Supervisor:
    """Runs parts; a context manager that leaves none of them behind. `notice` is told what people should know."""

    parts: Sequence[Part]
    environment: Mapping[str, str]
    logs: Path
    notice: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    slots: dict[str, Slot] = field(init=False)
    _guard: Guard | None = field(init=False, default=None)
    _exits: ExitStack = field(init=False, default_factory=ExitStack)
    _logs_checked: float = field(init=False, default=0.0)
    _replacement: Iterator[None] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.slots = {part.name: Slot(part) for part in self.parts}

    def __enter__(self) -> "Supervisor":
        self.logs.mkdir(parents=True, exist_ok=True)
        if sys.platform != "linux":
            self._guard = self._exits.enter_context(Guard())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for slot in self.slots.values():
            self._kill(slot)
        self._exits.close()

    @property
    def all_up(self) -> bool:
        """Whether every part is ready or done."""
        return all(slot.is_up for slot in self.slots.values())

    def log_of(self, name: str) -> Path:
        """Where a part's output goes."""
        return self.logs / f"{name}.log"

    def tick(self) -> None:
        """Take the next step for every part. Raises PartFailed for one that does not come back."""
        now = self.clock()
        for slot in self.slots.values():
            if slot.process is not None:
                self._look_after(slot, slot.process, now)
            if slot.process is None and may_start(slot, self.slots, now):
                self._start(slot, now)
        self._replace_outgrown()
        if now - self._logs_checked >= LOG_CHECK:
            self._logs_checked = now
            for name in self.slots:
                bound_log(self.log_of(name))

    def stop(self, hurry: Callable[[], bool] = lambda: False, *, upto: Stage = Stage.STORE) -> None:
        """End parts stage by stage, the last stage being `upto`, within 10 s; at once when `hurry` says so."""
        began = self.clock()
        for stage in Stage:
            if stage <= upto:
                self._stop_stage(stage, began, hurry)

    def _stop_stage(self, stage: Stage, began: float, hurry: Callable[[], bool]) -> None:
        running = [slot for slot in self.slots.values() if slot.part.stage is stage and slot.process is not None]

        def wait(done: Callable[[Slot], bool], seconds: float) -> None:
            while not all(map(done, running)) and self.clock() < began + seconds and not hurry():
                time.sleep(0.02)

        wait(_has_finished(time.time()), FINISH_BY[stage])
        for slot in running:
            if slot.process is not None:
                slot.process.terminate()
        wait(_has_ended, KILL_AT[stage])
        for slot in running:
            if not _has_ended(slot):
                self.notice(f"{slot.part.name} did not end in time and was killed")
            self._kill(slot)

    def _start(self, slot: Slot, now: float) -> None:
        part = slot.part
        if any(self.slots[name].process is not None for name in part.voids):
            raise AssertionError(f"{part.name} would start beside parts that hold what it has lost")
        with self.log_of(part.name).open("ab", buffering=0) as log:
            log.write(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: starting {part.name}\n".encode())
            slot.process = spawn(part.command, environment=self.environment, output=log)
        if self._guard:
            self._guard.watch(slot.process.pid)
        slot.phase, slot.since = Phase.STARTING, now

    def _look_after(self, slot: Slot, process: subprocess.Popen[bytes], now: float) -> None:
        if slot.phase is Phase.ENDING:  # by the replacement, which watches it
            return
        status = process.poll()
        if status is not None:
            if slot.part.one_shot and status == 0:
                self._kill(slot)
                slot.phase, slot.since, slot.failures = Phase.DONE, now, 0
            else:
                self._fail(slot, describe_exit(status), now)
        elif slot.phase is Phase.STARTING and not slot.part.one_shot and slot.part.ready(process.pid):
            slot.phase, slot.since, slot.was_ready = Phase.READY, now, True
        elif slot.phase is Phase.STARTING and now - slot.since > slot.part.start_limit:
            self._fail(slot, f"was not ready within {slot.part.start_limit:.0f} s", now)

    def _fail(self, slot: Slot, what: str, now: float) -> None:
        part = slot.part
        ready_for = now - slot.since if slot.phase is Phase.READY else None
        slot.failures = failures_after_death(slot.failures, ready_for)
        self._kill(slot)
        for name in part.voids:
            self._void(self.slots[name], now)
        limit = FAILURES_LIMIT if slot.was_ready else FIRST_FAILURES_LIMIT
        if slot.failures >= limit and part.vital:
            raise PartFailed(self._last_words(part, what, slot.failures))
        delay = backoff(slot.failures)
        slot.phase, slot.since, slot.retry_at = Phase.DOWN, now, now + delay
        bound = f" of {limit}" if part.vital else ""
        count = f" (failure {slot.failures}{bound})" if slot.failures > 1 else ""
        self.notice(f"{part.name} {what}{count}; starting it again in {delay:.1f} s")

    def _void(self, slot: Slot, now: float) -> None:
        self._kill(slot)  # there is nothing worth flushing in it
        slot.phase, slot.since = Phase.WAITING, now

    def _replace_outgrown(self) -> None:
        if self._replacement is None:
            for slot in self.slots.values():
                if slot.phase is Phase.READY and slot.process and (why := slot.part.outgrown(slot.process.pid)):
                    self.notice(f"{slot.part.name} {why}; replacing it in order, which loses nothing")
                    self._replacement = self._replacing(slot)
                    break
        elif next(self._replacement, "over") == "over":
            self._replacement = None

    def _replacing(self, slot: Slot) -> Iterator[None]:
        """End what the part voids, stage by stage, then the part; all of it then starts by its needs. A step a tick."""
        voided = [self.slots[name] for name in slot.part.voids]

        def wait(slots: list[Slot], done: Callable[[Slot], bool], seconds: float) -> Iterator[None]:
            deadline = self.clock() + seconds
            while not all(map(done, slots)) and self.clock() < deadline and not _has_ended(slot):
                yield

        slot.phase = Phase.ENDING
        for other in voided:
            if other.process is None:  # it is done, or would start again
                self._void(other, self.clock())
        for stage in Stage:
            running = [other for other in voided if other.part.stage is stage and other.process is not None]
            yield from wait(running, _has_finished(time.time()), DRAIN_LIMIT)
            for other in running:
                other.phase = Phase.ENDING
                if other.process is not None:
                    other.process.terminate()
            yield from wait(running, _has_ended, END_LIMIT)
            for other in running:
                self._void(other, self.clock())
        for other in [*voided, slot]:  # one that died by itself may have come back meanwhile
            self._void(other, self.clock())

    def _kill(self, slot: Slot) -> None:
        """The process if it still runs, and whatever it started that is still there."""
        if slot.process is not None:
            kill_group(slot.process.pid)
            slot.process.wait()
            if self._guard:
                self._guard.forget(slot.process.pid)
            slot.process = None

    def _last_words(self, part: Part, what: str, failures: int) -> str:
        log = self.log_of(part.name)
        return (
            f"{part.name} {what}, {failures} times in a row, so everything ends here. Its last lines, of {log}:\n"
            f"{tail(log)}"
        )


def _has_ended(slot: Slot) -> bool:
    return slot.process is None or slot.process.poll() is not None


def _has_finished(since: float) -> Callable[[Slot], bool]:
    """Whether a part has ended, or worked off what reached it, by what it said after `since`."""
    return lambda slot: _has_ended(slot) or slot.part.idle(since)
