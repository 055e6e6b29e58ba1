"""Pull the plug, again and again, and compare what is stored with what was sent.

    python -m scripts.drill [--recording FILE] [--kills 20] [--part producer --part worker-1 ...] [--stream-faults]
    python -m scripts.drill --events 250000 --speed 15 --kills 0 --away clickhouse=120 --away broker=60

Runs `battlefield up` over a simulator, kills its parts with SIGKILL at random moments while a recording (or a war
game) is played, waits until everything is quiet, and then asks ClickHouse: is the set of ids in `edits` the set that
was sent, is each window what a GROUP BY over `edits` gives, does the ledger account for every source offset? With
--stream-faults the simulator also cuts connections at random bytes, repeats events, sends one id at a second offset,
swaps the datacenter and answers 429 and 503. With --away a part hangs for a while: it takes connections and does
not answer, the hardest way to be away. With --fill-broker the broker is filled until the supervisor has to replace
it. Ends with status 1 where anything differs.
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
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
from services.common.queries import run_query
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
RESTART = 4.0  # seconds that a killed part takes to be at work again, about
PATIENCE = 600.0  # seconds in all

COUNTS = """
SELECT (SELECT count() FROM edits FINAL), (SELECT sum(edits) FROM fronts FINAL),
       (SELECT count() FROM edits FINAL WHERE type IN ('edit', 'new') AND NOT late)
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


def sent_changes(recording: Path | None, seed: int, events: int) -> dict[str, int]:
    """The ids of all changes that have to be stored, with their event times: those that the producer accepts."""
    lines: Iterator[bytes]
    if recording:
        lines = (line.rstrip(b"\n") for line in _open(recording) if line.strip())
    else:
        lines = (line for block in WarGame(seed, events=events).read(0) for line in block)
    kept = {}
    for offset, line in enumerate(lines):
        data, _ = stamp(line, b'"codfw.mediawiki.recentchange"', offset)
        outcome = read_event(data.decode(errors="replace"), 0).outcome
        if isinstance(outcome, Change):
            kept[str(outcome.meta_id)] = outcome.timestamp
    return kept


def _open(recording: Path) -> Iterator[bytes]:
    with gzip.open(recording) if recording.suffix == ".gz" else recording.open("rb") as file:
        yield from file


def wait_for_part(data_dir: Path, part: str, but_not: int = 0) -> int:
    """The process id of a part, once one is at work. Raises click.ClickException."""
    deadline = time.monotonic() + STALLED
    while time.monotonic() < deadline:
        last = read_heartbeat(data_dir, part)
        if last and last.state in ("running", "waiting") and last.pid != but_not and psutil.pid_exists(last.pid):
            return last.pid
        time.sleep(0.1)
    raise click.ClickException(f"no {'other ' if but_not else ''}{part} at work within {STALLED:.0f} s")


def kill(data_dir: Path, part: str, after: float) -> None:
    """Kill a part when it has worked for `after` seconds. Raises click.ClickException where it does not come to work.

    The supervisor takes six deaths in a row, each within 5 s of being ready, for a part that cannot work.
    """
    wait_for_part(data_dir, part)
    time.sleep(after)
    pid = wait_for_part(data_dir, part)  # in between it may have died with another part
    os.kill(pid, signal.SIGKILL)
    with suppress(psutil.NoSuchProcess):
        # until the supervisor has noticed; else its last heartbeat would pass for the next one's
        psutil.Process(pid).wait(STALLED)


def fill(address: str, mib: int, data_dir: Path) -> None:
    """Put so many MiB on a topic of its own, and return when another broker is at work. Raises click.ClickException."""
    full = wait_for_part(data_dir, "broker")
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic("drill.filling", 1)])["drill.filling"].result()
    producer = Producer({"bootstrap.servers": address})
    for _ in range(2 * mib):
        producer.produce("drill.filling", os.urandom(2**19))
        producer.poll(0)
    wait_for_part(data_dir, "broker", but_not=full)


class Peaks:
    """Samples the resident memory of parts until closed; a part that was started anew counts with its largest."""

    def __init__(self, data_dir: Path, parts: tuple[str, ...]) -> None:
        self._data_dir, self._stop = data_dir, threading.Event()
        self.mib = dict.fromkeys(parts, 0.0)
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Peaks":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.5):
            for part in self.mib:
                if last := read_heartbeat(self._data_dir, part):
                    with suppress(psutil.NoSuchProcess):
                        held = sum(process.memory_info().rss for process in family(last.pid))
                        self.mib[part] = max(self.mib[part], held / 2**20)

    def __str__(self) -> str:
        return ", ".join(f"{part} {mib:.0f} MiB" for part, mib in self.mib.items())


def family(pid: int) -> list[psutil.Process]:
    """A process and its children: the broker's binary is a child of the process that beats."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


class PartAndSeconds(click.ParamType[tuple[str, float]]):
    """PART=SECONDS."""

    name = "part=seconds"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, float]:
        """Split and check it."""
        part, _, seconds = str(value).partition("=")
        if not (part in KILLABLE and seconds.isdigit()):
            self.fail(
                f"{value!r}: give a part and seconds, such as clickhouse=120. Parts: {', '.join(KILLABLE)}", param, ctx
            )
        return part, float(seconds)


def hang(data_dir: Path, part: str, seconds: float, tell: Callable[[], None]) -> None:
    """Stop a part without ending it, and let it go on after `seconds`. Raises click.ClickException."""
    last = read_heartbeat(data_dir, part)
    if last is None:
        raise click.ClickException(f"{part} does not run")
    processes = family(last.pid)
    for process in processes:
        process.suspend()
    try:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 10.0))
            tell()
    finally:
        for process in reversed(processes):
            process.resume()


def wait_until_quiet(client_of: Callable[[], Client], simulator: int, sent: int) -> None:
    """Return when all is stored and accounted for, or nothing goes on any more. Raises click.ClickException.

    That the account agrees is not enough: it also does while a new producer has not begun to read again.
    """
    deadline = time.monotonic() + PATIENCE
    before, since = None, time.monotonic()
    while time.monotonic() < deadline:
        time.sleep(0.5)
        stored = counts(client_of)
        now = (status(simulator).get("finished"), stored)
        if now != before:
            before, since = now, time.monotonic()
        done = now[0] and stored is not None and stored[0] == stored[3] == sent
        if time.monotonic() - since > (QUIET if done else STALLED):
            return
    raise click.ClickException(f"not quiet after {PATIENCE:.0f} s: {before}; see the logs in the data directory")


def counts(client_of: Callable[[], Client]) -> tuple[int, ...] | None:
    """Rows stored so far, and changes kept by the producer that are no duplicates; None while ClickHouse is away."""
    try:
        client = client_of()
        (account,) = run_query(client, "accounting").named_results()
        return (*client.query(COUNTS).result_rows[0], account["kept"] - account["duplicates"])
    except ClickHouseError:
        return None


def progress(data_dir: Path) -> str:
    """How far producer and worker say that they are."""
    beats = {part: read_heartbeat(data_dir, part) for part in ("producer", "worker-1")}
    told = {"producer": ("read", "unacknowledged"), "worker-1": ("stored", "lag")}
    return "; ".join(
        f"{part} {last.state}: " + ", ".join(f"{last.figures.get(name, 0):,} {name}" for name in told[part])
        for part, last in beats.items()
        if last is not None
    )


def compare(client: Client, sent: set[str]) -> list[str]:
    """What is wrong; nothing, one hopes. Raises clickhouse-connect's errors."""
    stored = [row[0] for row in client.query("SELECT toString(meta_id) FROM edits FINAL").result_rows]
    edits, in_fronts, countable = client.query(COUNTS).result_rows[0]
    (account,) = run_query(client, "accounting").named_results()
    findings = {
        "changes lost": len(sent - set(stored)),
        "changes invented": len(set(stored) - sent),
        "changes counted twice": len(stored) - len(set(stored)),
        "edits missing in windows": countable - in_fronts,
        "wrong windows": client.query(WRONG_WINDOWS).result_rows[0][0],
        "source offsets unaccounted for": client.query(GAPS).result_rows[0][0],
        "kept by the producer, neither stored nor a duplicate": account["kept"] - account["duplicates"] - edits,
    }
    return [f"{what}: {number:,}" for what, number in findings.items() if number]


