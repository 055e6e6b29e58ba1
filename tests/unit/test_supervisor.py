"""The supervisor over tiny parts: order of start, restart, giving up, order of end, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from services.common.settings import PROJECT_ROOT
from services.embedded.guard import groups_left
from services.embedded.process import Guard
from services.embedded.supervisor import (
    BACKOFF_LIMIT,
    FAILURES_LIMIT,
    FIRST_FAILURES_LIMIT,
    STEADY_AFTER,
    Part,
    PartFailed,
    Phase,
    Slot,
    Stage,
    Supervisor,
    backoff,
    bound_log,
    describe_exit,
    failures_after_death,
    may_start,
    tail,
)

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
# writes its name when it is asked to end, then ends
POLITE = """
import signal, sys, time
def end(*_):
    open(sys.argv[2], "a").write(sys.argv[1] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(sys.argv[3], "w").close()
while True:
    time.sleep(0.01)
"""


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def supervise(tmp_path: Path, *parts: Part) -> tuple[Supervisor, list[str]]:
    notices: list[str] = []
    return Supervisor(parts, dict(os.environ), tmp_path / "logs", notices.append), notices


def tick_until(supervisor: Supervisor, condition: Callable[[], bool], seconds: float = 15.0) -> None:
    def ticked() -> bool:
        supervisor.tick()
        return condition()

    wait_for(ticked, seconds)


def pid_of(supervisor: Supervisor, name: str) -> int:
    process = supervisor.slots[name].process
    assert process is not None
    return process.pid


def polite_part(tmp_path: Path, name: str, stage: Stage, **options: object) -> Part:
    """A part that notes in tmp_path/ended when it is asked to end."""
    started = tmp_path / f"{name}.started"
    command = [sys.executable, "-S", "-c", POLITE, name, str(tmp_path / "ended"), str(started)]
    return Part(name, command, stage, ready=lambda _pid: started.exists(), **options)  # type: ignore[arg-type]


def test_backoff_doubles_up_to_a_cap() -> None:
    assert [backoff(n) for n in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert backoff(5000) == BACKOFF_LIMIT


def test_only_failures_in_a_row_count() -> None:
    assert failures_after_death(3, None) == 4
    assert failures_after_death(3, STEADY_AFTER / 2) == 4
    assert failures_after_death(3, STEADY_AFTER) == 1


def test_a_part_starts_when_all_it_needs_is_up() -> None:
    slots = {name: Slot(Part(name, SLEEP, Stage.STORE)) for name in ("broker", "migrate")}
    slots["worker"] = Slot(Part("worker", SLEEP, Stage.WORK, needs=["broker", "migrate"]))
    assert not may_start(slots["worker"], slots, 0.0)
    slots["broker"].phase = Phase.READY
    assert not may_start(slots["worker"], slots, 0.0)
    slots["migrate"].phase = Phase.DONE
    assert may_start(slots["worker"], slots, 0.0)


def test_a_part_that_is_down_starts_after_its_backoff() -> None:
    slot = Slot(Part("p", SLEEP, Stage.WORK), phase=Phase.DOWN, retry_at=5.0)
    assert not may_start(slot, {"p": slot}, 4.9)
    assert may_start(slot, {"p": slot}, 5.0)


def test_exits_are_named() -> None:
    assert describe_exit(3) == "ended with status 3"
    assert describe_exit(-9) == "was ended by SIGKILL"
    assert describe_exit(-250) == "was ended by signal 250"


def test_parts_start_in_the_order_of_their_needs(tmp_path: Path) -> None:
    once = Part("migrate", [sys.executable, "-S", "-c", ""], Stage.STORE, needs=["broker"], one_shot=True)
    supervisor, notices = supervise(
        tmp_path, Part("worker", SLEEP, Stage.WORK, needs=["migrate"]), once, Part("broker", SLEEP, Stage.STORE)
    )
    with supervisor:
        supervisor.tick()
        assert [name for name, slot in supervisor.slots.items() if slot.process] == ["broker"]
        tick_until(supervisor, lambda: supervisor.all_up)
        assert supervisor.slots["migrate"].phase is Phase.DONE
        started = pid_of(supervisor, "worker")
    assert not is_alive(started)
    assert notices == []


def test_a_part_that_dies_is_started_again(tmp_path: Path) -> None:
    supervisor, notices = supervise(tmp_path, Part("worker", SLEEP, Stage.WORK))
    with supervisor:
        tick_until(supervisor, lambda: supervisor.all_up)
        first = pid_of(supervisor, "worker")
        os.kill(first, signal.SIGKILL)
        tick_until(supervisor, lambda: not supervisor.all_up)
        tick_until(supervisor, lambda: supervisor.all_up)
        assert pid_of(supervisor, "worker") != first
    assert notices == ["worker was ended by SIGKILL; starting it again in 0.5 s"]


def test_a_part_that_does_not_come_back_ends_everything_with_its_last_words(tmp_path: Path) -> None:
    clock = iter(range(0, 10_000_000, 40))  # every look is 40 s after the one before: no backoff is waited for
    notices: list[str] = []
    command = [sys.executable, "-S", "-c", "print('no luck'); raise SystemExit(7)"]
    part = Part("worker", command, Stage.WORK, ready=lambda _pid: False, start_limit=1e9)
    with (
        Supervisor([part], dict(os.environ), tmp_path, notices.append, clock=lambda: float(next(clock))) as supervisor,
        pytest.raises(PartFailed) as failure,
    ):
        tick_until(supervisor, lambda: False)
    assert f"worker ended with status 7, {FIRST_FAILURES_LIMIT} times in a row" in str(failure.value)
    assert "no luck" in str(failure.value)
    assert str(tmp_path / "worker.log") in str(failure.value)
    assert len(notices) == FIRST_FAILURES_LIMIT - 1


def test_a_part_that_is_not_vital_never_ends_the_others(tmp_path: Path) -> None:
    clock = iter(range(0, 10_000_000, 40))
    notices: list[str] = []
    parts = [
        Part("worker", SLEEP, Stage.WORK),
        Part("notifier", [sys.executable, "-S", "-c", "raise SystemExit(7)"], Stage.SOURCE, vital=False),
    ]
    with Supervisor(parts, dict(os.environ), tmp_path, notices.append, clock=lambda: float(next(clock))) as supervisor:
        tick_until(supervisor, lambda: len(notices) > FAILURES_LIMIT + 1)
        assert supervisor.slots["worker"].phase is Phase.READY


def test_a_part_that_was_ready_before_is_given_more_chances(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    script = f"import os, time; time.sleep(0 if os.path.exists({str(broken)!r}) else 60)"
    part = Part("worker", [sys.executable, "-S", "-c", script], Stage.WORK, ready=lambda _pid: not broken.exists())
    clock = iter(range(0, 10_000_000, 40))
    notices: list[str] = []
    with Supervisor([part], dict(os.environ), tmp_path, notices.append, clock=lambda: float(next(clock))) as supervisor:
        tick_until(supervisor, lambda: supervisor.all_up)
        broken.touch()
        os.kill(pid_of(supervisor, "worker"), signal.SIGKILL)
        with pytest.raises(PartFailed, match=f"{FAILURES_LIMIT} times in a row"):
            tick_until(supervisor, lambda: False)


def test_a_part_that_does_not_get_ready_counts_as_failed(tmp_path: Path) -> None:
    part = Part("worker", SLEEP, Stage.WORK, ready=lambda _pid: False, start_limit=0.1)
    supervisor, notices = supervise(tmp_path, part)
    with supervisor:
        supervisor.tick()
        hung = pid_of(supervisor, "worker")
        tick_until(supervisor, lambda: bool(notices))
        assert not is_alive(hung)
    assert notices == ["worker was not ready within 0 s; starting it again in 0.5 s"]


def broker_and_what_hangs_on_it(tmp_path: Path, **options: object) -> list[Part]:
    return [
        polite_part(tmp_path, "broker", Stage.STORE, voids=["migrate", "producer", "worker"], **options),
        Part("migrate", [sys.executable, "-S", "-c", ""], Stage.STORE, needs=["broker"], one_shot=True),
        polite_part(tmp_path, "worker", Stage.WORK, needs=["migrate"], idle=lambda _: (tmp_path / "idle").exists()),
        polite_part(tmp_path, "producer", Stage.SOURCE, needs=["migrate", "worker"]),
        Part("dashboard", SLEEP, Stage.SOURCE),
    ]


def test_what_hangs_on_a_lost_part_is_started_anew_after_it(tmp_path: Path) -> None:
    supervisor, notices = supervise(tmp_path, *broker_and_what_hangs_on_it(tmp_path))
    with supervisor:
        tick_until(supervisor, lambda: supervisor.all_up)
        before = {name: pid_of(supervisor, name) for name in ("worker", "producer", "dashboard")}
        os.kill(pid_of(supervisor, "broker"), signal.SIGKILL)
        tick_until(supervisor, lambda: not is_alive(before["worker"]))
        assert supervisor.slots["migrate"].phase is Phase.WAITING
        tick_until(supervisor, lambda: supervisor.all_up)
        assert pid_of(supervisor, "worker") != before["worker"]
        assert pid_of(supervisor, "producer") != before["producer"]
        assert pid_of(supervisor, "dashboard") == before["dashboard"]
    assert not (tmp_path / "ended").exists(), "there was nothing worth finishing"
    assert len(notices) == 1


def test_an_outgrown_part_is_replaced_after_what_hangs_on_it_has_finished(tmp_path: Path) -> None:
    outgrown = {0}

    def why(pid: int) -> str:
        return "is full" if pid in outgrown else ""

    supervisor, notices = supervise(tmp_path, *broker_and_what_hangs_on_it(tmp_path, outgrown=why))
    with supervisor:
        tick_until(supervisor, lambda: supervisor.all_up)
        names = ("broker", "worker", "producer", "dashboard")
        before = {name: pid_of(supervisor, name) for name in names}
        outgrown.add(before["broker"])
        tick_until(supervisor, lambda: supervisor.slots["producer"].process is None)
        for _ in range(20):
            supervisor.tick()
        assert is_alive(before["worker"]), "it has not worked off what reached it"
        assert supervisor.slots["producer"].process is None, "it would go on filling"
        (tmp_path / "idle").touch()
        tick_until(supervisor, lambda: supervisor.all_up and pid_of(supervisor, "broker") != before["broker"])
        after = {name: pid_of(supervisor, name) for name in names}
        assert {name for name in names if after[name] == before[name]} == {"dashboard"}
        assert all(slot.failures == 0 for slot in supervisor.slots.values())
    assert (tmp_path / "ended").read_text().split() == ["producer", "worker"]
    assert notices == ["broker is full; replacing it in order, which loses nothing"]


def test_an_outgrown_part_that_dies_meanwhile_is_not_waited_for(tmp_path: Path) -> None:
    outgrown = {0}
    parts = broker_and_what_hangs_on_it(tmp_path, outgrown=lambda pid: "is full" if pid in outgrown else "")
    supervisor, _ = supervise(tmp_path, *parts)
    with supervisor:
        tick_until(supervisor, lambda: supervisor.all_up)
        broker, worker = pid_of(supervisor, "broker"), pid_of(supervisor, "worker")
        outgrown.add(broker)
        tick_until(supervisor, lambda: supervisor.slots["producer"].process is None)
        os.kill(broker, signal.SIGKILL)
        tick_until(supervisor, lambda: supervisor.all_up and pid_of(supervisor, "worker") != worker, 5)


def test_parts_end_in_order_source_first(tmp_path: Path) -> None:
    parts = [
        polite_part(tmp_path, "broker", Stage.STORE),
        polite_part(tmp_path, "worker", Stage.WORK),
        polite_part(tmp_path, "producer", Stage.SOURCE),
    ]
    supervisor, notices = supervise(tmp_path, *parts)
    with supervisor:
        tick_until(supervisor, lambda: supervisor.all_up)
        supervisor.stop()
        assert all(slot.process is None for slot in supervisor.slots.values())
    assert (tmp_path / "ended").read_text().split() == ["producer", "worker", "broker"]
    assert notices == []


def test_a_worker_may_catch_up_before_it_is_ended(tmp_path: Path) -> None:
    caught_up = time.monotonic() + 0.5
    part = polite_part(tmp_path, "worker", Stage.WORK, idle=lambda _since: time.monotonic() > caught_up)
    supervisor, _ = supervise(tmp_path, part)
    with supervisor:
        tick_until(supervisor, lambda: supervisor.all_up)
        supervisor.stop()
        assert caught_up < time.monotonic() < caught_up + 2


def test_a_part_that_does_not_end_is_killed_at_once_when_urged(tmp_path: Path) -> None:
    started = tmp_path / "started"
    deaf = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(started)!r}, 'w'); time.sleep(60)"
    command = [sys.executable, "-S", "-c", deaf]
    part = Part("producer", command, Stage.SOURCE, ready=lambda _pid: started.exists())
    supervisor, notices = supervise(tmp_path, part)
    with supervisor:
        tick_until(supervisor, lambda: supervisor.all_up)
        pid = pid_of(supervisor, "producer")
        began = time.monotonic()
        supervisor.stop(hurry=lambda: time.monotonic() > began + 0.5)
        assert time.monotonic() - began < 2
        assert not is_alive(pid)
    assert notices == ["producer did not end in time and was killed"]


def test_what_a_part_started_itself_ends_with_it(tmp_path: Path) -> None:
    child_file = tmp_path / "child"
    parent = (
        f"import subprocess, time; p = subprocess.Popen({SLEEP!r});"
        f"open({str(child_file)!r}, 'w').write(str(p.pid)); time.sleep(60)"
    )
    part = Part("broker", [sys.executable, "-c", parent], Stage.STORE, ready=lambda _pid: bool(tail(child_file)))
    supervisor, notices = supervise(tmp_path, part)
    with supervisor:
        tick_until(supervisor, lambda: supervisor.all_up)
        grandchild = int(child_file.read_text())
        os.kill(pid_of(supervisor, "broker"), signal.SIGKILL)
        tick_until(supervisor, lambda: bool(notices))
        wait_for(lambda: not is_alive(grandchild))


@pytest.fixture
def killed_supervisor(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that supervises one part, and the part's process id."""
    script = f"""
import os, sys, time
from pathlib import Path
from services.embedded.supervisor import Part, Stage, Supervisor
part = Part("p", {SLEEP!r}, Stage.WORK)
with Supervisor([part], dict(os.environ), Path({str(tmp_path)!r}), print) as supervisor:
    supervisor.tick()
    print(supervisor.slots["p"].process.pid, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


def test_no_part_outlives_a_killed_supervisor(killed_supervisor: tuple[subprocess.Popen[str], int]) -> None:
    supervisor, part = killed_supervisor
    assert is_alive(part)
    supervisor.kill()
    wait_for(lambda: not is_alive(part), 5)


def test_the_guard_kills_what_was_announced_and_not_taken_back() -> None:
    with (
        subprocess.Popen(SLEEP, start_new_session=True) as watched,
        subprocess.Popen(SLEEP, start_new_session=True) as forgotten,
    ):
        with Guard() as guard:
            guard.watch(watched.pid)
            guard.watch(forgotten.pid)
            guard.forget(forgotten.pid)
        assert watched.wait(timeout=5) == -signal.SIGKILL
        assert forgotten.poll() is None
        forgotten.kill()


def test_the_guard_reads_its_lines() -> None:
    assert groups_left(["+12\n", "+34\n", "-12\n", "-99\n"]) == {34}


def test_a_log_is_bounded_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 100)
        bound_log(log, limit=100)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "part.log.1").read_bytes() == b"old\n" * 100


def test_tail_gives_the_last_lines_of_anything(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    assert tail(log) == ""
    log.write_bytes(b"\xff\xfe first\n" + b"x\n" * 50 + b"last\n")
    assert tail(log, 2).splitlines() == ["x", "last"]
