"""The embedded endpoint's start and end: by SIGTERM, by kill -9, by what is missing or taken."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from urllib3.exceptions import HTTPError

from services.common.clickhouse import reader_client, writer_client, writer_password_path
from services.common.heartbeat import read_heartbeat
from services.common.settings import PROJECT_ROOT
from tests.integration.test_endpoint import Http


@pytest.fixture(scope="module")
def endpoint(clickhouse_factory, tmp_path_factory):
    started = clickhouse_factory(tmp_path_factory.mktemp("life"))
    with writer_client(started.settings) as client:
        client.command("CREATE TABLE acknowledged (n UInt64, text String) ENGINE = MergeTree ORDER BY n")
    yield started
    started.stop()


@pytest.fixture
def running(endpoint):
    """It, running and with an empty table."""
    if not endpoint.answers():
        endpoint.start()
    with writer_client(endpoint.settings) as client:
        client.command("TRUNCATE TABLE acknowledged")
    return endpoint


def rows(endpoint):
    with reader_client(endpoint.settings) as client:
        return client.query("SELECT count(), uniqExact(n), max(n) FROM acknowledged").result_rows[0]


def insert_until_it_dies(endpoint, after):
    """Insert batches of 500 and kill the endpoint that many seconds after the first; the batches acknowledged."""
    acknowledged = 0
    killer = threading.Timer(after, endpoint.process.send_signal, [signal.SIGKILL])
    with writer_client(endpoint.settings, query_retries=0) as client:
        try:
            while True:
                numbers = list(range(500 * acknowledged, 500 * (acknowledged + 1)))
                client.insert("acknowledged", [numbers, ["x" * 100] * 500], column_oriented=True)
                acknowledged += 1
                if acknowledged == 1:
                    killer.start()
        except (ClickHouseError, OSError, HTTPError):
            endpoint.process.wait(timeout=10)
            return acknowledged


@pytest.mark.parametrize("after", [0.2, 0.53])
def test_after_kill_9_every_acknowledged_insert_is_there(running, after):
    acknowledged = insert_until_it_dies(running, after)
    running.start()
    count, distinct, last = rows(running)
    # the batch that was cut may be there too, but then as a whole
    assert acknowledged >= 1
    assert count in (500 * acknowledged, 500 * (acknowledged + 1))
    assert (distinct, last) == (count, count - 1)


def test_sigterm_lets_statements_finish_and_loses_nothing(running):
    http = Http(running.settings)
    password = writer_password_path(running.settings.data_dir).read_text()
    insert = b"INSERT INTO acknowledged SELECT number + sleepEachRow(0.01), 'x' FROM numbers(100)"
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(http, query="SELECT sleep(2)", wait_end_of_query=1)
        inserting = pool.submit(http, body=insert, writer=True)
        time.sleep(0.5)
        begin = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - begin < 8
        assert (slow.result().status, inserting.result().status) == (200, 200)
    running.start()
    assert rows(running)[0] == 100
    assert writer_password_path(running.settings.data_dir).read_text() == password


def test_sigterm_cancels_what_does_not_end(running):
    http = Http(running.settings)
    with ThreadPoolExecutor(1) as pool:
        endless = pool.submit(http, body=b"SELECT count() FROM system.numbers", writer=True)
        time.sleep(0.5)
        begin = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - begin < 8
        assert endless.result().code == "394"  # QUERY_WAS_CANCELLED


def test_what_a_kill_leaves_of_an_insert_goes_at_the_next_start(running):
    running.stop()
    left = running.settings.data_dir / "clickhouse" / "incoming" / "tmpleft"
    left.write_bytes(b"x")
    running.start()
    assert not left.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make a small disk")
@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
def test_a_full_disk_is_an_error_and_nothing_acknowledged_is_lost(clickhouse_factory, tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", tmp_path], check=False)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    endpoint = clickhouse_factory(tmp_path)
    acknowledged, error = 0, None
    try:
        with writer_client(endpoint.settings, query_retries=0) as client:
            client.command("CREATE TABLE acknowledged (n UInt64, text String) ENGINE = MergeTree ORDER BY n")
            while acknowledged < 200 and not error:
                texts = [os.urandom(200).hex() for _ in range(1000)]
                try:
                    client.insert("acknowledged", [[acknowledged] * 1000, texts], column_oriented=True)
                    acknowledged += 1
                except DatabaseError as caught:
                    error = str(caught)
        assert error
        assert "code: 243" in error  # NOT_ENOUGH_SPACE
        assert acknowledged > 0
        assert rows(endpoint)[:2] == (1000 * acknowledged, acknowledged)
    finally:
        endpoint.stop()
        subprocess.run(["umount", tmp_path], check=True)


def test_the_heartbeat_counts(running):
    before = read_heartbeat(running.settings.data_dir, "clickhouse").figures
    http = Http(running.settings)
    http(query="SELECT 1")
    http(query="SELECT nope")
    http(body=b"INSERT INTO acknowledged VALUES (1, 'x')", writer=True)
    deadline = time.monotonic() + 10
    beat = None
    while not beat or beat.figures["inserts"] != before["inserts"] + 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        beat = read_heartbeat(running.settings.data_dir, "clickhouse")
    assert (beat.state, beat.pid) == ("running", running.process.pid)
    assert beat.figures["errors"] == before["errors"] + 1
    assert beat.figures["queries"] > before["queries"]
    assert 100 < beat.figures["memory_mb"] < 1000


def try_to_start(data_dir, port, **more):
    environment = {"DATA_DIR": str(data_dir), "CLICKHOUSE_PORT": str(port), "PATH": "", **more}
    return subprocess.run(
        [sys.executable, "-m", "services", "serve-clickhouse"],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_second_one_over_the_same_data_is_refused(running, free_port):
    ended = try_to_start(running.settings.data_dir, free_port())
    assert ended.returncode == 1
    assert "Another ClickHouse endpoint uses" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert rows(running)[0] == 0


def test_a_taken_port_is_told_in_one_line(tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        ended = try_to_start(tmp_path, port)
    assert ended.returncode == 1
    assert f"Port {port} of 127.0.0.1" in ended.stderr
    assert "CLICKHOUSE_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_chdb_one_line_says_what_to_do(tmp_path, free_port):
    (tmp_path / "chdb.py").write_text("raise ImportError('No module named chdb')")
    ended = try_to_start(tmp_path / "data", free_port(), PYTHONPATH=str(tmp_path))
    assert ended.returncode == 1
    assert "chDB" in ended.stderr
    assert "docker compose up" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path, free_port):
    (tmp_path / "file").touch()
    ended = try_to_start(tmp_path / "file", free_port())
    assert ended.returncode == 1
    assert "Cannot write to" in ended.stderr
    assert "Traceback" not in ended.stderr
