"""What only a broker with a disk can show: TEST_BACKEND=docker, so `make containers ARGS=--tests` runs it.

Over Apache Kafka where Redpanda's image is missing (tests/standins); pytest's first lines say which.
"""

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from scripts.drill import WRONG_WINDOWS, sent_changes
from services.common.change import EDITS_TOPIC, LEDGER_TOPIC, POSITIONS_TOPIC, LedgerPage, Position, encode
from services.common.clickhouse import reader_client
from services.common.kafka import create_topics, kafka_config
from services.common.queries import run_query
from services.producer.broker import read_positions
from tests import containers
from tests.events import TOPIC
from tests.integration.conftest import Stack, simulator
from tests.integration.test_worker import assert_exact, changes, messages

pytestmark = pytest.mark.skipif(
    not containers.wanted(), reason="the embedded broker has no disk: run `make containers ARGS=--tests`"
)

# Clean whatever can be cleaned, now and not in a week.
EAGER = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "100"}


def admin(stack: Stack) -> AdminClient:
    return AdminClient(kafka_config(stack.settings))


def broker_of(stack: Stack) -> containers.Broker:
    assert isinstance(stack.broker, containers.Broker)
    return stack.broker


def set_config(stack: Stack, kind: ResourceType, name: str, values: dict[str, str]) -> None:
    entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in values.items()]
    wait_for_all(admin(stack), "incremental_alter_configs", [ConfigResource(kind, name, incremental_configs=entries)])


def wait_for_all(client: AdminClient, action: str, things: list[Any]) -> None:
    """Ask for something and wait for it; the client has to live as long as that takes."""
    for done in getattr(client, action)(things).values():
        done.result(30)


def delete_what_is_there(stack: Stack) -> None:
    """What retention does to messages that nobody has read for a week."""
    partitions = range(topics(stack)[EDITS_TOPIC])
    wait_for_all(admin(stack), "delete_records", [TopicPartition(EDITS_TOPIC, number, -1) for number in partitions])


def topics(stack: Stack) -> dict[str, int]:
    """Topic -> partitions."""
    return {name: len(topic.partitions) for name, topic in admin(stack).list_topics(timeout=30).topics.items()}


def records(stack: Stack, topic: str, partition: int) -> int:
    """How many records a partition holds, by reading them: compaction leaves holes."""
    config = {"group.id": "count", "enable.partition.eof": True, "enable.auto.commit": False}
    consumer = Consumer(kafka_config(stack.settings) | config)
    consumer.assign([TopicPartition(topic, partition, 0)])
    count = 0
    while (message := consumer.poll(10)) is not None:
        if error := message.error():
            assert error.code() == KafkaError._PARTITION_EOF, error
            break
        count += 1
    consumer.close()
    return count


@contextmanager
def kept_running(stack: Stack, *command: str, **changed: object) -> Iterator[Callable[[], int]]:
    """A part that is started again whenever it ends, as its container would be; how often, it tells."""
    stop, ended = threading.Event(), 0

    def run() -> None:
        nonlocal ended
        while True:
            process = stack.start(*command, **changed)
            while process.poll() is None and not stop.wait(0.2):
                pass
            if stop.is_set():
                process.terminate()
                process.wait(20)
                return
            ended += 1
            time.sleep(0.5)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: ended
    finally:
        stop.set()
        thread.join()


def test_a_broker_that_is_killed_has_kept_its_log(stack: Stack) -> None:
    with kept_running(stack, "work"):
        stack.send(EDITS_TOPIC, messages(changes(0, 3000)))
        stack.wait_for(lambda: stack.count("edits") > 0)
        broker_of(stack).kill()
        broker_of(stack).start_again()
        stack.send(EDITS_TOPIC, messages(changes(3000, 4000)))
        stack.wait_for(lambda: stack.count("edits") == 4000)
    assert_exact(stack, changes(0, 4000))


def test_a_broker_that_lost_its_disk_is_filled_from_what_clickhouse_holds(stack: Stack) -> None:
    with kept_running(stack, "work"):
        stack.send(EDITS_TOPIC, messages(changes(0, 2000)))
        stack.wait_for(lambda: stack.count("edits") == 2000)
        broker_of(stack).lose_everything()
        create_topics(stack.settings)  # as the producer does at its start
        # the producer finds no position, and begins where ClickHouse vouches for all; here a little before
        stack.send(EDITS_TOPIC, messages(changes(1500, 4000)))
        stack.wait_for(lambda: stack.count("edits") == 4000, 90)
    assert_exact(stack, changes(0, 4000))


def lose_the_disk(stack: Stack) -> None:
    """Another broker in its place, without topics: whoever starts next makes them."""
    broker_of(stack).lose_everything()


