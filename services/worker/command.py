"""`battlefield work`: wiki.edits -> ClickHouse, one worker of a group."""

import gc
import json
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException
from quixstreams import Application
from quixstreams.kafka import ConnectionConfig
from quixstreams.kafka.exceptions import KafkaBrokerUnavailableError
from quixstreams.state.exceptions import InvalidStoreChangelogOffset
from quixstreams.state.rocksdb import RocksDBOptions

from services.common.change import EDITS_TOPIC
from services.common.clickhouse import do_without_pandas, refusal, writer_client
from services.common.health import answer_health, end_at_sigterm
from services.common.heartbeat import beat
from services.common.kafka import create_topics, kafka_config
from services.common.logs import set_up_logs
from services.common.reach import NotConnected
from services.common.settings import Settings, get_settings
from services.worker.continuity import Continuity, MessagesLost, Places
from services.worker.pipeline import build
from services.worker.seed import Seeder
from services.worker.sink import ClickHouseSink

# The broker takes a worker for dead after this long without a heartbeat, and a joining one waits about half of it.
# 6 s is the least that Kafka and Redpanda allow by default; heartbeats come from a thread of librdkafka's own.
SESSION_TIMEOUT = 6_000  # milliseconds
BLOCK_CACHE = 32 * 2**20  # bytes; RocksDB's shared cache would grow to 1 GiB
WRITE_BUFFER = 8 * 2**20  # bytes; of each partition, so several times that: Quix's 64 MiB would grow to half a GiB
RATE_OVER = 5  # seconds
NOT_OURS = (
    "none",
    "stopping",
    "stopped",
)  # librdkafka's fetch_state of a partition that it was not given, or gave back
COLLECT_AFTER = (200_000, 20, 100)  # new objects, young collections, middle ones

# As a text of its own: the same for all replicas of a table, another one after it was dropped and made again.
IDENTITY = "SELECT toString(uuid) FROM system.tables WHERE database = currentDatabase() AND name = 'edits'"

log = structlog.get_logger()


class Figures:
    """The worker's own counters, written as its heartbeat about once a second."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._state = "starting"
        self._last_error = ""
        self._messages = self._stored = 0
        self._lag: dict[str, int] = {}
        self._history: deque[tuple[float, int]] = deque(maxlen=RATE_OVER + 1)

    def on_stored(self, edits: int) -> None:
        """A checkpoint's rows are in ClickHouse."""
        self._stored += edits
        self._state = "running"

    def on_refused(self, reason: str) -> None:
        """ClickHouse did not take them."""
        self._state, self._last_error = "waiting", reason
        self.beat()

    def on_wait(self, reason: str) -> None:
        """Something takes long."""
        self._state, self._last_error = "waiting", reason
        self.beat()

    def on_lost(self, reason: str) -> None:
        """It cannot go on; the next start will end in the same way."""
        self._state, self._last_error = "messages lost", reason
        self.beat()

    def on_message(self, *_: Any) -> None:
        """A message has been processed."""
        self._messages += 1

    def on_statistics(self, text: str) -> None:
        """librdkafka's figures, once a second, also when nothing comes: the loop goes round."""
        told = json.loads(text)
        topics = told["topics"]
        self._lag = {
            number: partition["consumer_lag"]
            for number, partition in topics.get(EDITS_TOPIC, {}).get("partitions", {}).items()
            # of a partition that another worker has by now it goes on telling what it last saw
            if partition["consumer_lag"] >= 0 and partition["fetch_state"] not in NOT_OURS
        }
        if self._state == "starting" and told.get("cgrp", {}).get("join_state") == "steady":
            self._state = "running"  # the group has given it its partitions
        self.beat()

    def beat(self) -> None:
        """Write the heartbeat."""
        self._history.append((time.monotonic(), self._stored))
        (began, before), (now, stored) = self._history[0], self._history[-1]
        figures = {
            "messages": self._messages,
            "stored": self._stored,
            "rate": round((stored - before) / (now - began), 1) if now > began else 0.0,
            "lag": sum(self._lag.values()),
            "lag_by_partition": self._lag,
        }
        beat(self._settings.data_dir, self._name, self._state, figures, self._last_error)


class NoTables(Exception):
    """ClickHouse has no tables yet."""


def consumer_group(settings: Settings, wait: Callable[[str], None]) -> str:
    """The group that shares the work: WORKER_GROUP and the identity of the database's table `edits`.

    How far the broker has been read is worth something only beside what was stored of it. A database that was made
    anew, after a loss, out of a backup or on another server, gets a new group: its workers read again whatever the
    broker still has, take the state from what ClickHouse holds, and leave out what is stored. Waits while ClickHouse
    is away. Raises NoTables, and NotConnected where waiting would not help.
    """
    while True:
        try:
            with writer_client(settings) as client:
                found = client.query(IDENTITY).result_rows
        except ClickHouseError as error:
            why = refusal(settings, error)
            if why.is_lasting:
                raise NotConnected(str(why), is_lasting=True) from error
            wait(str(why))
            time.sleep(1.0)
            continue
        if not found:
            raise NoTables(f"ClickHouse has no table {settings.clickhouse_database}.edits: run `battlefield migrate`.")
        return f"{settings.worker_group}-{str(found[0][0])[:8]}"


