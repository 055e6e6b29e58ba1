"""The embedded broker as its clients meet it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from services.common.heartbeat import read_heartbeat
from services.common.kafka import create_topics, kafka_config
from services.common.settings import PROJECT_ROOT, Settings
from services.embedded.broker import BrokerFailed, broker_environment, own_port, running_broker
from services.embedded.ports import free_port, holder


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_messages_go_through_in_order(broker: str, settings_factory: Callable[..., Settings]) -> None:
    settings = settings_factory(kafka_bootstrap_servers=broker)
    create_topics(settings)
    producer = Producer(kafka_config(settings))
    for number in range(100):
        producer.produce("wiki.deadletters", str(number).encode())
    assert producer.flush(10) == 0
    with closing(Consumer(kafka_config(settings) | {"group.id": "test"})) as consumer:
        consumer.assign([TopicPartition("wiki.deadletters", 0, 0)])
        values: list[bytes] = []
        deadline = time.monotonic() + 20
        while len(values) < 100 and time.monotonic() < deadline:
            values += [m.value() for m in consumer.consume(100, timeout=0.5) if not m.error()]
    assert [int(value) for value in values] == list(range(100))


def test_it_listens_on_this_machine_only() -> None:
    port = free_port()
    with running_broker(port) as process:
        listening = [c.laddr for c in psutil.Process(process.pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert [tuple(address) for address in listening] == [("127.0.0.1", port)]
        # name and number are what the message about a taken port is made of
        assert str(process.pid) in holder(port)


def test_a_taken_port_is_named_with_the_setting_that_moves_it() -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BrokerFailed, match=rf"Port {port} is taken.*KAFKA_BOOTSTRAP_SERVERS"), running_broker(port):
            pytest.fail("it started on a taken port")


def test_it_serves_no_other_machine(settings_factory: Callable[..., Settings]) -> None:
    with pytest.raises(BrokerFailed, match="redpanda:9092"):
        own_port(settings_factory(kafka_bootstrap_servers="redpanda:9092"))


def test_settings_of_ours_do_not_reach_the_binary() -> None:
    environment = {"PATH": "/bin", "STORAGE_ENGINE": "s3://elsewhere", "CLICKHOUSE_PASSWORD": "secret"}
    assert broker_environment(environment) == {"PATH": "/bin", "RUST_LOG": "error", "NO_COLOR": "1"}


@pytest.fixture
def served(tmp_path: Path) -> "tuple[subprocess.Popen[bytes], int]":
    """`battlefield serve-broker` as a process of its own, with the process id of the binary under it."""
    port = free_port()
    environment = os.environ | {
        "DATA_DIR": str(tmp_path),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        "PYTHONPATH": str(PROJECT_ROOT),
    }
    command = [sys.executable, "-m", "services", "serve-broker"]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE)

    def is_running() -> bool:
        beat = read_heartbeat(tmp_path, "broker")
        return beat is not None and beat.pid == process.pid and beat.state == "running"

    wait_for(is_running, 20)
    beat = read_heartbeat(tmp_path, "broker")
    assert beat is not None
    assert beat.figures["memory_bytes"] > 2**20
    return process, beat.figures["broker_pid"]


def test_it_ends_on_sigterm_with_its_binary(served: "tuple[subprocess.Popen[bytes], int]") -> None:
    process, binary = served
    process.terminate()
    process.communicate(timeout=5)
    assert process.returncode == 0
    assert not is_alive(binary)


def test_the_binary_does_not_outlive_a_killed_parent(served: "tuple[subprocess.Popen[bytes], int]") -> None:
    process, binary = served
    process.kill()
    process.communicate(timeout=5)
    wait_for(lambda: not is_alive(binary), 5)


def test_the_death_of_the_binary_is_an_error(served: "tuple[subprocess.Popen[bytes], int]") -> None:
    process, binary = served
    os.kill(binary, signal.SIGKILL)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert b"its contents are gone" in errors
