"""What `bench` and `bench_peers` share: events to measure with, parts of the stack to measure, CPU time and memory."""

import logging
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
import structlog
from confluent_kafka import Producer

from services.common.change import EDITS_TOPIC, Change, encode
from services.common.clickhouse import writer_client
from services.common.heartbeat import read_heartbeat
from services.common.kafka import create_topics, kafka_config
from services.common.migrations import apply_migrations
from services.common.settings import PROJECT_ROOT, Settings
from services.embedded.broker import running_broker
from services.embedded.ports import accepts, free_port
from services.producer.batches import Batches
from services.producer.events import read_event
from services.producer.ledger import Entry
from services.simulator.events import event_time, iso_milliseconds, stamp
from services.simulator.recording import Recording
from services.simulator.wargame import DEFAULT_RATE, FIXED_START, WarGame

START_LIMIT = 60.0  # seconds until a part is up
RUN_LIMIT = 1800.0  # seconds for anything measured
POLL = 0.02  # seconds
TOPIC_JSON = b'"replay-bench.eqiad.mediawiki.recentchange"'
REV_IDS_APART = 10**10  # between the revision ids of two passes over a recording; all real ones are far below

Message = tuple[int, bytes]  # shard, value
BrokerAt = Callable[[int], AbstractContextManager["subprocess.Popen[bytes]"]]  # a broker at a port of this machine


def keep_stdout_for_the_report() -> None:
    """The services' own code logs to standard output; here only what is wrong, and to standard error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def machine(packages: Sequence[str]) -> dict[str, Any]:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "system": platform.platform(),
        "cpu": names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_at_start": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


# Events


def events_of(recording: Path | None, seed: int, count: int) -> Iterator[bytes]:
    """`count` events: a recording, over and over, later at each pass; without one, the war game."""
    source = Recording(recording) if recording else WarGame(seed, DEFAULT_RATE, FIXED_START, count)
    source.prepare()
    if recording is None:
        yield from islice((line for batch in source.read(0) for line in batch), count)
        return
    span = _span_ms(source)
    passes = range(-(-count // max(source.length or 0, 1)))
    yield from islice(
        (_later(line, number, span) for number in passes for batch in source.read(0) for line in batch), count
    )


def _span_ms(source: Any) -> int:
    """From a recording's first event to its end, in whole hours: so long after each other its passes come."""
    times = [found for batch in source.read(0) for line in batch if (found := event_time(line)) is not None]
    hour = 3_600_000
    return ((max(times) - min(times)) // hour + 1) * hour if times else hour


def _later(line: bytes, number: int, span_ms: int) -> bytes:
    """The event in a later pass: other ids, and all times moved, so that nothing of it has come before."""
    if number == 0:
        return line
    try:
        event = msgspec.json.decode(line)
        meta, ids = event["meta"], event.get("revision") or {}
        meta["id"] = f"{number:08x}{meta['id'][8:]}"
        meta["dt"] = _iso(iso_milliseconds(meta["dt"]) + number * span_ms)
        event["timestamp"] += number * span_ms // 1000
        for which in ("old", "new"):
            if ids.get(which):
                ids[which] += number * REV_IDS_APART
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return line
    return msgspec.json.encode(event)


def _iso(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03}Z"


def write_events(path: Path, events: Iterator[bytes]) -> None:
    """A recording of these events."""
    with path.open("wb") as file:
        file.writelines(event + b"\n" for event in events)


def changes_of(path: Path) -> Iterator[Change]:
    """The changes that the producer would keep of a recording, with origins of the recording `bench`."""
    source = Recording(path)
    source.prepare()
    received = time.time_ns() // 1_000_000
    offset = 0
    for batch in source.read(0):
        for line in batch:
            # a game's lines have no origin of their own: the simulator gives it, as here
            stamped, _ = stamp(line, TOPIC_JSON, offset)
            outcome = read_event(stamped.decode(), received).outcome
            if isinstance(outcome, Change):
                yield outcome
            offset += 1


def messages_of(changes: Iterator[Change]) -> list[Message]:
    """Full messages, as the producer makes them while it catches up."""
    batches, entry = Batches(), Entry((), 0, "", True)  # type: ignore[arg-type] # nobody asks this entry
    made = [batch for change in changes for batch in batches.add(change, entry)]
    return [(batch.shard, encode(batch.changes)) for batch in [*made, *batches.close_all()]]


def send(settings: Settings, messages: list[Message]) -> None:
    """Put messages on wiki.edits, where the producer would."""
    producer = Producer(
        kafka_config(settings) | {"enable.idempotence": True, "linger.ms": 5, "compression.type": "lz4"}
    )
    for shard, value in messages:
        while True:
            try:
                producer.produce(EDITS_TOPIC, value, str(shard).encode(), partition=shard % settings.kafka_partitions)
                break
            except BufferError:
                producer.poll(0.1)
    if missing := producer.flush(120):
        raise SystemExit(f"the broker did not take {missing} messages")


# Parts


class Usage(NamedTuple):
    """What processes have used so far."""

    at: float  # seconds, monotonic
    cpu: float  # seconds of all their cores together


class Watched:
    """CPU time of a process and all it started, and the most memory that they had together."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._cpu: dict[int, float] = {}
        self.peak_memory = 0  # bytes; PSS on Linux, RSS elsewhere
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def usage(self) -> Usage:
        """So far; a process that has ended counts with what it had used when it was last seen."""
        for process in self._all():
            try:
                times = process.cpu_times()
                self._cpu[process.pid] = times.user + times.system
            except psutil.Error:
                continue
        return Usage(time.monotonic(), sum(self._cpu.values()))

    def memory(self) -> int:
        """Bytes that they have now."""
        return sum(map(memory_of, self._all()))

    def end(self) -> None:
        """Watch no more."""
        self._ended.set()
        self._thread.join()

    def _all(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.Error:
            return []

    def _sample(self) -> None:
        while not self._ended.wait(0.5):
            self.usage()
            self.peak_memory = max(self.peak_memory, self.memory())


def memory_of(process: psutil.Process) -> int:
    """A process's bytes: PSS on Linux, RSS elsewhere; 0 where it has ended."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except psutil.Error:
        return 0


@dataclass
class Lab:
    """A broker and a database of one measurement's own, and the services over them as the processes that they are."""

    settings: Settings
    broker: "subprocess.Popen[bytes]"
    clickhouse: "subprocess.Popen[bytes]"
    started: "list[subprocess.Popen[Any]]" = field(default_factory=list)

    def start(self, *command: str, **changed: object) -> "subprocess.Popen[bytes]":
        """A `battlefield` sub-command; `changed` are settings."""
        return self.start_program("services", *command, **changed)

    def start_program(self, program: str, *command: str, **changed: object) -> "subprocess.Popen[bytes]":
        """A sub-command of another module than `services`."""
        process = _spawn(self.settings, command, changed, program)
        self.started.append(process)
        return process

    def stored(self, client: Any) -> int:
        """Rows of `edits`."""
        return int(client.query("SELECT count() FROM edits").result_rows[0][0])

    def words(self) -> str:
        """The last of what the parts said."""
        logs = sorted(self.settings.data_dir.glob("*.log"))
        return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-1500:]}" for path in logs)

    def wait_for(self, condition: Callable[[], object], seconds: float = RUN_LIMIT, every: float = POLL) -> None:
        """Until a condition holds. Raises SystemExit with what the parts said when it does not."""
        deadline = time.monotonic() + seconds
        while not condition():
            dead = [process.args for process in self.started if process.poll()]
            if dead or time.monotonic() > deadline:
                raise SystemExit(f"{dead or 'the measurement'} failed:\n{self.words()}")
            time.sleep(every)

    def figures(self, role: str) -> dict[str, Any]:
        """A part's newest figures, with its state."""
        last = read_heartbeat(self.settings.data_dir, role)
        return {**last.figures, "state": last.state} if last else {"state": ""}


