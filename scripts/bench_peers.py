"""The same job in this project's worker, in Bytewax and in Spark: `make bench-peers`.

The job: from `wiki.edits`, the 10 s windows by wiki and actor (edits, creations, bytes added and removed), and a row
for each revert whose summary names another editor, into ClickHouse. In a round, all systems read the same topic of the
same Apache Kafka one after the other, and write into the same ClickHouse. The rows are compared: a system that computes
something else is not compared, it fails.

The worker does more than the job: it leaves out duplicates, stores every change, resolves reverts by the page's past,
follows battles and watches the three-revert rule. Nothing of that is taken off its figures.

Before a round all of the topic is read once by nobody, so that the first system meets as warm a broker as the last; the
order turns by one each round. Rate and CPU are those from the first quarter of the changes on. Spark reads all twice in
one process, and its second pass counts, for Java compiles what it runs while it runs. CPU and memory are those of all
processes of a system; ClickHouse's and Kafka's stand apart. Peak memory is that of the first pass.
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, TopicPartition

from scripts.bench_lab import (
    RUN_LIMIT,
    Lab,
    Message,
    Usage,
    Watched,
    changes_of,
    events_of,
    keep_stdout_for_the_report,
    lab,
    machine,
    messages_of,
    send,
    write_events,
)
from scripts.peers.kafka import running_kafka
from services.common.change import EDITS_TOPIC, decode_changes
from services.common.clickhouse import writer_client, writer_password_path
from services.common.kafka import kafka_config
from services.common.migrations import apply_migrations
from services.common.settings import PROJECT_ROOT, Settings

PACKAGES = ("quixstreams", "bytewax", "pyspark", "confluent-kafka", "chdb", "msgspec", "pyarrow")
WARM = 0.25  # share of the changes
ASK_EVERY = 0.05  # seconds between questions of how much the worker has stored
PER_TRIGGER = 800  # messages a micro-batch of Spark

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


Counts = dict[int, list[int]]


class System(NamedTuple):
    """One way to do the job."""

    name: str
    module: str  # "" for the worker
    environment: dict[str, str]
    keeps: str  # what it keeps safe


SYSTEMS = {
    "worker": System("this worker", "", {"WORKER_CHANGELOG": "true"}, "state: RocksDB and changelog topics"),
    "worker-disk": System("this worker", "", {"WORKER_CHANGELOG": "false"}, "state: RocksDB; else out of ClickHouse"),
    "bytewax": System("Bytewax", "scripts.peers.bytewax_job", {}, "nothing"),
    "bytewax-recovery": System("Bytewax", "scripts.peers.bytewax_job", {"RECOVERY": "1"}, "state: recovery store"),
    "spark": System("Spark", "scripts.peers.spark_job", {"SPARK_MODE": "state"}, "state: RocksDB and checkpoint"),
    "spark-stateless": System(
        "Spark, windows by ClickHouse", "scripts.peers.spark_job", {"SPARK_MODE": "partial"}, "its place in the topic"
    ),
}


class Run(NamedTuple):
    """What one system needed."""

    changes_per_s: float
    changes_per_cpu_s: float
    clickhouse_us: float  # µs of ClickHouse's CPU a change
    kafka_us: float  # the same of Kafka's
    start_s: float  # from its start to its first result
    peak_mib: float
    windows: tuple[Any, ...]
    pairs: tuple[Any, ...]


class Given(NamedTuple):
    """What all systems of a round are measured with."""

    made: Lab
    messages: list[Message]
    changes: int
    spark: dict[str, str]  # Spark's environment


class Mark(NamedTuple):
    """A moment of a run."""

    changes: float
    usage: Usage


@contextmanager
def watching(*pids: int) -> Iterator[tuple[Watched, ...]]:
    """The usage of some processes, for a while."""
    all_of_them = tuple(map(Watched, pids))
    try:
        yield all_of_them
    finally:
        for one in all_of_them:
            one.end()


def run_worker(given: Given, system: System, folder: Path) -> Run:
    """The worker, into a database of its own."""
    made = given.made
    database = f"own_{folder.name.replace('-', '_')}"
    settings = made.settings.model_copy(update={"clickhouse_database": database})
    apply_migrations(settings)
    with (
        writer_client(settings) as client,
        watching(made.clickhouse.pid, made.broker.pid) as (clickhouse, kafka),
    ):
        changed: dict[str, object] = {name.lower(): value for name, value in system.environment.items()}
        changed |= {"data_dir": folder, "worker_group": folder.name, "clickhouse_database": database}
        changed |= {"clickhouse_user": "writer", "clickhouse_password": _password(made)}
        began = time.monotonic()
        process = made.start("work", "--name", "worker-1", **changed)
        with watching(process.pid) as (watched,):
            stored = partial(_count, client)
            made.wait_for(lambda: stored() > 0, every=ASK_EVERY)
            started = time.monotonic() - began
            made.wait_for(lambda: stored() >= given.changes * WARM, every=ASK_EVERY)
            # a piece is stored just now; what was folded while it was written is taken to be as much, and is taken off
            before = stored()
            made.wait_for(lambda: stored() > before, every=ASK_EVERY)
            now = stored()
            first = Mark(now + (now - before), watched.usage())
            others = clickhouse.usage().cpu, kafka.usage().cpu
            made.wait_for(lambda: stored() >= given.changes, every=ASK_EVERY)
            last = Mark(given.changes, watched.usage())
            costs = clickhouse.usage().cpu - others[0], kafka.usage().cpu - others[1]
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        made.started.remove(process)
        rows = _rows(client, database, "toUnixTimestamp(window_start)", OWN_PAIRS)
    return _run(first, last, costs, started, watched.peak_memory, rows)


def _count(client: Client) -> int:
    return int(client.query("SELECT count() FROM edits").result_rows[0][0])


def run_peer(given: Given, system: System, folder: Path) -> Run:
    """A peer, into databases of its own. Raises SystemExit with its last words."""
    made = given.made
    databases = [f"peer_{folder.name.replace('-', '_')}{ending}" for ending in ("_warm", "")]
    with writer_client(made.settings) as client:
        for database in databases:
            client.command(f"CREATE DATABASE {database}")
            for table in TABLES:
                client.command(table.replace("CREATE TABLE ", f"CREATE TABLE {database}."))
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")])),
            "KAFKA_BOOTSTRAP_SERVERS": made.settings.kafka_bootstrap_servers,
            "CLICKHOUSE_PORT": str(made.settings.clickhouse_port),
            "CLICKHOUSE_PASSWORD": _password(made),
            "PEER_DATABASE": databases[-1],
            "PEER_DATABASES": ",".join(databases),
            "CHECKPOINTS": str(folder / "checkpoints"),
            "PYSPARK_PYTHON": sys.executable,
            **given.spark,
            **system.environment,
        }
        if "RECOVERY" in environment:
            environment["RECOVERY_DIR"] = str(folder / "recovery")
        run = _run_peer(given, system, environment, folder / "log")
        windows, pairs = _rows(client, databases[-1], "window_start", PEER_PAIRS)
        return run._replace(windows=windows, pairs=pairs)


def _run_peer(given: Given, system: System, environment: dict[str, str], log: Path) -> Run:
    """Its figures, without its rows."""
    made, counts, told = given.made, counts_before(given), Told()
    began, marks, peak, started = time.monotonic(), list[Mark](), 0, 0.0
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", system.module],
            cwd=PROJECT_ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    made.started.append(process)
    costs = [0.0, 0.0]
    with watching(process.pid, made.clickhouse.pid, made.broker.pid) as (watched, *others):
        for line in process.stdout or ():
            kind, _, value = line.strip().partition(" ")
            if kind == "pass" and told.begin_pass(value.split()):
                peak, marks = watched.peak_memory, []
            elif kind in ("changes", "offsets"):
                told.listen(kind, value, counts)
                started = started or time.monotonic() - began
                if not marks and told.taken >= given.changes * WARM:
                    marks = [Mark(told.taken, watched.usage())]
                    costs = [-other.usage().cpu for other in others]
            elif kind == "done":
                marks.append(Mark(given.changes, watched.usage()))
                costs = [cost + other.usage().cpu for cost, other in zip(costs, others, strict=True)]
                peak = peak or watched.peak_memory
    made.started.remove(process)
    if process.wait(RUN_LIMIT) or len(marks) < 2:
        raise SystemExit(f"{system.name} failed:\n{log.read_text(errors='replace')[-3000:]}")
    if marks[0].changes >= given.changes:
        raise SystemExit(f"{system.name} took all in one batch, so it was never warm: give more --events")
    return _run(marks[0], marks[-1], (costs[0], costs[1]), started, peak, ((), ()))


class Told:
    """What a peer has said of how far it is."""

    def __init__(self) -> None:
        self.taken = 0.0
        self._passes = 0
        self._queries: dict[str, int] = {}  # changes that each has taken, in this pass

    def begin_pass(self, queries: Sequence[str]) -> bool:
        """A pass begins, by these queries; whether it is another than the first."""
        self._passes += 1
        self.taken, self._queries = 0.0, dict.fromkeys(queries, 0)
        return self._passes > 1

    def listen(self, kind: str, value: str, counts: Counts) -> None:
        """One line. Where several queries share the job, their mean counts; the last word of an earlier pass does not,
        which Spark may bring late."""
        if kind == "changes":
            self.taken = int(value)
            return
        query, offsets = json.loads(value)
        if query in self._queries:
            self._queries[query] = sum(counts[int(partition)][offset] for partition, offset in offsets.items())
            self.taken = statistics.mean(self._queries.values())


def counts_before(given: Given) -> Counts:
    """How many changes lie before each offset, by partition; one more than there are offsets."""
    sizes: Counts = {partition: [0] for partition in range(given.made.settings.kafka_partitions)}
    for shard, value in given.messages:
        before = sizes[shard % len(sizes)]
        before.append(before[-1] + len(decode_changes(value)))
    return sizes


def _password(made: Lab) -> str:
    return writer_password_path(made.settings.data_dir).read_text().strip()


def _rows(client: Any, database: str, start: str, pairs: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    windows = client.query(WINDOWS.format(start=start, database=database)).result_rows[0]
    return tuple(windows), tuple(client.query(pairs.format(database=database, hash=PAIR_HASH)).result_rows[0])


def _run(first: Mark, last: Mark, costs: tuple[float, float], start: float, peak: int, rows: Any) -> Run:
    changes = last.changes - first.changes
    return Run(
        changes / (last.usage.at - first.usage.at),
        changes / (last.usage.cpu - first.usage.cpu),
        costs[0] / changes * 1e6,
        costs[1] / changes * 1e6,
        start,
        peak / 2**20,
        *rows,
    )


def read_through(settings: Settings, messages: int) -> None:
    """Read the topic to its end and throw it away. Raises SystemExit where it has another number of messages."""
    consumer = Consumer(kafka_config(settings) | {"group.id": "nobody", "enable.auto.commit": False})
    consumer.assign([TopicPartition(EDITS_TOPIC, number, 0) for number in range(settings.kafka_partitions)])
    seen = 0
    while got := consumer.consume(1000, timeout=10 if seen < messages else 0.2):
        seen += len(got)
    consumer.close()
    if seen != messages:
        raise SystemExit(f"The topic has {seen} messages, {messages} were sent.")


def round_of(names: Sequence[str], number: int) -> list[str]:
    """The systems in the order of a round: each round begins with another."""
    turn = number % len(names)
    return [*names[turn:], *names[:turn]]


def medians(found: Mapping[str, Sequence[Run]]) -> dict[str, Run]:
    """Each system's median figures; of memory the most."""
    told = {}
    for name, runs in found.items():
        figures = dict(zip(Run._fields[:6], zip(*(run[:6] for run in runs), strict=True), strict=True))
        middle = {field: statistics.median(values) for field, values in figures.items()}
        told[name] = runs[0]._replace(**middle | {"peak_mib": max(figures["peak_mib"])})
    return told


