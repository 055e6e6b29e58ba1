"""The parts of one run: what each is called with, what it needs, how it shows that it works, when it is ended."""

import http.client
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from services.common.heartbeat import read_heartbeat
from services.common.settings import PROJECT_ROOT, STACK_FILE
from services.embedded.ports import LOOPBACK
from services.embedded.source import Source
from services.embedded.supervisor import Part, Stage

HTTP_TIMEOUT = 0.3  # seconds; the supervisor's loop waits for it


class Ports(NamedTuple):
    """TCP ports on 127.0.0.1."""

    broker: int
    clickhouse: int
    simulator: int
    dashboard: int


class Play(NamedTuple):
    """How the simulator plays."""

    speed: str = "real"  # real, max or a factor
    rate: float | None = None  # changes/s of a war game
    seed: int | None = None
    events: int | None = None
    start: str | None = None  # the game's first instant, ISO 8601
    truth: Path | None = None
    declared: float | None = None  # share of a war game's reverts that only the second stream tells of


class Plan(NamedTuple):
    """All that was chosen for one run."""

    source: Source
    data_dir: Path  # absolute
    ports: Ports
    play: Play
    since: str  # how far back the very first start fills in, such as 1h; empty: not at all
    workers: int
    dashboard: bool
    broker_memory_mb: int  # MiB that the broker may hold before it is replaced
    notify: bool = False  # whether a webhook is told of incidents

    @property
    def worker_names(self) -> list[str]:
        """Their roles."""
        return [f"worker-{number}" for number in range(1, self.workers + 1)]

    @property
    def stream_url(self) -> str:
        """Where the producer reads."""
        return self.source.url or f"http://{LOOPBACK}:{self.ports.simulator}/v2/stream/recentchange"

    @property
    def follows_the_clock(self) -> bool:
        """Whether an event's time is the time at which it comes, so that its age means something."""
        return not self.source.simulated or (self.source.kind == "war game" and self.play.speed == "real")

    @property
    def status_address(self) -> tuple[str, str] | None:
        """Host and path of the simulator's account of what it plays; None where there is no simulator of ours."""
        return (f"{LOOPBACK}:{self.ports.simulator}", "/status") if self.source.simulated else None


def embedded_settings(plan: Plan) -> dict[str, str]:
    """What leads the services to this run's parts, and away from others that .env may name."""
    return {
        "DATA_DIR": str(plan.data_dir),
        "EVENTSTREAMS_URL": plan.stream_url,
        "EVENTSTREAMS_SINCE": plan.since,
        "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{plan.ports.broker}",
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "KAFKA_SSL_CA_LOCATION": "",
        "KAFKA_REPLICATION_FACTOR": "1",
        "WORKER_CHANGELOG": "false",  # the broker forgets it with everything else, and keeps it in memory until then
        "CLICKHOUSE_HOST": LOOPBACK,
        "CLICKHOUSE_PORT": str(plan.ports.clickhouse),
        "CLICKHOUSE_SECURE": "false",
        "CLICKHOUSE_CA_LOCATION": "",
        # empty: the services find the embedded endpoint's own password in the data directory, readers need none
        "CLICKHOUSE_USER": "",
        "CLICKHOUSE_PASSWORD": "",
        "CLICKHOUSE_READER_USER": "",
        "CLICKHOUSE_READER_PASSWORD": "",
        "DASHBOARD_PORT": str(plan.ports.dashboard),
        # a platform's port is for a process that it runs alone; the parts here must not all take it
        "PORT": "0",
        "HEALTH_PORT": "0",
        "LISTEN_ADDRESS": LOOPBACK,
    }


def child_environment(plan: Plan, environment: Mapping[str, str]) -> dict[str, str]:
    """Ours, with the embedded parts' settings in the place of all others."""
    own = {
        # the services run as this one does, installed or out of a checkout
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_ROOT), environment.get("PYTHONPATH", "")])),
        "PYTHONUNBUFFERED": "1",
    }
    return {**environment, **embedded_settings(plan), **own}


@contextmanager
def announced(plan: Plan, base: Path) -> Iterator[None]:
    """While it is entered, commands beside this run (`audit`, `status`, `query`) find it: see running_settings().

    The file lies in the base directory, and in the run's own for those who name that with DATA_DIR.
    """
    text = "".join(f"{name}={json.dumps(value)}\n" for name, value in embedded_settings(plan).items())
    files = {(folder / STACK_FILE).absolute() for folder in (base, plan.data_dir)}
    for file in files:
        file.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        for file in files:
            # another run may have announced itself in the base directory since
            if file.exists() and file.read_text(encoding="utf-8") == text:
                file.unlink()