def make_application(settings: Settings, group: str, state_dir: Path, figures: Figures) -> Application:
    """Quix's application with the settings that correctness and memory depend on."""
    return Application(
        broker_address=ConnectionConfig.from_librdkafka_dict(kafka_config(settings), ignore_extras=True),
        consumer_group=group,
        auto_offset_reset="earliest",
        commit_interval=settings.worker_commit_interval,
        commit_every=settings.worker_commit_messages,
        state_dir=state_dir,
        use_changelog_topics=settings.worker_changelog,
        rocksdb_options=RocksDBOptions(block_cache_size=BLOCK_CACHE, write_buffer_size=WRITE_BUFFER),
        consumer_poll_timeout=0.1,
        consumer_extra_config={
            "session.timeout.ms": SESSION_TIMEOUT,
            "heartbeat.interval.ms": SESSION_TIMEOUT // 4,
            "fetch.wait.max.ms": 100,  # what a change waits at most on an idle embedded broker, which wakes for none
            "queued.max.messages.kbytes": 16_384,  # of memory for messages fetched ahead; 64 MB by default
            "statistics.interval.ms": 1000,
            "stats_cb": figures.on_statistics,
        },
        # else the changelog of a broker that lost its disk would be made by asking for it, with one partition, and no
        # worker could start over that
        producer_extra_config={"allow.auto.create.topics": False},
        on_message_processed=figures.on_message,
        loglevel=None,
    )


def look_for_garbage_rarely() -> None:
    """For a process that keeps many objects for long: pages, windows, the rows of a checkpoint.

    By default Python's collector goes through all of them again after each 70,000 new ones, and finds nothing: next to
    everything here is freed by its reference count.
    """
    gc.freeze()  # what has been imported stays
    gc.set_threshold(*COLLECT_AFTER)


def work(settings: Settings, name: str) -> None:
    """Run until SIGTERM or SIGINT. Raises NotConnected, ClickHouseError, KafkaBrokerUnavailableError."""
    look_for_garbage_rarely()
    figures = Figures(settings, name)
    figures.beat()
    create_topics(settings)
    group = consumer_group(settings, figures.on_wait)
    app = make_application(settings, group, settings.data_dir / "state" / name, figures)

    def client() -> Any:
        return writer_client(settings)

    seeder = Seeder(client, settings.window_grace, changelog=settings.worker_changelog, on_wait=figures.on_wait)

    def on_stored(edits: int) -> None:
        seeder.settle(committed=True)
        figures.on_stored(edits)

    def on_refused(reason: str) -> None:
        seeder.settle(committed=False)
        figures.on_refused(reason)

    places = Places(settings, group)
    if settings.worker_changelog and places.unknown(EDITS_TOPIC):
        # A first start, or a broker that has lost everything: its changelogs then cannot say whether the state on this
        # disk is current. It comes from them, or from ClickHouse, in any case.
        app.clear_state()  # type: ignore[no-untyped-call] # Quix leaves it untyped
    continuity = Continuity(places.committed, skip_lost=settings.worker_skip_lost)
    # so that a longer interval means fewer inserts: several workers are to share what ClickHouse bears
    write_after = settings.worker_commit_interval / 2
    build(app, ClickHouseSink(client, on_stored, on_refused, write_after), seeder, continuity)
    try:
        app.run()
    except (ClickHouseError, KafkaException):
        raise
    except MessagesLost as error:
        figures.on_lost(str(error))
        raise
    except Exception as error:
        # It may be the state on the disk that cannot be used. The next start makes it anew: out of the changelog, which
        # may be another one than this state came from, or from ClickHouse.
        if not settings.worker_changelog or isinstance(error, InvalidStoreChangelogOffset):
            app.clear_state()  # type: ignore[no-untyped-call]
        raise


@click.command("work")
@click.option(
    "--name", default="worker-1", show_default=True, help="This worker's own name; its state is kept under it."
)
def command(name: str) -> None:
    """Compute windows and reverts into ClickHouse, until SIGTERM. Start several to share the load."""
    settings = get_settings()
    set_up_logs(settings, name)
    do_without_pandas()
    end_at_sigterm()
    answer_health(settings, name)
    try:
        work(settings, name)
    except (MessagesLost, NoTables) as error:
        raise click.ClickException(str(error)) from error
    except ClickHouseError as error:
        raise click.ClickException(
            f"{refusal(settings, error)}\nNothing is lost: the next start goes on from the last checkpoint."
        ) from error
    except KafkaBrokerUnavailableError:
        # the next start tells why, if it still is so
        raise click.ClickException(
            f"The broker at {settings.kafka_bootstrap_servers} has been away for two minutes. Check that it runs."
            "\nNothing is lost: the next start goes on from the last checkpoint."
        ) from None
