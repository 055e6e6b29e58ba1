"""Pull the plug, again and again, and compare what is stored with what was sent.

    python -m scripts.drill [--recording FILE] [--kills 20] [--part producer --part worker-1 ...] [--stream-faults]

Runs `battlefield up` over a simulator, kills its parts with SIGKILL at random moments while a recording (or a war
game) is played, waits until everything is quiet, and then asks ClickHouse: is the set of ids in `edits` the set that
was sent, is each window what a GROUP BY over `edits` gives, does the ledger account for every source offset? With
--stream-faults the simulator also cuts connections at random bytes, repeats events, sends one id at a second offset,
swaps the datacenter and answers 429 and 503. With --fill-broker the broker is filled until the supervisor has to
replace it. Ends with status 1 where anything differs.
"""

import gzip
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import click
import psutil
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from services.common.change import Change
from services.common.clickhouse import reader_client
from services.common.heartbeat import read_heartbeat
from services.common.settings import PROJECT_ROOT, Settings
from services.embedded.ports import free_port
from services.producer.events import read_event
from services.simulator.events import stamp
from services.simulator.wargame import WarGame

KILLABLE = ("producer", "worker-1", "clickhouse", "broker")
STREAM_FAULTS = (
    *("--cut-every", "2", "--duplicate-every", "500", "--resend-every", "700"),
    *("--swap-every", "9000", "--refuse", "0.3"),
)
QUIET = 5.0  # seconds for which all that was sent must stay accounted for
STALLED = 60.0  # seconds without any progress; a worker that died is missed by the broker after 6, and starts in 5
PATIENCE = 600.0  # seconds in all

COUNTS = """
SELECT (SELECT count() FROM edits FINAL), (SELECT sum(edits) FROM fronts FINAL),
       (SELECT count() FROM edits FINAL WHERE type IN ('edit', 'new') AND NOT late),
       (SELECT sum(kept) FROM ledger FINAL) - (SELECT count() FROM duplicates FINAL)
"""
# Both ways: windows that are missing, and windows that should not be there.
WRONG_WINDOWS = """
SELECT count() FROM
(
    SELECT toStartOfInterval(timestamp, INTERVAL 10 SECOND) AS window_start, wiki, shard, actor, source,
           count() AS edits, countIf(type = 'new') AS creations
    FROM edits FINAL WHERE type IN ('edit', 'new') AND NOT late
    GROUP BY ALL
) AS truth
FULL JOIN (SELECT * FROM fronts FINAL WHERE fronts.edits > 0) AS stored
USING (window_start, wiki, shard, actor, source)
WHERE truth.edits != stored.edits OR truth.creations != stored.creations
"""
GAPS = "SELECT sum(last_offset - first_offset + 1 - read) FROM ledger FINAL"


@contextmanager
def running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends in order, or is killed."""
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environment) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def working_folder(keep: bool) -> Iterator[str]:
    """A folder that is gone afterwards, or not."""
    if keep:
        yield tempfile.mkdtemp(prefix="drill-")
        return
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        yield folder


def status(port: int) -> dict[str, Any]:
    """What the simulator says of itself; empty while it does not answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/status")
        told: dict[str, Any] = json.loads(connection.getresponse().read())
        return told
    except (OSError, ValueError):
        return {}
    finally:
        connection.close()


def sent_ids(recording: Path | None, seed: int, events: int) -> set[str]:
    """The ids of all changes that have to be stored: those that the producer accepts, read one by one."""
    lines: Iterator[bytes]
    if recording:
        lines = (line.rstrip(b"\n") for line in _open(recording) if line.strip())
    else:
        lines = (line for block in WarGame(seed, events=events).read(0) for line in block)
    kept = set()
    for offset, line in enumerate(lines):
        data, _ = stamp(line, b'"codfw.mediawiki.recentchange"', offset)
        outcome = read_event(data.decode(errors="replace"), 0).outcome
        if isinstance(outcome, Change):
            kept.add(str(outcome.meta_id))
    return kept


def _open(recording: Path) -> Iterator[bytes]:
    with gzip.open(recording) if recording.suffix == ".gz" else recording.open("rb") as file:
        yield from file


def kill_one(data_dir: Path, parts: list[str], rng: random.Random) -> str:
    """Kill a part that runs; returns its name, "" where none did."""
    for part in rng.sample(parts, len(parts)):
        last = read_heartbeat(data_dir, part)
        if last is None:
            continue
        try:
            os.kill(last.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        return part
    return ""


def broker_at_work(data_dir: Path) -> int:
    """The process id of the broker, 0 while none is there."""
    last = read_heartbeat(data_dir, "broker")
    return last.pid if last is not None and last.state == "running" and psutil.pid_exists(last.pid) else 0


def wait_for_broker(data_dir: Path, but_not: int = 0) -> int:
    """The process id of a broker, once one is at work. Raises click.ClickException."""
    deadline = time.monotonic() + STALLED
    while time.monotonic() < deadline:
        pid = broker_at_work(data_dir)
        if pid not in (0, but_not):
            return pid
        time.sleep(0.2)
    raise click.ClickException(f"no {'other ' if but_not else ''}broker within {STALLED:.0f} s")


def fill(address: str, mib: int, data_dir: Path) -> None:
    """Put so many MiB on a topic of its own, and return when another broker is at work. Raises click.ClickException."""
    full = wait_for_broker(data_dir)
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic("drill.filling", 1)])["drill.filling"].result()
    producer = Producer({"bootstrap.servers": address})
    for _ in range(2 * mib):
        producer.produce("drill.filling", os.urandom(2**19))
        producer.poll(0)
    wait_for_broker(data_dir, but_not=full)


