"""Has the broker kept each message until a worker had read it?

A partition's offsets have no gaps, so its next message is the one that the group's committed offset names. Where a
later one comes, the broker has deleted what lay between: the topic's retention has passed a worker that was away or
too slow, and the consumer went on with the oldest message that is left. Folding that one would put the changes before
it out of reach, for a shard leaves out whatever is older than its newest. So the worker ends instead, with all as it
was, and says how the gap is filled.
"""

import time
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from quixstreams import message_context

from services.common.change import is_of_another_log
from services.common.kafka import kafka_config
from services.common.settings import Settings

TIMEOUT = 30.0  # seconds for the broker to tell an offset

# A broker that has just started is looking for who keeps the groups' offsets, or has just got that task.
PASSING_CODES = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError._WAIT_COORD,
    }
)

log = structlog.get_logger()


class MessagesLost(Exception):
    """The broker has deleted messages that no worker had read; the message says what to do."""


class Continuity:
    """Follows the offsets of what comes. `committed` tells the group's offset on a partition; None: it has none."""

    def __init__(self, committed: Callable[[str, int], int | None], *, skip_lost: bool) -> None:
        self._committed = committed
        self._skip_lost = skip_lost
        self._next: dict[tuple[str, int], int] = {}

    def follow(self, topic: str, partition: int, offset: int) -> None:
        """A message comes. Raises MessagesLost where those before it are gone, and KafkaException.

        Where it does not follow the one before, another worker may have had the partition in between, or a checkpoint
        failed and its messages come again: the committed offset tells.
        """
        place = (topic, partition)
        if self._next.get(place) != offset:
            expected = self._committed(topic, partition)
            if expected is not None and offset > expected:
                self._tell(topic, partition, expected, offset)
        self._next[place] = offset + 1

    def _tell(self, topic: str, partition: int, expected: int, offset: int) -> None:
        lost = (
            f"the broker has deleted {offset - expected:,} messages of {topic}/{partition} that no worker had read "
            f"(offsets {expected} to {offset - 1})"
        )
        if self._skip_lost:
            log.error("messages lost", topic=topic, partition=partition, first=expected, last=offset - 1)
            return
        raise MessagesLost(
            f"{lost}: its retention has passed this worker. Nothing has been skipped yet. Let the producer read the "
            "gap from the source again, or set WORKER_SKIP_LOST=true to go on without it: docs/operations.md, "
            '"When the broker has deleted what nobody had read".'
        )


def belongs_here(_value: Any, _key: Any, _timestamp: int, headers: Any) -> bool:
    """Whether the message that is processed was sent to this log: see is_of_another_log(). Else it is left out."""
    context = message_context()
    if not is_of_another_log(headers, context.offset):
        return True
    log.warning("left out what was sent to a log that is no more; it comes again", offset=context.offset)
    return False


class Places:
    """The group's committed offsets, asked of the broker beside the group's members."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._config = kafka_config(settings) | {"group.id": group, "enable.auto.commit": False}
        self._consumer: Consumer | None = None

    def committed(self, topic: str, partition: int) -> int | None:
        """The offset of the message that comes next, None where there is none. Raises KafkaException."""
        return self._ask(topic, [partition])[0]

    def unknown(self, topic: str) -> bool:
        """Whether there is a partition of which the group has no place. Raises KafkaException."""
        partitions = self._connected().list_topics(topic, timeout=TIMEOUT).topics[topic].partitions
        return None in self._ask(topic, sorted(partitions))

    def _ask(self, topic: str, partitions: list[int]) -> list[int | None]:
        wanted = [TopicPartition(topic, partition) for partition in partitions]
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                found = self._connected().committed(wanted, timeout=TIMEOUT)
                return [place.offset if place.offset >= 0 else None for place in found]
            except KafkaException as error:
                if error.args[0].code() not in PASSING_CODES or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _connected(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(self._config)
        return self._consumer