def ratios(middle: Mapping[str, Run], to: str) -> list[str]:
    """The worker beside each peer of a family, in words."""
    lines = []
    for name, run in middle.items():
        if name.startswith(to) and "worker" in middle:
            cpu = middle["worker"].changes_per_cpu_s / run.changes_per_cpu_s
            memory = middle["worker"].peak_mib / run.peak_mib
            lines.append(f"worker to {name}: {cpu:.2f} times the changes per CPU second, {memory:.2f} of the memory")
    return lines


def table(found: Mapping[str, Sequence[Run]]) -> str:
    """Medians as Markdown, with the least and the most of the changes per CPU second."""
    lines = [
        "| system | keeps safe | changes/s | changes per CPU second (least to most)"
        " | ClickHouse, µs a change | Kafka, µs | first result, s | peak MiB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, run in medians(found).items():
        each = [one.changes_per_cpu_s for one in found[name]]
        per_cpu = f"{run.changes_per_cpu_s:,.0f} ({min(each):,.0f} to {max(each):,.0f})"
        rest = f"{run.clickhouse_us:.1f} | {run.kafka_us:.1f} | {run.start_s:.1f} | {run.peak_mib:,.0f}"
        lines.append(
            f"| {SYSTEMS[name].name} | {SYSTEMS[name].keeps} | {run.changes_per_s:,.0f} | {per_cpu} | {rest} |"
        )
    return "\n".join(lines)


def rounds_in(path: Path | None) -> list[dict[str, Any]]:
    """Rounds of earlier calls."""
    return list(json.loads(path.read_text())) if path and path.exists() else []


def runs_of(rounds: Sequence[dict[str, Any]]) -> dict[str, list[Run]]:
    """Each system's runs, in the order of SYSTEMS."""
    found: dict[str, list[Run]] = {}
    for name in SYSTEMS:
        runs = [Run(**one["runs"][name]) for one in rounds if name in one["runs"]]
        if runs:
            found[name] = runs
    return found


def disagreements(rounds: Sequence[dict[str, Any]]) -> list[str]:
    """Systems whose rows are not those of the round's first."""
    found = []
    for number, one in enumerate(rounds, 1):
        results = {name: (list(run["windows"]), list(run["pairs"])) for name, run in one["runs"].items()}
        usual = results.get("worker") or next(iter(results.values()))
        found += [f"round {number}: {name} {rows}, not {usual}" for name, rows in results.items() if rows != usual]
    return found


def play_round(options: argparse.Namespace, number: int, folder: Path) -> dict[str, Any]:
    """All systems once, over a broker and a ClickHouse of the round's own."""
    file = folder / "bench.jsonl"
    write_events(file, events_of(options.recording, options.seed, options.events))
    messages = messages_of(changes_of(file))
    changes = sum(len(decode_changes(value)) for _, value in messages)
    spark = {
        "SPARK_JARS": ",".join(str(jar.resolve()) for jar in options.jars.glob("*.jar")),
        "MESSAGES_PER_TRIGGER": str(options.per_trigger),
        "SPARK_MEMORY": options.spark_memory,
    }
    report: dict[str, Any] = {"machine": machine(PACKAGES), "changes": changes, "messages": len(messages), "runs": {}}
    with lab(folder / "lab", partial(running_kafka, options.kafka, folder / "kafka")) as made:
        send(made.settings, messages)
        read_through(made.settings, len(messages))
        given = Given(made, messages, changes, spark)
        for name in round_of(options.system or list(SYSTEMS), number):
            place = folder / f"{name}-{number}"
            place.mkdir()
            run = (run_peer if SYSTEMS[name].module else run_worker)(given, SYSTEMS[name], place)
            report["runs"][name] = run._asdict()
            told = f"{run.changes_per_s:,.0f} changes/s, {run.changes_per_cpu_s:,.0f} a CPU second"
            print(f"{name}: {told}, {run.peak_mib:,.0f} MiB, {run.windows} {run.pairs}", file=sys.stderr)
    return report


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--recording", type=Path, help="A .jsonl or .jsonl.gz file; without it the war game plays.")
    parser.add_argument("--events", type=int, default=400_000, help="Events; a recording plays over and over.")
    parser.add_argument("--seed", type=int, default=1, help="The war game's seed (default: 1).")
    parser.add_argument("--rounds", type=int, default=3, help="Rounds to take the median of (default: 3).")
    parser.add_argument("--jars", type=Path, required=True, help="Folder with Spark's Kafka connector.")
    parser.add_argument("--kafka", type=Path, required=True, help="Folder with Apache Kafka's jars.")
    parser.add_argument("--system", action="append", choices=SYSTEMS, help="This one alone; several times for several.")
    parser.add_argument("--into", type=Path, help="Keep the rounds in this file, and count those that are there.")
    parser.add_argument("--per-trigger", type=int, default=PER_TRIGGER, help="Messages a micro-batch of Spark.")
    parser.add_argument("--spark-memory", default="1g", help="Spark's heap (default: 1g, as it is Spark's).")
    options = parser.parse_args()
    keep_stdout_for_the_report()
    rounds = rounds_in(options.into)
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="battlefield-peers-", ignore_cleanup_errors=True) as work:
            # through JSON, so that a round measured now is as one that was kept
            rounds.append(json.loads(json.dumps(play_round(options, len(rounds), Path(work)))))
        if options.into:
            options.into.write_text(json.dumps(rounds, indent=1))
    found = runs_of(rounds)
    print(table(found), file=sys.stderr)
    print(*ratios(medians(found), "spark"), sep="\n", file=sys.stderr)
    print(json.dumps(rounds, indent=2))
    if wrong := disagreements(rounds):
        raise SystemExit("They do not agree:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
