"""`battlefield health`: what container health checks ask."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from services.cli import cli
from services.common.heartbeat import STALE_AFTER, Heartbeat, beat, heartbeat_path
from services.common.settings import get_settings


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
