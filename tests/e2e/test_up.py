"""`battlefield up` as a user runs it, with all its parts: counts, a killed part, the end, a second run."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.common.heartbeat import read_heartbeat
from services.common.settings import PROJECT_ROOT
from tests.events import START, event_json

EVENTS = 3_000
# what does not become a stored change
CATEGORIZED = range(9, EVENTS, 10)
REVERTS = range(5, EVENTS, 20)
HOSTILE = ["{not json", '"a text"', json.dumps({"meta": 5})]


def recording(path: Path, first: int = 0) -> Path:
    """EVENTS plausible events at ten a second, some lines that are none, and an empty one."""
    with path.open("w") as file:
        for number in range(first, first + EVENTS):
            timestamp = START + number // 10
            changed: dict[str, Any] = {"title": f"Page {number % 50}", "user": f"User {number % 7}"}
            if number in CATEGORIZED:
                changed["type"] = "categorize"
            if number in REVERTS:
                reverted = f"User {(number - 50) % 7}"
                changed["comment"] = (
                    f"Undid revision {5_000_000 + number - 50} by [[Special:Contributions/{reverted}|{reverted}]]"
                    f" ([[User talk:{reverted}|talk]])"
                )
            dt = datetime.fromtimestamp(timestamp + 1, UTC).isoformat().replace("+00:00", "Z")
            file.write(event_json(number, timestamp=timestamp, meta={"dt": dt}, **changed) + "\n")
        file.writelines(line + "\n" for line in ["", *HOSTILE])
    return path


def environment() -> dict[str, str]:
    """Ours without settings of a machine where another stack is configured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "CLICKHOUSE_"))}
    return kept | {"PYTHONPATH": str(PROJECT_ROOT)}


@contextmanager
def battlefield_up(data_dir: Path, source: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process; whatever is left of it is killed in the end."""
    command = [sys.executable, "-m", "services", "up", "--source", source, "--data-dir", str(data_dir), *options]
    with subprocess.Popen(
        command, env=environment(), cwd=data_dir.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def to_the_end(data_dir: Path, source: Path) -> dict[str, Any]:
    """A finite run; the JSON object on the last line of its output."""
    options = ["--speed", "max", "--no-dashboard", "--exit-when-done", "--json"]
    with battlefield_up(data_dir, str(source), *options) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    summary: dict[str, Any] = json.loads(out.splitlines()[-1])
    return summary


def family(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def alive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def wait_for(condition: Callable[[], object], seconds: float, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def is_at_work(data_dir: Path, role: str, but_not: int = 0) -> int:
    """The process id in a role's heartbeat while it runs, else 0; `but_not`: one that does not count."""
    beat = read_heartbeat(data_dir, role)
    return beat.pid if beat and beat.state in ("running", "waiting") and beat.pid != but_not else 0


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """A data directory, the recording and the summary of its first run."""
    folder = tmp_path_factory.mktemp("up")
    file = recording(folder / "small.jsonl")
    return folder / "data", file, to_the_end(folder / "data", file)


COUNTED = (
    "read",
    "dropped",
    "dead_lettered",
    "stored",
    "duplicates",
    "late",
    "windows",
    "reverts",
    "reverts_with_name",
)


def test_everything_that_was_read_is_accounted_for(first_run: tuple[Path, Path, dict[str, Any]]) -> None:
    _, _, summary = first_run
    assert summary["complete"] is True
    assert summary["read"] == EVENTS + len(HOSTILE)
    assert summary["dropped"] == {"categorize": len(CATEGORIZED), "empty_lines": 1}
    assert summary["dead_lettered"] == len(HOSTILE)
    assert summary["stored"] == EVENTS - len(CATEGORIZED)
    assert summary["reverts"] == summary["reverts_with_name"] == len(REVERTS)
    assert summary["duplicates"] == summary["late"] == 0
    assert summary["windows"] > EVENTS / 10 / 10
    assert summary["changes_per_s"] == pytest.approx(summary["read"] / summary["seconds"], rel=0.01)
    assert 100 < summary["peak_memory_mib"] < 2048


def test_a_second_run_over_the_same_data_counts_the_same(first_run: tuple[Path, Path, dict[str, Any]]) -> None:
    data_dir, file, first = first_run
    second = to_the_end(data_dir, file)
    assert {name: second[name] for name in COUNTED} == {name: first[name] for name in COUNTED}
    assert second["seconds"] is None


def test_a_killed_part_comes_back_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    file = recording(tmp_path / "small.jsonl")
    ports = ["--broker-port", "0", "--clickhouse-port", "0"]
    with battlefield_up(data_dir, str(file), "--speed", "1", "--no-dashboard", *ports) as process:
        wait_for(lambda: is_at_work(data_dir, "producer"), 60, process)
        wait_for(lambda: is_at_work(data_dir, "worker-1"), 60, process)
        worker, broker = is_at_work(data_dir, "worker-1"), is_at_work(data_dir, "broker")
        assert 0 not in (worker, broker), "kill(0) would end the tests themselves"
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: is_at_work(data_dir, "worker-1", but_not=worker), 30, process)
        assert is_at_work(data_dir, "broker") == broker

        # the broker takes what hangs on it with it
        worker, producer = is_at_work(data_dir, "worker-1"), is_at_work(data_dir, "producer")
        os.kill(broker, signal.SIGKILL)
        wait_for(lambda: is_at_work(data_dir, "broker", but_not=broker), 30, process)
        wait_for(lambda: is_at_work(data_dir, "worker-1", but_not=worker), 30, process)
        wait_for(lambda: is_at_work(data_dir, "producer", but_not=producer), 30, process)

        everything = family(process)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 10
        assert process.returncode == 0, err
        assert alive(everything) == []
    assert "worker-1 was ended by SIGKILL; starting it again in 0.5 s" in out
    assert "broker was ended by SIGKILL" in out


def test_kill_9_leaves_no_process_behind(tmp_path: Path) -> None:
    file = recording(tmp_path / "small.jsonl")
    data_dir = tmp_path / "data"
    ports = ["--broker-port", "0", "--clickhouse-port", "0"]
    with battlefield_up(data_dir, str(file), "--no-dashboard", *ports) as process:
        wait_for(lambda: is_at_work(data_dir, "broker"), 60, process)
        everything = family(process)
        assert len(everything) >= 4  # broker and its binary, endpoint, simulator
        process.kill()
        _, left = psutil.wait_procs(everything, timeout=5)
        assert alive(left) == []


def test_a_part_that_cannot_start_ends_everything_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "broken.jsonl.gz"
    file.write_bytes(gzip.compress(b"x" * 100_000)[:-20])
    with battlefield_up(tmp_path / "data", str(file), "--no-dashboard", "--exit-when-done", "--json") as process:
        everything: list[psutil.Process] = []
        while process.poll() is None:
            everything = family(process) or everything
            time.sleep(0.2)
        out, err = process.communicate()
    assert process.returncode == 1
    assert "simulator ended with status 1, 3 times in a row" in err
    assert f"{file}" in err.split("Its last lines")[1]
    answer = json.loads(out.splitlines()[-1])
    assert answer["complete"] is False
    assert "simulator ended with status 1" in answer["error"]
    assert alive(everything) == []
