"""Measure `docker compose up --scale worker=N`: how fast N workers work off a backlog, and what each part costs.

    python -m scripts.scale_out [--workers 1 --workers 2 --workers 4] [--events 300000] [--hot-wiki] > scale.json

The producer reads a war game of so many events at full speed into the broker while no worker runs. Then for each N:
the tables are made anew, which makes the workers a new group that begins at the oldest message; N workers start; what
is stored is counted until it is all there. The rate is that between a tenth and nine tenths of it, so neither start
nor end counts, and it begins when each worker has stored something. The workers' lag is read as `make status` reads
it: it has to fall to nothing. With --hot-wiki half of all changes are of one wiki, which must not keep workers from
sharing: a shard is of pages, not of a wiki. A line for each N goes to standard error, JSON to standard output, for
`scripts.capacity --measured`.
"""

import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import psutil
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from pydantic import SecretStr

from scripts.docker_check import PATIENCE, Stack, Wrong, build, docker, require, running, wait_for
from services.common.clickhouse import writer_client
from services.common.heartbeat import Heartbeat
from services.common.settings import PROJECT_ROOT, Settings
from services.simulator.wargame import WarGame

HALF = 0.5
RECORDING = "/recording.jsonl"  # in the simulator's container
INTERVAL: float = Settings.model_fields["worker_commit_interval"].default
SERVERS = ("clickhouse", "redpanda")
LOOK_EVERY = 0.3  # seconds between looks at what is stored: each costs ClickHouse something
LAG_EVERY = 4.0  # seconds between looks at the lag: each starts a process in every worker's container
# CPU time of a container in µs, from inside: cgroup v2, or v1, which has nanoseconds
CPU = """
if [ -f /sys/fs/cgroup/cpu.stat ]; then sed -n 's/^usage_usec //p' /sys/fs/cgroup/cpu.stat
else echo $(($(cat /sys/fs/cgroup/cpuacct/cpuacct.usage) / 1000)); fi
"""
TABLES = """
SELECT name, if(engine LIKE '%View', 'VIEW', 'TABLE') AS kind
FROM system.tables WHERE database = currentDatabase() AND NOT startsWith(name, '.inner')
ORDER BY kind DESC
"""
BYTES = """
SELECT sum(bytes_on_disk) FROM system.parts WHERE database = {database:String} AND active
"""
BUSIEST_WIKI = "SELECT max(changes) / sum(changes) FROM (SELECT count() AS changes FROM edits FINAL GROUP BY wiki)"
# what wiki.edits takes on the broker's disk, indexes left out; Redpanda's and Apache Kafka's folders
ON_DISK = "find /var/lib/redpanda/data -path '*/wiki.edits*' -name '*.log' -exec cat {} + | wc -c"


class Point(msgspec.Struct):
    """What so many workers gave."""

    workers: int
    commit_interval: float  # seconds
    changes: int  # of the backlog
    rate: float  # changes/s between a tenth (later, if not all shared by then) and nine tenths of it
    counted: int  # changes in between
    worker_us: float  # of CPU a change, all workers together
    clickhouse_us: float
    broker_us: float
    cores: float  # that workers, ClickHouse and broker kept busy
    machine_cores: float  # that were busy, with these and whatever else
    largest_share: float  # of the worker that had the most, of all changes
    lag: list[int]  # messages behind, about every LAG_EVERY seconds


class Result(msgspec.Struct):
    """All of it."""

    measured: str  # UTC
    cores: int  # of the machine
    load: float  # before
    stands_in: str  # what the images really are; '' for the real ones
    events: int
    busiest_wiki: float  # its share of all changes
    producer_us: float  # of CPU an event read
    broker_bytes: float  # on its disk, a change
    clickhouse_bytes: float  # on the disk, a change, all tables
    points: list[Point]


def say(text: str) -> None:
    """A line for a person."""
    click.echo(text, err=True)


def writer(stack: Stack, database: str) -> Client:
    """ClickHouse as the writer, through the published port."""
    settings = Settings(
        _env_file=None,
        clickhouse_port=stack.clickhouse,
        clickhouse_user="writer",
        clickhouse_password=SecretStr(stack.passwords["writer"]),
    )
    return writer_client(settings, database=database)


