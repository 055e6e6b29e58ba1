"""The notifier over the real ClickHouse endpoint and a receiver that fails in every way."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import OperationalError

from services.common.clickhouse import writer_client
from services.common.settings import PROJECT_ROOT, Settings
from services.embedded.ports import free_port
from services.notifier import command, memory, webhook
from services.notifier.command import Notifier
from tests.dashboards.rows import insert

SECRET = "a-secret-path"


class Receiver:
    """A webhook: answers by `script`, one entry a request, then 200. A number is a status; an event is waited for, and
    then the connection is cut."""

    def __init__(self) -> None:
        self.script: list[int | tuple[int, str] | threading.Event] = []
        self.requests: list[tuple[float, str, dict[str, Any]]] = []  # when, key, body
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = receiver.script.pop(0) if receiver.script else 200
                receiver.requests.append((time.monotonic(), self.headers["Idempotency-Key"], body))
                if isinstance(answer, threading.Event):
                    answer.wait(20)
                    self.close_connection = True
                    return
                status, wish = answer if isinstance(answer, tuple) else (answer, "")
                self.send_response(status)
                if wish:
                    self.send_header("Retry-After", wish)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.port = free_port()
        self._handler = Handler
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{SECRET}"

    @property
    def told(self) -> list[str]:
        """The titles that it was told of, in order, attempts that it refused too."""
        return [body["title"] for _, _, body in self.requests]

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    made.start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "POLL_EVERY", 0.05)
    monkeypatch.setattr(command, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(command, "LAST_ANSWER", 0.1)
    monkeypatch.setattr(webhook, "ANSWER_TIMEOUT", 0.5)


@asynccontextmanager
async def notifying(settings: Settings, receiver: Receiver, data_dir: Path) -> AsyncIterator[Notifier]:
    """A notifier at work, over a data directory of its own."""
    own = settings.model_copy(
        update={
            "clickhouse_user": "writer",
            "clickhouse_password": type(settings.clickhouse_password)(
                (settings.data_dir / "clickhouse" / "writer-password").read_text().strip()
            ),
            "data_dir": data_dir,
        }
    )
    stop = asyncio.Event()
    notifier = Notifier(own, receiver.url, "json")
    running = asyncio.create_task(notifier.run(stop))
    await until(lambda: notifier._begun, running)
    try:
        yield notifier
    finally:
        stop.set()
        await running


async def until(condition: Callable[[], object], running: "asyncio.Task[None] | None" = None) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert running is None or not running.done(), running and running.exception()
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def battle(settings: Settings, title: str, ago: timedelta = timedelta(), **values: Any) -> uuid.UUID:
    """A battle that opened so long ago."""
    moment = datetime.now(UTC) - ago
    key = uuid.uuid4()
    row = {
        "battle_id": key,
        "source": "live",
        "title": title,
        "opened": moment - timedelta(minutes=10),
        "declared": moment,
        "updated": moment,
    }
    insert(settings, "battles", row | values)
    return key


def outcomes(settings: Settings) -> dict[str, tuple[str, int]]:
    with writer_client(settings) as client:
        rows = client.query("SELECT toString(incident_id), outcome, attempts FROM announcements FINAL").result_rows
    return {row[0]: (row[1], row[2]) for row in rows if row[1] != "begun"}


async def test_each_incident_is_told_once_and_nothing_old(
    database: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    battle(database, "before the first start", timedelta(minutes=5))
    async with notifying(database, receiver, tmp_path):
        await asyncio.sleep(1.1)  # incidents have whole seconds: what happens now is after the start
        first = battle(database, "Moon")
        alert = {"source": "live", "raised": datetime.now(UTC) + timedelta(seconds=1)}
        insert(
            database,
            "alerts",
            alert | {"kind": "three_revert_breach", "title": "Sun", "reverts": 4},
            alert | {"kind": "three_revert_warning", "title": "Mars"},
        )
        battle(database, "brewing", declared=None)
        await until(lambda: len(receiver.requests) == 2)
        # the worker writes a battle anew with each of its edits
        battle(database, "Moon", battle_id=first, edits=99, version=9)
        await until(lambda: list(outcomes(database).values()).count(("sent", 1)) == 2)
    async with notifying(database, receiver, tmp_path):
        battle(database, "Venus")
        await until(lambda: len(receiver.requests) == 3)
    assert receiver.told == ["Moon", "Sun", "Venus"]
    assert receiver.requests[0][1] == receiver.requests[0][2]["id"] == str(first)


async def test_what_failed_is_tried_again_when_the_receiver_says(
    database: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.script = [503, (429, "1"), 500]
    async with notifying(database, receiver, tmp_path):
        key = battle(database, "Moon", -timedelta(seconds=2))
        await until(lambda: outcomes(database).get(str(key)) == ("sent", 4))
    assert receiver.told == ["Moon"] * 4
    assert {request[1] for request in receiver.requests} == {str(key)}
    assert receiver.requests[2][0] - receiver.requests[1][0] >= 1.0


async def test_what_may_have_arrived_is_not_sent_again(database: Settings, receiver: Receiver, tmp_path: Path) -> None:
    never, at_once = threading.Event(), threading.Event()
    at_once.set()
    receiver.script = [never, at_once]
    async with notifying(database, receiver, tmp_path):
        slow = battle(database, "no answer in time", -timedelta(seconds=1))
        cut = battle(database, "cut off", -timedelta(seconds=2))
        battle(database, "Moon", -timedelta(seconds=3))
        await until(lambda: len(receiver.requests) == 3)
    async with notifying(database, receiver, tmp_path):
        battle(database, "Venus", -timedelta(seconds=4))
        await until(lambda: len(receiver.requests) == 4)
    never.set()
    assert receiver.told == ["no answer in time", "cut off", "Moon", "Venus"]
    assert outcomes(database)[str(slow)] == outcomes(database)[str(cut)] == ("unanswered", 1)


async def test_a_receiver_that_is_away_is_told_when_it_is_back(
    database: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.stop()
    async with notifying(database, receiver, tmp_path):
        key = battle(database, "Moon", -timedelta(seconds=2))
        await until(lambda: outcomes(database).get(str(key), ("", 0))[0] == "failed")
        receiver.start()
        await until(lambda: outcomes(database)[str(key)][0] == "sent")
    assert receiver.told == ["Moon"]


async def test_a_refusal_is_not_argued_with(database: Settings, receiver: Receiver, tmp_path: Path) -> None:
    receiver.script = [404, 301]
    async with notifying(database, receiver, tmp_path):
        keys = [battle(database, title, -timedelta(seconds=2)) for title in ("Moon", "Sun")]
        battle(database, "Venus", -timedelta(seconds=3))
        await until(lambda: len(receiver.requests) == 3)
    assert {outcomes(database)[str(key)] for key in keys} == {("refused", 1)}


async def test_nothing_is_sent_that_cannot_be_remembered(
    database: Settings, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ClickHouse stores the row of an attempt and dies before it says so; the incident is told all the same, once."""
    failures = iter([True])

    def write(client: Any, rows: list[memory.Row]) -> None:
        memory.write(client, rows)
        if rows[0][2] == "sending" and next(failures, False):
            raise OperationalError("gone")

    monkeypatch.setattr(command, "write", write)
    async with notifying(database, receiver, tmp_path):
        key = battle(database, "Moon", -timedelta(seconds=2))
        await until(lambda: outcomes(database).get(str(key)) == ("sent", 2))
    assert receiver.told == ["Moon"]


