"""`battlefield health`, what container health checks ask, and the same over HTTP, which platforms ask."""

import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from services.cli import cli
from services.common.health import answer_health
from services.common.heartbeat import STALE_AFTER, Heartbeat, beat, heartbeat_path
from services.common.settings import Settings, get_settings
from services.embedded.ports import free_port


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def health(role: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["health", role])
    return result.exit_code, result.output.strip()


@pytest.mark.parametrize(("state", "status"), [("running", 0), ("waiting", 0), ("starting", 1), ("stopping", 1)])
def test_a_fresh_heartbeat_counts_by_its_state(data_dir: Path, state: str, status: int) -> None:
    beat(data_dir, "worker-1", state, {})
    assert health("worker-1") == (status, f"worker-1: {state}")


def test_an_old_heartbeat_is_a_part_that_hangs(data_dir: Path) -> None:
    path = heartbeat_path(data_dir, "producer")
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode(Heartbeat("producer", 1, time.time() - STALE_AFTER - 1, "running", {})))
    status, text = health("producer")
    assert status == 1
    assert "16 s ago" in text


@pytest.mark.parametrize("content", [None, b"", b'{"role": 1}'])
def test_a_heartbeat_that_is_missing_or_unreadable(data_dir: Path, content: bytes | None) -> None:
    path = heartbeat_path(data_dir, "producer")
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    assert health("producer") == (1, "producer: no heartbeat yet")


@pytest.fixture
def answering(
    tmp_path: Path, settings_factory: Callable[..., Settings]
) -> Iterator[Callable[[str, str], tuple[int, bytes]]]:
    """Asks the producer's health: method and path to status and body."""
    settings = settings_factory(data_dir=tmp_path, port=free_port())
    server = answer_health(settings, "producer")
    assert server
    with pytest.raises(click.ClickException, match="give each process a PORT of its own"):
        answer_health(settings, "worker-1")

    def ask(method: str, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", settings.port, timeout=5)
        connection.request(method, path)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    yield ask
    server.shutdown()
    server.server_close()


def test_a_platform_is_answered_from_the_heartbeat_and_told_no_more(
    answering: Callable[[str, str], tuple[int, bytes]], tmp_path: Path
) -> None:
    assert answering("GET", "/health") == (503, b'{"role": "producer", "state": "no heartbeat yet"}')
    beat(tmp_path, "producer", "running", {"source": "http://inside"}, "refused by 10.0.0.1")
    for path in ("/health", "/", "/health?probe=1"):
        assert answering("GET", path) == (200, b'{"role": "producer", "state": "running"}')
    assert answering("HEAD", "/health") == (200, b"")
    beat(tmp_path, "producer", "starting", {})
    assert answering("GET", "/health")[0] == 503
    assert answering("GET", "/figures")[0] == 404
    assert answering("POST", "/health")[0] == 501


def test_without_a_port_nothing_listens(settings_factory: Callable[..., Settings]) -> None:
    assert answer_health(settings_factory(), "producer") is None
