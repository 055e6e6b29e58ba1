"""The producer's side of the broker: batches out, acknowledgements back, positions kept.

Order is what the worker's deduplication stands on: it drops any source offset at or below the highest seen of
a shard, so a change that overtook another would make that one look like a repetition. Hence idempotence (the
broker refuses a sequence out of order), no time-out on delivery (a change is never given up while others go on),
and one partition per shard.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from itertools import zip_longest

import msgspec
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
    is_of_another_log,
    log_end_header,
)
from services.common.kafka import kafka_config, refused
from services.common.reach import NotConnected
from services.common.settings import Settings
from services.producer.batches import Batch
from services.producer.deliveries import Deliveries, Place
from services.producer.events import MESSAGE_LIMIT
from services.producer.ledger import Entry

READ_TIMEOUT = 15.0  # seconds for the topic of positions, a few hundred bytes once compacted
METADATA_TIMEOUT = 3.0  # seconds; with all else below the 10 s that a container gets to end
FORGET_TIMEOUT = 10.0  # seconds

# What librdkafka and the broker say of a topic or partition that is not there (any more).
GONE_CODES = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART})

log = structlog.get_logger()


class DeliveryFailed(Exception):
    """The broker refused a message for good; the process must end and go on from its saved position."""


class LogLost(DeliveryFailed):
    """What the broker had acknowledged is gone; the process must end and go on from what ClickHouse holds."""


class Broker:
    """Sends without blocking; `poll` delivers the acknowledgements, on the caller's own thread."""

    def __init__(self, settings: Settings, ends: list[int]) -> None:
        """`ends`: how far the partitions of wiki.edits had come (`log_ends_of`)."""
        self._settings = settings
        self._deliveries = Deliveries(ends)
        self._failure: KafkaError | None = None
        self._lost = ""
        self._producer = Producer(
            kafka_config(settings)
            | {
                "enable.idempotence": True,
                # else asking for a topic that is gone would make it, with partitions and retention of somebody's choice
                "allow.auto.create.topics": False,
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
        ends = self._deliveries.ends()
        sent = [(position_key(p), encode(msgspec.structs.replace(p, log_ends=ends))) for p in positions]
        await asyncio.gather(*waiting)
        await asyncio.gather(*(self._produce_and_tell(POSITIONS_TOPIC, key, value) for key, value in sent))

    def poll(self) -> None:
        """Serve acknowledgements.

        Raises DeliveryFailed, LogLost, or NotConnected when the broker refuses our password.
        """
        self._producer.poll(0)
        if self._lost:
            raise LogLost(self._lost)
        if self._failure:
            if self._failure.code() == KafkaError._AUTHENTICATION:
                raise NotConnected(refused(self._settings, self._failure), is_lasting=True)
            raise DeliveryFailed(f"{self._failure.name()}: {self._failure.str()}")

    @property
    def silent_for(self) -> float:
        """Seconds for which the broker has acknowledged nothing of a partition for which something waits."""
        return self._deliveries.silent_for(time.monotonic())

    def could_take(self) -> bool:
        """Whether the broker answers, and has or lacks our topics for good: then waiting does not help. Blocks.

        Where a partition has no leader just now, it helps. Asked over a connection of its own: a producer whose broker
        came back without its topics was seen to connect no more, minutes after others could.
        """
        try:
            topics = (
                Producer(kafka_config(self._settings) | {"log_level": 0}).list_topics(timeout=METADATA_TIMEOUT).topics
            )
        except KafkaException:
            return False
        ours = [
            topics[name] for name in (EDITS_TOPIC, DEAD_LETTERS_TOPIC, LEDGER_TOPIC, POSITIONS_TOPIC) if name in topics
        ]
        partitions = [one for topic in ours for one in topic.partitions.values()]
        return all(one.error is None and one.leader >= 0 for one in partitions)

    async def flush(self, seconds: float) -> int:
        """Wait for all acknowledgements, `seconds` at most; returns how many are missing."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.queued and asyncio.get_running_loop().time() < deadline:
            self.poll()
            await asyncio.sleep(0.01)
        return self.queued

    def _on_error(self, error: KafkaError) -> None:
        """What is about no message. A password that is refused after a reconnection would be waited for for ever.

        After a fatal error (a sequence that the broker does not accept) this producer delivers nothing any more.
        """
        if error.code() == KafkaError._AUTHENTICATION or error.fatal():
            self._failure = error

    def _is_kept(self, place: Place, error: KafkaError | None, message: Message) -> bool:
        """Whether a message is where it was sent: neither refused, nor in another log than those before it."""
        if error is not None:
            self._failure = error
            return False
        partition, offset = message.partition(), message.offset()
        told = self._deliveries.acknowledged(
            place, -1 if partition is None else partition, -1 if offset is None else offset, time.monotonic()
        )
        self._lost = self._lost or told
        return not self._lost

    def _produce_and_tell(self, topic: str, key: str, value: bytes) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (topic, -1)

        def delivered(error: KafkaError | None, message: Message) -> None:
            if self._is_kept(place, error, message) and not done.done():
                done.set_result(None)

        self._producer.produce(topic, value, key.encode(), on_delivery=delivered)
        self._deliveries.sent(place, time.monotonic())
        return done

    def _produce(self, topic: str, key: bytes, value: bytes, entries: list[Entry], *, partition: int = -1) -> None:
        place = (topic, partition)

        def delivered(error: KafkaError | None, message: Message) -> None:
            if self._is_kept(place, error, message):
                for entry in entries:
                    entry.settled = True

        while True:
            headers = [log_end_header(self._deliveries.least_offset(place))] if topic == EDITS_TOPIC else None
            try:
                self._producer.produce(topic, value, key, partition=partition, headers=headers, on_delivery=delivered)
                break
            except BufferError:  # librdkafka's own queue is full: let it send
                self._producer.poll(0.05)
            except KafkaException as error:
                if error.args[0].code() in GONE_CODES:
                    raise DeliveryFailed(f"it does not have {topic}/{partition} any more") from error
                raise
        self._deliveries.sent(place, time.monotonic())


def _too_large(change: Change) -> DeadLetter:
    origin = Origin(change.source_topic, change.source_partition, change.source_offset)
    return dead_letter(encode(change), change.received, origin, "too_large", f"more than {MESSAGE_LIMIT} bytes")


def position_key(position: Position) -> str:
    """The key of a position's record: of each source partition the newest one stays."""
    return f"{position.source_topic}/{position.source_partition}"


def log_ends_of(positions: Iterable[Position]) -> list[int]:
    """How far the partitions of wiki.edits had come by the newest of these positions."""
    ends: list[int] = []
    for position in positions:
        known = position.log_ends
        both = zip_longest(ends, known, fillvalue=0)
        ends = [max(pair) for pair in both]
    return ends


def read_positions(settings: Settings) -> list[Position]:
    """The positions that the broker holds, newest of each source partition; none where it has lost what they stand on.

    Raises KafkaException, TimeoutError.
    """
    positions = _saved(settings)
    if not _reaches(settings, log_ends_of(positions)):
        log.warning(
            "the broker has lost changes that it had acknowledged; its position counts no more", topic=EDITS_TOPIC
        )
        forget_positions(settings, positions)
        return []
    return positions


def forget_positions(settings: Settings, positions: Iterable[Position]) -> None:
    """Take these off the broker: a new log that grows past the old one's end could not be told from it any more.

    Raises TimeoutError.
    """
    producer = Producer(kafka_config(settings) | {"log_level": 0})
    for position in positions:
        producer.produce(POSITIONS_TOPIC, None, position_key(position).encode(), partition=0)
    if producer.flush(FORGET_TIMEOUT):
        raise TimeoutError(f"the broker did not take what is to be deleted of {POSITIONS_TOPIC}")


def _reader(settings: Settings) -> Consumer:
    return Consumer(
        kafka_config(settings)
        | {"group.id": "battlefield-positions", "enable.auto.commit": False, "enable.partition.eof": True}
        | {"auto.offset.reset": "earliest", "log_level": 0}  # what fails is raised
    )


def _saved(settings: Settings) -> list[Position]:
    consumer = _reader(settings)
    positions: dict[str, Position] = {}
    try:
        # from the beginning to the end of the partition: what the broker says of its end may be short (embedded)
        consumer.assign([TopicPartition(POSITIONS_TOPIC, 0, 0)])
        while True:
            message = _next(consumer, POSITIONS_TOPIC)
            key, value, error = message.key(), message.value(), message.error()
            if error is not None:
                return list(positions.values())
            if value is None:
                positions.pop(key.decode(), None)
            else:
                positions[key.decode()] = decode_position(value)
    finally:
        consumer.close()


def _reaches(settings: Settings, ends: list[int]) -> bool:
    """Whether each partition of wiki.edits has come so far, by reading from there.

    The end that a broker tells may be short (embedded). One that deletes what is old tells a beginning behind it.
    """
    wanted = {number: end - 1 for number, end in enumerate(ends) if end > 0}
    consumer = _reader(settings)
    try:
        known = consumer.list_topics(EDITS_TOPIC, timeout=READ_TIMEOUT).topics[EDITS_TOPIC].partitions
        if not wanted.keys() <= known.keys():
            return False
        consumer.assign([TopicPartition(EDITS_TOPIC, number, offset) for number, offset in wanted.items()])
        while wanted:
            message = _next(consumer, EDITS_TOPIC)
            number = message.partition()
            if number not in wanted:
                continue
            if message.error() is None:
                reached = message.offset()  # of a shorter log the oldest one, at which reading then begins
                if is_of_another_log(message.headers(), reached):
                    return False
            else:
                low, _ = consumer.get_watermark_offsets(TopicPartition(EDITS_TOPIC, number), timeout=READ_TIMEOUT)
                reached = low - 1
            if reached < wanted.pop(number):
                return False
        return True
    finally:
        consumer.close()


def _next(consumer: Consumer, topic: str) -> Message:
    """The next message, or what says that a partition has none. Raises TimeoutError, KafkaException."""
    message = consumer.poll(READ_TIMEOUT)
    if message is None:
        raise TimeoutError(f"the broker did not deliver {topic} within {READ_TIMEOUT:g} s")
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise KafkaException(error)
    return message
