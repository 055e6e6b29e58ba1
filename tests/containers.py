"""Broker and ClickHouse out of the images of compose.yaml, by testcontainers: TEST_BACKEND=docker.

The default is the embedded parts, which need no engine. Images that are missing are built before, as real ones or as
stand-ins: `make containers`.
"""

import os
import re
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from services.common.settings import PROJECT_ROOT, Settings
from services.embedded.ports import free_port

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

BACKEND = os.environ.get("TEST_BACKEND", "embedded")
START_TIMEOUT = 120  # seconds; a start takes about five, on a busy machine more
STAND_IN = "wiki-battlefield.stands-in-for"  # the label of tests/standins


def wanted() -> bool:
    """Whether the tests are to run over containers. Raises ValueError for a TEST_BACKEND that is none."""
    if BACKEND not in ("docker", "embedded"):
        raise ValueError(f"TEST_BACKEND={BACKEND}: write docker or embedded")
    return BACKEND == "docker"


def image(name: str) -> str:
    """The image of compose.yaml with that name, with its tag."""
    found = re.search(rf"^ *image: ({name}:\S+)$", (PROJECT_ROOT / "compose.yaml").read_text(), re.MULTILINE)
    assert found, f"compose.yaml has no image {name}"
    return found[1]


def described() -> str:
    """What the tests run over, for pytest's header."""
    if not wanted():
        return "embedded (TEST_BACKEND=docker: out of containers)"
    import docker

    client = docker.from_env()
    names = [image("redpandadata/redpanda"), image("clickhouse/clickhouse-server")]
    labels = [client.images.get(name).labels.get(STAND_IN) for name in names]
    return "; ".join(
        f"{name}{f' (STAND-IN. {label})' if label else ''}" for name, label in zip(names, labels, strict=True)
    )


class Broker:
    """A broker's container, for tests that stop it for a while, kill it, or take its disk away."""

    def __init__(self) -> None:
        self._port = free_port()  # one of its own choice would be another after each start
        self._container = self._start()
        self.address = f"127.0.0.1:{self._port}"

    def send_signal(self, number: int) -> None:
        """SIGSTOP and SIGCONT, for all its processes."""
        container = self._container.get_wrapped_container()
        {signal.SIGSTOP: container.pause, signal.SIGCONT: container.unpause}[signal.Signals(number)]()

    def kill(self) -> None:
        """SIGKILL; what it has on its disk stays."""
        self._container.get_wrapped_container().kill()

    def start_again(self) -> None:
        """Over the same disk, and wait until it is well: a Kafka of one node first outwaits its former self."""
        container = self._container.get_wrapped_container()
        container.start()
        deadline = time.monotonic() + START_TIMEOUT
        while container.exec_run("rpk cluster health").exit_code != 0:
            assert time.monotonic() < deadline, container.logs(tail=20).decode()
            time.sleep(0.5)

    def lose_everything(self) -> None:
        """Another one with an empty disk takes its place."""
        self.end()
        self._container = self._start()

    def end(self) -> None:
        """Stop it; its disk goes with it."""
        self._container.stop()

    def _start(self) -> "DockerContainer":
        from testcontainers.community.kafka import RedpandaContainer

        container = RedpandaContainer(image("redpandadata/redpanda"))
        container.ports = {9092: ("127.0.0.1", self._port)}  # not on all addresses, as testcontainers would
        try:
            container.start(timeout=START_TIMEOUT)
        except BaseException:
            container.stop()
            raise
        return container


def _set_up() -> None:
    """testcontainers reads these when it is imported: the host's own address, and no helper image to be pulled."""
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    os.environ.setdefault("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")


@contextmanager
def broker() -> Iterator[tuple[Broker, str]]:
    """A broker without topics, and its address."""
    _set_up()
    started = Broker()
    try:
        yield started, started.address
    finally:
        started.end()


@contextmanager
def clickhouse(make: Callable[..., Settings], folder: Path) -> Iterator[Settings]:
    """Settings of an empty ClickHouse with the accounts of clickhouse/users.d, there for any database."""
    _set_up()
    from testcontainers.community.clickhouse import ClickHouseContainer

    passwords = {name: secrets.token_urlsafe(12) for name in ("writer", "reader", "notifier")}
    users = folder / "users.xml"
    users.write_text((PROJECT_ROOT / "clickhouse/users.d/battlefield.xml").read_text().replace("battlefield.*", "*.*"))
    container = ClickHouseContainer(image("clickhouse/clickhouse-server"))
    container.ports = {8123: ("127.0.0.1",)}
    container.with_env("CLICKHOUSE_SKIP_USER_SETUP", "1")
    for name, password in passwords.items():
        container.with_env(f"CLICKHOUSE_{name.upper()}_PASSWORD", password)
    container.with_volume_mapping(str(users), "/etc/clickhouse-server/users.d/battlefield.xml", "ro")
    with container:
        yield make(
            data_dir=folder,
            clickhouse_port=int(container.get_exposed_port(8123)),
            clickhouse_user="writer",
            clickhouse_password=SecretStr(passwords["writer"]),
            clickhouse_reader_user="reader",
            clickhouse_reader_password=SecretStr(passwords["reader"]),
        )
