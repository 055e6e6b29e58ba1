"""Each part as a platform runs it: alone, on the PORT that it is given, ended by SIGTERM whatever it waits for."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.common.clickhouse import writer_credentials
from services.common.settings import Settings
from services.embedded.ports import free_port
from tests.answers import answer
from tests.integration.conftest import Stack

GRACE = 10  # seconds; what Cloud Run leaves between SIGTERM and SIGKILL


@pytest.fixture
def alone(settings_factory: Callable[..., Settings], clickhouse: Settings, tmp_path: Path) -> Iterator[Stack]:
    """Parts without a broker, over an empty folder."""
    user, password = writer_credentials(clickhouse)
    nowhere = {"kafka_bootstrap_servers": f"127.0.0.1:{free_port()}", "data_dir": tmp_path}
    account = {"clickhouse_user": user, "clickhouse_password": SecretStr(password)}
    stack = Stack(clickhouse.model_copy(update={**nowhere, **account}), None)
    yield stack
    for process in stack.processes:
        process.kill()
        process.wait()


def start_and_stop(stack: Stack, wanted: dict[str, tuple[str, int]], **changed: object) -> None:
    """Start parts, each on a port of its own, wait for their answers (path and status), and end them."""
    running = {name: (stack.start(name, port=port, **changed), port) for name in wanted for port in [free_port()]}
    for name, (path, status) in wanted.items():
        process, port = running[name]
        stack.wait_for(lambda port=port, path=path, status=status: answer(port, path) == status, 120)
        assert process.poll() is None, stack.words()
    for process, _ in running.values():
        process.send_signal(signal.SIGTERM)
    ended = {name: process.wait(GRACE) for name, (process, _) in running.items()}
    assert ended == dict.fromkeys(wanted, 0), stack.words()


def test_who_still_waits_for_the_broker_is_not_well_and_ends_at_once(alone: Stack) -> None:
    start_and_stop(alone, {"produce": ("/health", 503), "work": ("/health", 503)})


def test_who_needs_no_broker_is_well_on_its_port_and_ends_at_once(alone: Stack) -> None:
    wanted = {"simulate": ("/healthz", 200), "notify": ("/health", 200), "dashboard": ("/_stcore/health", 200)}
    start_and_stop(alone, wanted, alert_webhook_url=SecretStr(f"http://127.0.0.1:{free_port()}/"))


def test_a_port_that_is_taken_is_told_with_the_setting(alone: Stack) -> None:
    port = free_port()
    first = alone.start("simulate", port=port)
    alone.wait_for(lambda: answer(port, "/healthz") == 200)
    assert alone.start("work", port=port).wait(30) == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in alone.words()
    assert alone.stop(first) == 0