def wait_until_quiet(client_of: Callable[[], Client], simulator: int) -> None:
    """Return when all was sent and is accounted for, or nothing goes on any more. Raises click.ClickException."""
    deadline = time.monotonic() + PATIENCE
    before, since = None, time.monotonic()
    while time.monotonic() < deadline:
        time.sleep(0.5)
        stored = counts(client_of)
        now = (status(simulator).get("finished"), stored)
        if now != before:
            before, since = now, time.monotonic()
        done = now[0] and stored is not None and stored[0] == stored[3] > 0
        if time.monotonic() - since > (QUIET if done else STALLED):
            return
    raise click.ClickException(f"not quiet after {PATIENCE:.0f} s: {before}; see the logs in the data directory")


def counts(client_of: Callable[[], Client]) -> tuple[Any, ...] | None:
    """Rows stored so far; None while ClickHouse is away."""
    try:
        return tuple(client_of().query(COUNTS).result_rows[0])
    except ClickHouseError:
        return None


def compare(client: Client, sent: set[str]) -> list[str]:
    """What is wrong; nothing, one hopes."""
    stored = [row[0] for row in client.query("SELECT toString(meta_id) FROM edits FINAL").result_rows]
    edits, in_fronts, countable, expected = client.query(COUNTS).result_rows[0]
    findings = {
        "changes lost": len(sent - set(stored)),
        "changes invented": len(set(stored) - sent),
        "changes counted twice": len(stored) - len(set(stored)),
        "edits missing in windows": countable - in_fronts,
        "wrong windows": client.query(WRONG_WINDOWS).result_rows[0][0],
        "source offsets unaccounted for": client.query(GAPS).result_rows[0][0],
        "kept by the producer, neither stored nor a duplicate": expected - edits,
    }
    return [f"{what}: {number:,}" for what, number in findings.items() if number]


@click.command()
@click.option("--recording", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Else a war game.")
@click.option("--events", default=40_000, show_default=True, help="Of the war game.")
@click.option("--seed", default=1, show_default=True, help="Of the game, the faults and the moments.")
@click.option("--kills", default=20, show_default=True, help="How often the plug is pulled.")
@click.option("--part", "parts", multiple=True, type=click.Choice(KILLABLE), help="Whose; repeatable. [default: all]")
@click.option("--every", default=2.0, show_default=True, help="Seconds between two kills, on average.")
@click.option("--speed", default="max", show_default=True, help="Of the playing: max, or a factor.")
@click.option("--stream-faults", is_flag=True, help="Let the stream misbehave as well.")
@click.option("--fill-broker", type=click.IntRange(64), metavar="MIB", help="The broker's limit; fill it once.")
@click.option("--keep", is_flag=True, help="Leave data and logs for a look.")
def main(
    recording: Path | None,
    events: int,
    seed: int,
    kills: int,
    parts: tuple[str, ...],
    every: float,
    speed: str,
    stream_faults: bool,
    fill_broker: int | None,
    keep: bool,
) -> None:
    """Kill parts at random moments, then compare what is stored with what was sent."""
    rng = random.Random(seed)  # noqa: S311 - a drill wants to be repeatable
    sent = sent_ids(recording, seed, events)
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # it logs each attempt while all is starting
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT)}
    if fill_broker:
        environment["EMBEDDED_BROKER_MEMORY_MB"] = str(fill_broker)
    with working_folder(keep) as folder:
        click.echo(f"data and logs: {folder}")
        data_dir = Path(folder) / "data"
        simulator, clickhouse, broker = free_port(), free_port(), free_port()
        plays = ["--recording", str(recording)] if recording else ["--seed", str(seed), "--events", str(events)]
        simulate = ["simulate", "--port", str(simulator), "--speed", speed, *plays]
        simulate += ["--fault-seed", str(seed), *STREAM_FAULTS] if stream_faults else []
        url = f"http://127.0.0.1:{simulator}/v2/stream/recentchange"
        up = ["up", "--source", url, "--since", "", "--no-dashboard", "--data-dir", str(data_dir)]
        up += ["--broker-port", str(broker), "--clickhouse-port", str(clickhouse)]
        battlefield = [sys.executable, "-m", "services"]

        def client_of() -> Client:
            return reader_client(Settings(data_dir=data_dir, clickhouse_port=clickhouse), connect_timeout=5)

        with (
            running([*battlefield, *simulate], Path(folder) / "simulator.log", environment),
            running([*battlefield, *up], Path(folder) / "up.log", environment) as supervisor,
        ):
            while not (counts(client_of) or [0])[0] and supervisor.poll() is None:
                time.sleep(0.1)
            for number in range(1, kills + 1):
                time.sleep(rng.uniform(0.2, 2 * every))
                killed = kill_one(data_dir, list(parts or KILLABLE), rng)
                click.echo(f"[{number:2}/{kills}] killed {killed or 'nothing: all were down'}; {counts(client_of)}")
                if supervisor.poll() is not None:
                    raise click.ClickException(
                        f"the supervisor gave up:\n{(Path(folder) / 'up.log').read_text(errors='replace')[-2000:]}"
                    )
            if fill_broker:
                fill(f"127.0.0.1:{broker}", fill_broker, data_dir)
                click.echo(f"filled the broker, it was replaced; {counts(client_of)}")
            wait_until_quiet(client_of, simulator)
            findings = compare(client_of(), sent)
    for finding in findings:
        click.echo(finding)
    click.echo(f"{len(sent):,} changes sent, {kills} kills: {'NOT equal' if findings else 'equal'}")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