def make_the_topic_anew(stack: Stack) -> None:
    """The broker lives on, and with it the producer's position: the changes alone are gone."""
    wait_for_all(admin(stack), "delete_topics", [EDITS_TOPIC])
    stack.wait_for(lambda: EDITS_TOPIC not in topics(stack))
    create_topics(stack.settings)


@pytest.mark.parametrize("lose", [lose_the_disk, make_the_topic_anew])
def test_a_producer_that_runs_on_over_an_emptied_broker_notices_and_sends_again_what_was_lost(
    stack: Stack, lose: Callable[[Stack], None]
) -> None:
    """What the broker had acknowledged and no worker had read is what nobody would miss."""
    events = 10_000
    with (
        simulator(stack, "--seed", "7", "--events", str(events), "--speed", "10") as (url, _),
        kept_running(stack, "produce", eventstreams_url=url) as producer_ended,
    ):
        with kept_running(stack, "work"):
            stack.wait_for(lambda: stack.count("edits") > 300)
        kept = stack.figures("producer")["kept"]
        stack.wait_for(lambda: stack.figures("producer")["kept"] > kept + 300)  # acknowledged, and not stored
        lose(stack)
        with kept_running(stack, "work"):
            stack.wait_for(lambda: all_is_accounted_for(stack, events), 180)
        assert producer_ended() >= 1, "it went on as if nothing had happened"
    assert_all_of_the_game(stack, seed=7, events=events)
    assert "Traceback" not in (stack.settings.data_dir / "produce.log").read_text()


def test_producer_and_worker_run_on_over_an_emptied_broker(stack: Stack) -> None:
    events = 12_000
    with (
        simulator(stack, "--seed", "8", "--events", str(events), "--speed", "15") as (url, _),
        kept_running(stack, "produce", eventstreams_url=url),
        kept_running(stack, "work"),
    ):
        stack.wait_for(lambda: stack.count("edits") > 1000)
        lose_the_disk(stack)
        stack.wait_for(lambda: all_is_accounted_for(stack, events), 180)
    assert_all_of_the_game(stack, seed=8, events=events)


def assert_all_of_the_game(stack: Stack, seed: int, events: int) -> None:
    """Each change is stored, and counted once."""
    stored = {meta_id for (meta_id,) in stack.query("SELECT toString(meta_id) FROM edits FINAL")}
    assert stored == set(sent_changes(None, seed, events))
    assert stack.query(WRONG_WINDOWS) == [(0,)]


def all_is_accounted_for(stack: Stack, events: int) -> bool:
    """Whether so many were read, and each is where it belongs."""
    account = next(iter(run_query(stack.client, "accounting").named_results()))
    taken = account["stored"] + account["duplicates"] + account["dead_letters"]
    return bool(account["read"] == events and account["kept"] + account["refused"] == taken)


def test_three_workers_share_while_they_join_leave_and_die(stack: Stack) -> None:
    workers: dict[str, subprocess.Popen[bytes]] = {}

    def start(name: str) -> None:
        workers[name] = stack.start("work", "--name", name, worker_commit_messages=20)
        stack.wait_for(lambda: stack.is_at_work(workers[name], name))

    sent = 12_000
    sending = threading.Thread(
        target=lambda: [
            (stack.send(EDITS_TOPIC, messages(changes(first, first + 500), size=5)), time.sleep(0.5))
            for first in range(0, sent, 500)
        ]
    )
    start("worker-1")
    sending.start()
    start("worker-2")
    start("worker-3")
    stack.stop(workers["worker-2"], signal.SIGKILL)  # in the middle of a batch, for messages come all the time
    time.sleep(1)
    assert stack.stop(workers["worker-3"]) == 0
    start("worker-2")
    start("worker-3")
    stack.stop(workers["worker-1"], signal.SIGKILL)
    sending.join()
    stack.wait_for(lambda: stack.count("edits") == sent, 90)
    stack.wait_for(lambda: not any(stack.figures(name)["lag"] for name in ("worker-2", "worker-3")))
    assert all(stack.figures(name)["stored"] > 0 for name in workers), "each had its share"
    for name in ("worker-2", "worker-3"):
        assert stack.stop(workers[name]) == 0
    assert_exact(stack, changes(0, sent))


