"""The producer's side of the broker: batches out, acknowledgements back, positions kept.

Order is what the worker's deduplication stands on: it drops any source offset at or below the highest seen of
a shard, so a change that overtook another would make that one look like a repetition. Hence idempotence (the
broker refuses a sequence out of order), no time-out on delivery (a change is never given up while others go on),
and one partition per shard.
"""

import asyncio
import logging
from collections.abc import Iterable

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from services.common.change import (
    DEAD_LETTERS_TOPIC,
    EDITS_TOPIC,
    LEDGER_TOPIC,
    POSITIONS_TOPIC,
    Change,
    DeadLetter,
    LedgerPage,
    Origin,
    Position,
    dead_letter,
    decode_position,
    encode,
)
from services.common.kafka import kafka_config, refused
from services.common.reach import NotConnected
from services.common.settings import Settings
from services.producer.batches import Batch
from services.producer.events import MESSAGE_LIMIT
from services.producer.ledger import Entry

READ_TIMEOUT = 15.0  # seconds for the topic of positions, a few hundred bytes once compacted

log = structlog.get_logger()


class DeliveryFailed(Exception):
    """The broker refused a message for good; the process must end and go on from its saved position."""


class Broker:
    """Sends without blocking; `poll` delivers the acknowledgements, on the caller's own thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._failure: KafkaError | None = None
        self._producer = Producer(
            kafka_config(settings)
            | {
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 5,
                "compression.type": "lz4",
                # the caller stops reading at kafka_buffer_changes; ledger and positions come on top
                "queue.buffering.max.messages": 2 * settings.kafka_buffer_changes,
                "statistics.interval.ms": 0,
                "error_cb": self._on_error,
                "logger": logging.getLogger("librdkafka"),  # else it writes to stderr, past our format
            }
        )
        self._partitions = len(self._producer.list_topics(EDITS_TOPIC, timeout=30).topics[EDITS_TOPIC].partitions)

    @property
    def queued(self) -> int:
        """Messages that are not acknowledged yet."""
        return len(self._producer)

    def send(self, batch: Batch) -> list[DeadLetter]:
        """Send a batch; its entries are settled once it is acknowledged. Returns what was too large to send."""
        value = encode(batch.changes)
        if len(value) > MESSAGE_LIMIT:
            return self._send_parts(batch)
        self._produce(
            EDITS_TOPIC,
            str(batch.shard).encode(),
            value,
            batch.entries,
            partition=batch.shard % self._partitions,
        )
        return []

    def _send_parts(self, batch: Batch) -> list[DeadLetter]:
        """JSON escapes can grow a text sixfold: halve until it fits, down to one change that never will."""
        if len(batch.changes) == 1:
            change = batch.changes[0]
            letter = _too_large(change)
            batch.entries[0].outcome = "dead_lettered"
            self.send_dead_letter(letter, batch.entries)
            return [letter]
        middle = len(batch.changes) // 2
        first = Batch(batch.shard, batch.changes[:middle], batch.entries[:middle])
        second = Batch(batch.shard, batch.changes[middle:], batch.entries[middle:])
        return self.send(first) + self.send(second)

    def send_dead_letter(self, letter: DeadLetter, entries: list[Entry]) -> None:
        """Send a dead letter; `entries` are settled once it is acknowledged."""
        self._produce(DEAD_LETTERS_TOPIC, letter.dead_letter_id.encode(), encode(letter), entries)

    async def publish(self, pages: Iterable[LedgerPage], positions: Iterable[Position]) -> None:
        """Put ledger pages, then the positions that they lead to, on the broker.

        In this order and not at once: a position that outlived its page would leave a hole in the account.
        """
        waiting = [
            self._produce_and_tell(LEDGER_TOPIC, f"{p.source_topic}/{p.source_partition}/{p.page}", encode(p))
            for p in pages
        ]
        sent = [(f"{p.source_topic}/{p.source_partition}", encode(p)) for p in positions]
        await asyncio.gather(*waiting)
        await asyncio.gather(*(self._produce_and_tell(POSITIONS_TOPIC, key, value) for key, value in sent))

    def poll(self) -> None:
        """Serve acknowledgements. Raises DeliveryFailed, or NotConnected when the broker refuses our password."""
        self._producer.poll(0)
        if self._failure:
            if self._failure.code() == KafkaError._AUTHENTICATION:
                raise NotConnected(refused(self._settings, self._failure), is_lasting=True)
            raise DeliveryFailed(f"{self._failure.name()}: {self._failure.str()}")

    async def flush(self, seconds: float) -> int:
        """Wait for all acknowledgements, `seconds` at most; returns how many are missing."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.queued and asyncio.get_running_loop().time() < deadline:
            self.poll()
            await asyncio.sleep(0.01)
        return self.queued

    def _on_error(self, error: KafkaError) -> None:
        """What is about no message. A password that is refused after a reconnection would be waited for for ever."""
        if error.code() == KafkaError._AUTHENTICATION:
            self._failure = error

    def _produce_and_tell(self, topic: str, key: str, value: bytes) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                self._failure = error
            elif not done.done():
                done.set_result(None)

        self._producer.produce(topic, value, key.encode(), on_delivery=delivered)
        return done

    def _produce(self, topic: str, key: bytes, value: bytes, entries: list[Entry], *, partition: int = -1) -> None:
        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                self._failure = error
                return
            for entry in entries:
                entry.settled = True

        while True:
            try:
                self._producer.produce(topic, value, key, partition=partition, on_delivery=delivered)
                return
            except BufferError:  # librdkafka's own queue is full: let it send
                self._producer.poll(0.05)


def _too_large(change: Change) -> DeadLetter:
    origin = Origin(change.source_topic, change.source_partition, change.source_offset)
    return dead_letter(encode(change), change.received, origin, "too_large", f"more than {MESSAGE_LIMIT} bytes")


def read_positions(settings: Settings) -> list[Position]:
    """The positions that the broker holds, newest of each source partition. Raises KafkaException, TimeoutError."""
    consumer = Consumer(
        kafka_config(settings)
        | {"group.id": "battlefield-positions", "enable.auto.commit": False, "enable.partition.eof": True}
        | {"log_level": 0}  # what fails is raised
    )
    positions: dict[str, Position] = {}
    try:
        # from the beginning to the end of the partition: what the broker says of its end may be short (embedded)
        consumer.assign([TopicPartition(POSITIONS_TOPIC, 0, 0)])
        while True:
            message = consumer.poll(READ_TIMEOUT)
            if message is None:
                raise TimeoutError(f"the broker did not deliver {POSITIONS_TOPIC} within {READ_TIMEOUT:g} s")
            error = message.error()
            if error is None:
                positions[message.key().decode()] = decode_position(message.value())
            elif error.code() == KafkaError._PARTITION_EOF:
                return list(positions.values())
            else:
                raise KafkaException(error)
    finally:
        consumer.close()