def all_of(stack: Stack, service: str) -> list[str]:
    """The service's containers."""
    return stack.compose("ps", "--quiet", service).split()


def cpu_seconds(containers: list[str]) -> float:
    """CPU time that containers have had, together."""
    return sum(int(docker("exec", container, "sh", "-c", CPU)) for container in containers) / 1e6


def beats(containers: list[str]) -> Iterator[Heartbeat]:
    """The heartbeats of containers, of those that have one."""
    for container in containers:
        text = docker("exec", container, "sh", "-c", "cat /data/heartbeats/*.json", check=False)
        try:
            yield msgspec.json.decode(text, type=Heartbeat)
        except msgspec.DecodeError:
            continue


def with_a_hot_wiki(folder: Path, events: int) -> dict[str, str]:
    """The war game as a recording, its busiest wikis made one until that has half of all; settings that play it."""
    lines = [line for block in WarGame(1, events=events).read(0) for line in block]
    of_wiki = re.compile(rb'"wiki": ?"(\w+)"')
    wikis = Counter(found[1] for line in lines if (found := of_wiki.search(line)))
    one, hot = wikis.most_common(1)[0][0], set[bytes]()
    for wiki, _ in wikis.most_common():
        hot.add(wiki)
        if sum(wikis[name] for name in hot) >= HALF * wikis.total():
            break

    def renamed(found: re.Match[bytes]) -> bytes:
        return b'"wiki":"%b"' % (one if found[1] in hot else found[1])

    recording, override = folder / "hot.jsonl", folder / "hot.yaml"
    recording.write_bytes(b"\n".join(of_wiki.sub(renamed, line, 1) for line in lines) + b"\n")
    override.write_text(json.dumps({"services": {"simulator": {"volumes": [f"{recording}:{RECORDING}:ro"]}}}))
    # all of it, however long ago
    return {"COMPOSE_FILE": f"{PROJECT_ROOT / 'compose.yaml'}:{override}", "EVENTSTREAMS_SINCE": ""}


def fill(stack: Stack, events: int) -> tuple[int, float]:
    """Let the producer read all of the game; changes kept, and the producer's CPU time in µs an event."""
    stack.compose("up", "--no-build", "--wait", "--scale", "worker=0", "--scale", "dashboard=0")
    figures: dict[str, Any] = {}

    def done() -> bool:
        nonlocal figures
        figures = next((beat.figures for beat in beats(all_of(stack, "producer"))), {})
        return bool(figures) and figures["read"] >= events and figures["unacknowledged"] == 0

    wait_for(done, f"{events:,} events are not read", 900)
    cost = cpu_seconds(all_of(stack, "producer")) * 1e6 / figures["read"]
    stack.compose("stop", "producer", "simulator")
    return int(figures["kept"]), cost