def test_what_compaction_leaves_of_positions_and_state_is_enough(stack: Stack) -> None:
    set_config(stack, ResourceType.BROKER, "0", {"log.cleaner.backoff.ms": "200"})
    set_config(stack, ResourceType.TOPIC, POSITIONS_TOPIC, EAGER)
    positions = [Position(TOPIC, number % 2, number, number) for number in range(400)]
    for first in range(0, 400, 80):  # a segment each: the newest one is never cleaned
        part = [(f"{TOPIC}/{p.source_partition}".encode(), encode(p)) for p in positions[first : first + 80]]
        stack.send(POSITIONS_TOPIC, part)
        time.sleep(0.2)

    worker = stack.start("work", worker_commit_messages=5)
    stack.send(EDITS_TOPIC, messages(changes(0, 500), size=5))
    stack.wait_for(lambda: stack.count("edits") == 500)
    (changelog,) = [name for name in topics(stack) if name.startswith("changelog__")]
    set_config(stack, ResourceType.TOPIC, changelog, EAGER)
    stack.send(EDITS_TOPIC, messages(changes(500, 3000), size=5))
    stack.wait_for(lambda: stack.count("edits") == 3000)
    assert stack.stop(worker) == 0

    def ends(topic: str, partition: int) -> int:
        consumer = Consumer(kafka_config(stack.settings) | {"group.id": "ends"})
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        consumer.close()
        return int(end)

    stack.wait_for(lambda: records(stack, POSITIONS_TOPIC, 0) < 100, 90)
    # about half of it goes, 80 of 150 records stay: as many as there are pages, windows and shards to remember
    stack.wait_for(lambda: records(stack, changelog, 0) < ends(changelog, 0), 90)
    assert {(p.source_partition, p.offset) for p in read_positions(stack.settings)} == {(0, 398), (1, 399)}

    shutil.rmtree(stack.settings.data_dir / "state")
    log = stack.settings.data_dir / "work.log"
    told = log.stat().st_size
    stack.send(EDITS_TOPIC, messages(changes(2500, 3200)))
    worker = stack.start("work")
    stack.wait_for(lambda: stack.count("edits") == 3200)
    assert stack.stop(worker) == 0
    assert "seeded" not in log.read_text()[told:], "the state came out of the compacted changelog"
    assert_exact(stack, changes(0, 3200))


def test_a_worker_that_retention_has_passed_says_so_and_the_gap_can_be_filled(stack: Stack) -> None:
    def pages(first: int, last: int) -> list[tuple[bytes | None, bytes]]:
        made = [LedgerPage(TOPIC, 0, n, n * 1000, n * 1000 + 999, 1000, 1000, 0, {}) for n in range(first, last)]
        return [(None, encode(page)) for page in made]

    stack.send(EDITS_TOPIC, messages(changes(0, 1000)))
    stack.send(LEDGER_TOPIC, pages(0, 1))
    worker = stack.start("work")
    stack.wait_for(lambda: stack.count("edits") == 1000 and stack.count("ledger") == 1)
    assert stack.stop(worker) == 0
    stack.send(EDITS_TOPIC, messages(changes(1000, 2000)))
    delete_what_is_there(stack)
    stack.send(EDITS_TOPIC, messages(changes(2000, 3000)))
    stack.send(LEDGER_TOPIC, pages(1, 3))

    for _ in range(2):  # it stays so, whoever starts it again
        worker = stack.start("work")
        assert worker.wait(60) == 1
        said = stack.figures("worker-1")
        assert said["state"] == "messages lost"
        assert "has deleted" in said["error"]
        assert "WORKER_SKIP_LOST=true" in (stack.settings.data_dir / "work.log").read_text()
        assert stack.count("edits") == 1000, "nothing was skipped"

    # one way: the topics are made anew, and the producer reads from where ClickHouse vouches for all
    names = [name for name in topics(stack) if name.startswith(("wiki.", "changelog__"))]
    wait_for_all(admin(stack), "delete_topics", names)
    stack.wait_for(lambda: not [name for name in topics(stack) if name.startswith("wiki.")])
    create_topics(stack.settings)
    stack.send(EDITS_TOPIC, messages(changes(1000, 2000)))
    stack.send(LEDGER_TOPIC, pages(1, 2))
    with kept_running(stack, "work"):
        stack.wait_for(lambda: stack.count("edits") == 2000, 90)
    assert_exact(stack, changes(0, 2000))

    # the other way: go on without; the account shows what is missing
    stack.send(EDITS_TOPIC, messages(changes(2000, 2500)))
    delete_what_is_there(stack)
    stack.send(EDITS_TOPIC, messages(changes(2500, 3000)))
    stack.send(LEDGER_TOPIC, pages(2, 3))
    worker = stack.start("work", worker_skip_lost=True)
    stack.wait_for(lambda: stack.count("edits") == 2500 and stack.count("ledger") == 3)
    assert stack.stop(worker) == 0
    with reader_client(stack.settings) as client:
        (account,) = run_query(client, "accounting").named_results()
    assert (account["kept"], account["stored"]) == (3000, 2500)