def _spawn(
    settings: Settings, command: Sequence[str], changed: dict[str, object], program: str = "services"
) -> "subprocess.Popen[bytes]":
    names = ("data_dir", "kafka_bootstrap_servers", "kafka_partitions", "clickhouse_port", "clickhouse_database")
    values = {name: getattr(settings, name) for name in names} | {"worker_changelog": False} | changed
    environment = os.environ | {name.upper(): str(value) for name, value in values.items()}
    with (settings.data_dir / f"{command[0]}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", program, *command], cwd=PROJECT_ROOT, env=environment, stdout=log, stderr=log
        )


@contextmanager
def lab(folder: Path, broker_at: BrokerAt = running_broker) -> Iterator[Lab]:
    """An empty, migrated stack in `folder`, over a broker of its own: the embedded one, where no other is named."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the parts end with us
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    settings = Settings(
        _env_file=None,
        **{
            **defaults,
            "data_dir": folder,
            "kafka_bootstrap_servers": f"127.0.0.1:{port}",
            "clickhouse_port": free_port(),
        },
    )
    with broker_at(port) as broker:
        made = Lab(settings, broker, _spawn(settings, ("serve-clickhouse",), {}))
        made.started.append(made.clickhouse)
        try:
            made.wait_for(lambda: accepts(settings.clickhouse_port) and accepts(port), START_LIMIT)
            apply_migrations(settings)
            create_topics(settings)
            yield made
        finally:
            for process in reversed(made.started):
                process.terminate()
            for process in made.started:
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def client_of(made: Lab) -> Any:
    """The writer's client."""
    return writer_client(made.settings)