def busy() -> float:
    """Seconds of CPU that the machine's cores have been busy, with whatever."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def work_off(stack: Stack, workers: int, backlog: int, commit: float) -> Point:
    """Empty tables, so many workers, until all is stored."""
    stack.compose("rm", "--stop", "--force", "--volumes", "worker")
    with writer(stack, "battlefield") as client:
        # the writer may drop tables, not the database; views first, which write into tables
        for name, kind in client.query(TABLES).result_rows:
            client.command(f"DROP {kind} {name} SYNC")
    stack.compose("run", "--rm", "--no-deps", "--no-TTY", "migrate")
    servers = {name: all_of(stack, name) for name in SERVERS}
    stack.compose("up", "--no-build", "--no-deps", "--detach", "--scale", f"worker={workers}", "worker")
    containers = all_of(stack, "worker")
    require(len(containers) == workers, f"{len(containers)} workers instead of {workers}")
    measured = {"worker": containers} | servers
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    began = ended = 0.0
    first = last = 0
    lag: list[int] = []
    looked = 0.0
    deadline = time.monotonic() + 1200
    with writer(stack, "battlefield") as client:
        while not after:
            require(time.monotonic() < deadline, f"{workers} workers do not come to the end")
            time.sleep(LOOK_EVERY)
            try:
                stored = int(client.query("SELECT count() FROM edits").result_rows[0][0])
            except ClickHouseError:
                continue
            if time.monotonic() - looked > LAG_EVERY or (not before and stored > backlog / 10):
                looked, told = time.monotonic(), list(beats(containers))
                lag.append(sum(beat.figures.get("lag", 0) for beat in told))
                if not before and len([beat for beat in told if beat.figures.get("stored")]) == workers:
                    began, first = time.monotonic(), stored
                    before = {name: cpu_seconds(one) for name, one in measured.items()} | {"machine": busy()}
            if stored >= 0.9 * backlog:
                require(before, "it was worked off before all workers had a share: take more --events")
                ended, last = time.monotonic(), stored
                after = {name: cpu_seconds(one) for name, one in measured.items()} | {"machine": busy()}
    wait_for(lambda: stack.stored() == backlog, f"not all of {backlog:,} changes are stored", PATIENCE)
    wait_for(lambda: not sum(beat.figures.get("lag", 1) for beat in beats(containers)), "the lag does not fall")
    shares = [beat.figures["stored"] for beat in beats(containers)]
    changes = last - first
    cost = {name: (after[name] - before[name]) * 1e6 / changes for name in measured}
    return Point(
        workers,
        commit,
        backlog,
        round(changes / (ended - began), 1),
        changes,
        round(cost["worker"], 1),
        round(cost["clickhouse"], 1),
        round(cost["redpanda"], 1),
        round(sum(cost.values()) * changes / 1e6 / (ended - began), 2),
        round((after["machine"] - before["machine"]) / (ended - began), 2),
        round(max(shares) / sum(shares), 3),
        [*lag, 0],
    )


@click.command()
@click.option("--workers", "counts", multiple=True, type=click.IntRange(1, 8), default=(1, 2, 4), show_default=True)
@click.option("--events", default=300_000, show_default=True, help="Of the war game; a half or so are changes.")
@click.option("--hot-wiki", is_flag=True, help="Half of all changes are of one wiki.")
@click.option("--interval", default=INTERVAL, show_default=True, help="WORKER_COMMIT_INTERVAL of one worker, seconds.")
@click.option("--stretch", is_flag=True, help="N workers get N times the interval, so that inserts/s stay the same.")
def main(counts: tuple[int, ...], events: int, hot_wiki: bool, interval: float, stretch: bool) -> None:
    """Measure how fast workers of different number work off a backlog, in containers."""
    try:
        stands_in = build()
        measured, load = f"{datetime.now(UTC):%Y-%m-%d %H:%M}", os.getloadavg()[0]
        with tempfile.TemporaryDirectory() as name, running(keep=False) as stack:
            stack.plays = f"--speed max --events {events}"
            if hot_wiki:
                Path(name).chmod(0o755)  # the container's user reads it
                stack.more.update(with_a_hot_wiki(Path(name), events))
                stack.plays = f"--speed max --recording {RECORDING}"
            backlog, producer = fill(stack, events)
            say(f"{events:,} events read, {backlog:,} changes on the broker; {stands_in or 'the real images'}")
            points = []
            for workers in counts:
                commit = interval * workers if stretch else interval
                stack.more["WORKER_COMMIT_INTERVAL"] = str(commit)
                points.append(point := work_off(stack, workers, backlog, commit))
                say(
                    f"{workers} workers: {point.rate:,.0f} changes/s; µs of CPU a change: workers {point.worker_us},"
                    f" ClickHouse {point.clickhouse_us}, broker {point.broker_us}; {point.cores} of"
                    f" {point.machine_cores} busy cores; the busiest had {point.largest_share:.0%}; lag {point.lag}"
                )
            with writer(stack, "battlefield") as client:
                size = int(client.query(BYTES, {"database": "battlefield"}).result_rows[0][0])
                busiest = float(client.query(BUSIEST_WIKI).result_rows[0][0])
            (broker,) = all_of(stack, "redpanda")
            on_disk = int(docker("exec", broker, "sh", "-c", ON_DISK).split()[0])
    except Wrong as error:
        say(f"WRONG: {error}")
        sys.exit(1)
    result = Result(
        measured,
        os.cpu_count() or 0,
        round(load, 1),
        stands_in,
        events,
        round(busiest, 3),
        round(producer, 1),
        round(on_disk / backlog, 1),
        round(size / backlog, 1),
        points,
    )
    click.echo(json.dumps(msgspec.to_builtins(result), indent=2))


if __name__ == "__main__":
    main()