@click.command()
@click.option("--recording", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Else a war game.")
@click.option("--events", default=40_000, show_default=True, help="Of the war game.")
@click.option("--seed", default=1, show_default=True, help="Of the game, the faults and the moments.")
@click.option("--kills", default=20, show_default=True, help="How often the plug is pulled.")
@click.option("--part", "parts", multiple=True, type=click.Choice(KILLABLE), help="Whose; repeatable. [default: all]")
@click.option("--every", default=7.0, show_default=True, help="Seconds that a part works before its kill, on average.")
@click.option("--speed", help="Of the playing: max, or a factor.  [default: as long as the kills and hangs last]")
@click.option("--stream-faults", is_flag=True, help="Let the stream misbehave as well.")
@click.option("--away", "hangs", multiple=True, type=PartAndSeconds(), help="Let a part hang; repeatable, in order.")
@click.option("--fill-broker", type=click.IntRange(64), metavar="MIB", help="The broker's limit; fill it once.")
@click.option("--keep", is_flag=True, help="Leave data and logs for a look.")
def main(
    recording: Path | None,
    events: int,
    seed: int,
    kills: int,
    parts: tuple[str, ...],
    every: float,
    speed: str | None,
    stream_faults: bool,
    hangs: tuple[tuple[str, float], ...],
    fill_broker: int | None,
    keep: bool,
) -> None:
    """Kill parts at random moments, then compare what is stored with what was sent."""
    rng = random.Random(seed)  # noqa: S311 - a drill wants to be repeatable
    sent = sent_changes(recording, seed, events)
    if speed is None:
        lasts = kills * (every + RESTART) + sum(seconds + RESTART for _, seconds in hangs)
        speed = f"{(max(sent.values()) - min(sent.values())) / lasts:.1f}" if lasts else "max"
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
            Peaks(data_dir, KILLABLE) as peaks,
        ):
            while not (counts(client_of) or [0])[0] and supervisor.poll() is None:
                time.sleep(0.1)
            for number in range(1, kills + 1):
                part = rng.choice(parts or KILLABLE)
                kill(data_dir, part, after=rng.uniform(0.2, 2 * every))
                click.echo(f"[{number:2}/{kills}] killed {part}; {progress(data_dir)}")
                if supervisor.poll() is not None:
                    raise click.ClickException(
                        f"the supervisor gave up:\n{(Path(folder) / 'up.log').read_text(errors='replace')[-2000:]}"
                    )
            for part, seconds in hangs:
                time.sleep(5)  # so that all is at work before, and catches up between
                click.echo(f"{part} hangs for {seconds:.0f} s; {counts(client_of)}")
                hang(data_dir, part, seconds, lambda: click.echo(f"  {progress(data_dir)}; memory: {peaks}"))
            if fill_broker:
                fill(f"127.0.0.1:{broker}", fill_broker, data_dir)
                click.echo(f"filled the broker, it was replaced; {counts(client_of)}")
            wait_until_quiet(client_of, simulator, len(sent))
            findings = compare(client_of(), set(sent))
    click.echo(f"peak memory: {peaks}")
    for finding in findings:
        click.echo(finding)
    away = "".join(f", {part} {seconds:.0f} s away" for part, seconds in hangs)
    click.echo(f"{len(sent):,} changes sent, {kills} kills{away}: {'NOT equal' if findings else 'equal'}")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