def parts_of(plan: Plan) -> list[Part]:
    """Every part of a run, those that others need first."""
    source_needs = ["migrate", *(["simulator"] if plan.source.simulated else [])]
    if plan.play.speed == "max":
        # At full speed, what is read before the workers are there would pile up in the broker, which frees nothing. At
        # the stream's own pace it is little, and a viewer sees the first change five seconds sooner.
        source_needs += plan.worker_names
    parts = [
        Part(
            "broker",
            _battlefield("serve-broker"),
            Stage.STORE,
            ready=_beats(plan.data_dir, "broker"),
            # The embedded broker forgets everything when it ends, topics and offsets too. Producer and workers then
            # find their places again from ClickHouse.
            voids=["migrate", "producer", *plan.worker_names],
            # It also frees nothing before it ends. So that a run can stay up for weeks, it is replaced now and then.
            outgrown=_holds_too_much(plan.data_dir, plan.broker_memory_mb),
        ),
        Part(
            "clickhouse", _battlefield("serve-clickhouse"), Stage.STORE, ready=_answers(plan.ports.clickhouse, "/ping")
        ),
        Part("migrate", _battlefield("migrate"), Stage.STORE, needs=["broker", "clickhouse"], one_shot=True),
        *[
            Part(
                name,
                _battlefield("work", "--name", name),
                Stage.WORK,
                ready=_beats(plan.data_dir, name),
                needs=["migrate"],
                idle=_has_caught_up(plan.data_dir, name),
            )
            for name in plan.worker_names
        ],
        Part(
            "producer",
            _battlefield("produce"),
            Stage.SOURCE,
            ready=_beats(plan.data_dir, "producer"),
            needs=source_needs,
        ),
    ]
    if plan.source.simulated:
        command = _battlefield("simulate", *simulator_arguments(plan))
        # a long recording is read once before it plays, and a broken one is known then: until there it is not ready
        ready = _answers(plan.ports.simulator, "/ready")
        parts.insert(0, Part("simulator", command, Stage.SOURCE, ready=ready, start_limit=600))
    if plan.notify:
        parts.append(
            Part(
                "notifier",
                _battlefield("notify"),
                Stage.SOURCE,
                ready=_beats(plan.data_dir, "notifier"),
                needs=["migrate"],
                vital=False,  # nothing of the stream hangs on it
            )
        )
    if plan.dashboard:
        ready = _answers(plan.ports.dashboard, "/_stcore/health")
        # needs nothing: while ClickHouse is away it says so, and its own start takes as long as ClickHouse's
        parts.append(Part("dashboard", _battlefield("dashboard"), Stage.SOURCE, ready=ready))
    return parts


def simulator_arguments(plan: Plan) -> list[str]:
    """The arguments of `battlefield simulate`."""
    play, recording = plan.play, plan.source.recording
    wanted: list[tuple[str, object]] = [
        ("--port", plan.ports.simulator),
        ("--speed", play.speed),
        ("--recording", recording),
        ("--rate", play.rate),
        ("--seed", play.seed),
        ("--events", play.events),
        ("--start", play.start),
        ("--truth", play.truth),
        ("--declared", play.declared),
    ]
    return [text for name, value in wanted if value is not None for text in (name, str(value))]


def _battlefield(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "services", *arguments]


def _beats(data_dir: Path, role: str) -> Callable[[int], bool]:
    def ready(pid: int) -> bool:
        last = read_heartbeat(data_dir, role)
        return last is not None and last.pid == pid and last.state != "starting"

    return ready


def _holds_too_much(data_dir: Path, limit_mb: int) -> Callable[[int], str]:
    def outgrown(pid: int) -> str:
        last = read_heartbeat(data_dir, "broker")
        held = last.figures.get("memory_bytes", 0) // 2**20 if last is not None and last.pid == pid else 0
        return f"holds {held} MiB, {limit_mb} are allowed" if held > limit_mb else ""

    return outgrown


def _has_caught_up(data_dir: Path, role: str) -> Callable[[float], bool]:
    def idle(since: float) -> bool:
        last = read_heartbeat(data_dir, role)
        return last is not None and last.at > since and not last.figures.get("lag")

    return idle


def _answers(port: int, path: str) -> Callable[[int], bool]:
    def ready(_pid: int) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=HTTP_TIMEOUT)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready
