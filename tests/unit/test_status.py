"""`battlefield status`: from heartbeats, and bounded in time where a server is away or hangs."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from services.audit.status import LIMIT, Status, status
from services.audit.status_command import command, remarks, row
from services.common.heartbeat import beat, heartbeat_path, read_heartbeat
from services.common.settings import Settings, get_settings


@pytest.fixture
def nobody(settings_factory: Callable[..., Settings], free_port: Callable[[], int], tmp_path: Path) -> Settings:
    """Settings where neither ClickHouse nor the broker listens."""
    return settings_factory(
        data_dir=tmp_path, clickhouse_port=free_port(), kafka_bootstrap_servers=f"127.0.0.1:{free_port()}"
    )


@pytest.fixture
def hanging() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def let_all_beat(data_dir: Path) -> None:
    """Heartbeats of a run in which all is well."""
    beat(
        data_dir,
        "producer",
        "running",
        {"rate": 33.5, "lag_s": 2.1, "position": {"codfw.mediawiki.recentchange/0": 77}},
    )
    beat(data_dir, "worker-1", "running", {"rate": 30.0, "lag": 7, "lag_by_partition": {"0": 7, "3": 0}})


def grow_old(data_dir: Path, role: str, seconds: float) -> None:
    """Make a heartbeat look as if it were that old."""
    last = read_heartbeat(data_dir, role)
    assert last is not None
    last.at -= seconds
    heartbeat_path(data_dir, role).write_bytes(msgspec.json.encode(last))


def parts(now: Status) -> dict[str, tuple[bool, str]]:
    """Each part's verdict."""
    return {part.name: (part.well, part.state) for part in now.parts}


def test_parts_that_beat_are_well_with_rate_lag_and_position(nobody: Settings) -> None:
    let_all_beat(nobody.data_dir)

    now = {part.name: part for part in status(nobody).parts}

    producer, worker = now["producer"], now["worker-1"]
    assert (producer.well, producer.rate, producer.lag_s) == (True, 33.5, 2.1)
    assert producer.position == {"codfw.mediawiki.recentchange/0": 77}
    assert (worker.well, worker.lag) == (True, {"0": 7, "3": 0})


def test_a_part_that_hangs_or_waits_or_is_not_there_is_told_apart(nobody: Settings) -> None:
    let_all_beat(nobody.data_dir)
    beat(nobody.data_dir, "worker-2", "waiting", {"lag_by_partition": {}}, "ClickHouse is away: refused")
    grow_old(nobody.data_dir, "producer", 100)

    verdicts = parts(status(nobody))

    well, state = verdicts["producer"]
    assert (well, "it hangs or has ended" in state) == (False, True)
    assert verdicts["worker-2"] == (True, "waiting")
    assert parts(status(nobody.model_copy(update={"data_dir": Path("/nowhere")})))["worker"][0] is False


def test_a_producer_that_delivers_nothing_is_not_well_although_it_beats(nobody: Settings) -> None:
    let_all_beat(nobody.data_dir)
    beat(nobody.data_dir, "producer", "not delivering", {}, "the broker has acknowledged nothing for 20 s")
    assert parts(status(nobody))["producer"] == (False, "not delivering")


def test_the_lag_of_the_group_is_that_of_all_workers_that_live(nobody: Settings) -> None:
    let_all_beat(nobody.data_dir)
    for name in ("worker-2", "worker-3"):
        beat(nobody.data_dir, name, "running", {"lag_by_partition": {"1": 4000, "2": 5}})
    grow_old(nobody.data_dir, "worker-3", 100)
    now = status(nobody)
    assert (now.workers, now.group_lag) == (2, 4012)
    told = "Consumer group: 2 workers, 4,012 messages behind. While that grows, take more workers."
    assert told in remarks(now)
    none = status(nobody.model_copy(update={"data_dir": Path("/nowhere")}))
    assert none.group_lag is None
    assert not any("Consumer group" in line for line in remarks(none))


def test_a_server_that_refuses_or_hangs_costs_no_more_than_the_limit(nobody: Settings, hanging: int) -> None:
    let_all_beat(nobody.data_dir)
    stuck = nobody.model_copy(update={"clickhouse_port": hanging, "kafka_bootstrap_servers": f"127.0.0.1:{hanging}"})
    for settings in (nobody, stuck):
        began = time.monotonic()
        now = status(settings)
        assert time.monotonic() - began < LIMIT + 1
        assert parts(now)["clickhouse"] == parts(now)["broker"] == (False, "does not answer")
        assert not now.well


def test_clickhouse_tells_version_and_freshness(nobody: Settings, clickhouse: Settings) -> None:
    let_all_beat(nobody.data_dir)
    now = status(nobody.model_copy(update={"clickhouse_port": clickhouse.clickhouse_port}))

    (server,) = [part for part in now.parts if part.name == "clickhouse"]
    assert server.well
    assert server.figures["migration"] >= 6


def test_hostile_texts_cannot_write_to_the_terminal(nobody: Settings) -> None:
    let_all_beat(nobody.data_dir)
    beat(nobody.data_dir, "producer", "running", {"position": {}}, "bad\x1b[2Jtext")
    now = status(nobody)

    assert not any("\x1b" in line for line in remarks(now))
    assert [row(part)[0] for part in now.parts] == ["broker", "clickhouse", "producer", "worker-1"]


def test_the_command_says_it_in_json_and_in_its_exit_status(nobody: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    let_all_beat(nobody.data_dir)
    monkeypatch.setenv("CLICKHOUSE_PORT", str(nobody.clickhouse_port))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", nobody.kafka_bootstrap_servers)
    get_settings.cache_clear()
    try:
        result = CliRunner().invoke(command, ["--json", "--data-dir", str(nobody.data_dir)])
    finally:
        get_settings.cache_clear()

    told = json.loads(result.output)
    assert result.exit_code == 1
    assert told["well"] is False
    assert {part["name"] for part in told["parts"]} == {"producer", "worker-1", "clickhouse", "broker"}