async def test_a_kill_while_it_sends_makes_no_second_message_and_the_address_is_in_no_log(
    database: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    never = threading.Event()
    receiver.script = [503, never]
    password = (database.data_dir / "clickhouse" / "writer-password").read_text().strip()
    environment = {
        **os.environ,
        "DATA_DIR": str(tmp_path),
        "CLICKHOUSE_PORT": str(database.clickhouse_port),
        "CLICKHOUSE_DATABASE": database.clickhouse_database,
        "CLICKHOUSE_USER": "writer",
        "CLICKHOUSE_PASSWORD": password,
        "ALERT_WEBHOOK_URL": receiver.url,
        "LOG_LEVEL": "DEBUG",
    }
    log = tmp_path / "log"

    def start() -> "subprocess.Popen[bytes]":
        with log.open("ab") as file:
            words = [sys.executable, "-m", "services", "notify"]
            return subprocess.Popen(words, cwd=PROJECT_ROOT, env=environment, stdout=file, stderr=file)

    with writer_client(database) as client:
        memory.begin(client, datetime.now(UTC) - timedelta(minutes=1))
    battle(database, "Moon")
    process = start()
    try:
        await until(lambda: len(receiver.requests) == 2)
        process.kill()
        process.wait()
        never.set()
        process = start()
        battle(database, "Sun")
        await until(lambda: len(receiver.requests) == 3)
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0
    assert receiver.told == ["Moon", "Moon", "Sun"], "once refused, once unknown, and no third time"
    told = log.read_text() + "".join(path.read_text() for path in (tmp_path / "heartbeats").iterdir())
    assert "announced" in told
    assert SECRET not in told
