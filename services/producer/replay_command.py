"""`battlefield replay-dead-letters`: what was refused once and is accepted today goes to wiki.edits after all.

    dead_letters -> whole raw bytes -> today's reader -> wiki.edits, as of the topic `<source topic>.replayed`

How a replayed change passes, and counts once however often this runs: the worker drops what is at or below the
highest offset seen of a source topic, as a replayed change always is. So it comes as of a topic of its own, with its
old offset, and there the worker goes by `meta.id` alone: while the window is open it knows the ids in it, and
afterwards the row of `edits` has the key of the one before. Such a topic is no log that is read in order, so nobody
resumes from it, and it stands outside of the ledger: a dead letter is what became of the event when it was read, and
`dead_letters.replayed` tells that it was used later.

A letter is marked after the broker has acknowledged its change. A crash in between sends it once more.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import click
import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException

from services.common.change import RAW_LIMIT, UNREADABLE, Change, Origin, replayed_topic
from services.common.clickhouse import reader_client, refusal, writer_client
from services.common.kafka import create_topics
from services.common.logs import set_up_logs
from services.common.settings import Settings, running_settings
from services.producer.batches import Batches
from services.producer.broker import Broker, DeliveryFailed
from services.producer.command import BadSince, parse_span
from services.producer.events import Outcome, read_event
from services.producer.ledger import Entry

CHUNK = 500  # letters at once: 32 MiB of raw bytes at most
SEND_LIMIT = 60.0  # seconds for the broker to acknowledge a chunk

# The worker's own letters hold a change as it is on the broker, all others an event as it came.
REFUSED_BY_WORKER = frozenset({"unprocessable", "wrong_shard"})

# In source order, so that a page's revisions come in theirs.
WANTED = """
SELECT dead_letter_id
FROM dead_letters FINAL
WHERE replayed IS NULL AND raw_size <= {limit:UInt64} AND received >= {since:DateTime('UTC')}
    AND {reason:String} IN ('', reason)
ORDER BY source_topic, source_partition, source_offset, dead_letter_id
"""
LETTERS = """
SELECT dead_letter_id, toUnixTimestamp64Milli(received), reason, raw
FROM dead_letters FINAL
WHERE dead_letter_id IN {ids:Array(String)}
ORDER BY source_topic, source_partition, source_offset, dead_letter_id
"""
MARK = """
INSERT INTO dead_letters (dead_letter_id, received, reason, error, raw, raw_size,
                          source_topic, source_partition, source_offset, replayed, stored, version)
SELECT dead_letter_id, received, reason, error, raw, raw_size,
       source_topic, source_partition, source_offset, now(), stored, version + 1
FROM dead_letters FINAL
WHERE dead_letter_id IN {ids:Array(String)}
"""


class Letter(NamedTuple):
    """What is needed of a dead letter to read it again."""

    dead_letter_id: str
    received: int  # milliseconds
    reason: str
    raw: bytes


def read_again(letter: Letter) -> Change | str:
    """The change that the letter holds by today's reader, of its replayed topic; else why it is still refused."""
    try:
        if letter.reason in REFUSED_BY_WORKER:
            outcome: Outcome = msgspec.json.decode(letter.raw, type=Change)
        else:
            outcome = read_event(letter.raw.decode(), letter.received).outcome
    except UNREADABLE:
        return letter.reason
    if isinstance(outcome, Change):
        return msgspec.structs.replace(outcome, source_topic=replayed_topic(outcome.source_topic))
    return outcome.reason


async def send(broker: Broker, changes: Sequence[Change]) -> None:
    """Put changes on wiki.edits and wait until they are acknowledged. Raises DeliveryFailed."""
    batches = Batches()
    for change in changes:
        origin = Origin(change.source_topic, change.source_partition, change.source_offset)
        for batch in batches.add(change, Entry(origin, 0, "kept", False)):
            broker.send(batch)
    for batch in batches.close_all():
        broker.send(batch)
    if missing := await broker.flush(SEND_LIMIT):
        raise DeliveryFailed(f"{missing} messages were not acknowledged within {SEND_LIMIT:.0f} s")


def chunks_of_letters(client: Client, reason: str, since: datetime) -> Iterator[list[Letter]]:
    """The letters that are whole and were not replayed yet, CHUNK at a time. Raises ClickHouseError."""
    wanted = client.query(WANTED, {"limit": RAW_LIMIT, "since": since, "reason": reason}).result_rows
    ids = [row[0] for row in wanted]
    for start in range(0, len(ids), CHUNK):
        found = client.query(LETTERS, {"ids": ids[start : start + CHUNK]}, column_formats={"raw": "bytes"})
        yield [Letter(*row) for row in found.result_rows]


def replay(settings: Settings, reason: str, since: datetime, *, dry_run: bool) -> tuple[int, Counter[str]]:
    """Replay what is accepted today; returns how many letters that were, and the others by reason.

    Raises ClickHouseError, NotConnected, KafkaException, DeliveryFailed.
    """
    replayed, refused = 0, Counter[str]()
    broker = None
    with reader_client(settings) as reader, writer_client(settings) as writer:
        for letters in chunks_of_letters(reader, reason, since):
            readings = {letter.dead_letter_id: read_again(letter) for letter in letters}
            accepted = {letter: change for letter, change in readings.items() if isinstance(change, Change)}
            refused.update(why for why in readings.values() if isinstance(why, str))
            if accepted and not dry_run:
                if broker is None:
                    create_topics(settings)
                    broker = Broker(settings, [])
                asyncio.run(send(broker, list(accepted.values())))
                writer.command(MARK, {"ids": list(accepted)})
            replayed += len(accepted)
            click.echo(f"{sum(refused.values()) + replayed:,} letters read, {replayed:,} accepted", err=True)
    return replayed, refused


def _since(_context: click.Context, _option: click.Parameter, value: str) -> datetime:
    try:
        return datetime.now(UTC) - parse_span(value)
    except (BadSince, OverflowError) as error:
        raise click.BadParameter(str(error)) from None


@click.command("replay-dead-letters")
@click.option("--reason", default="", help="Only letters of this reason, such as schema.  [default: all]")
@click.option(
    "--since", default="30d", show_default=True, callback=_since, help="Only what was read within: 90m, 6h, 30d."
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be accepted.")
def command(reason: str, since: datetime, dry_run: bool) -> None:
    """Read dead letters again with today's code, and send on what it accepts. Counts once, however often it runs.

    Letters over 64 KiB were cut, so they stay.
    """
    settings = running_settings()
    set_up_logs(settings, "replay")
    try:
        replayed, refused = replay(settings, reason, since, dry_run=dry_run)
    except ClickHouseError as error:
        raise click.ClickException(f"{refusal(settings, error)} Then run this again.") from error
    except (KafkaException, DeliveryFailed) as error:
        raise click.ClickException(
            f"The broker at {settings.kafka_bootstrap_servers} failed: {error}\n"
            "Check that it runs, then run this again: nothing counts twice."
        ) from error
    still = ", ".join(f"{why} {count:,}" for why, count in refused.most_common())
    click.echo(
        f"{replayed:,} dead letters {'would be' if dry_run else 'were'} replayed"
        + (f"; still refused: {still}" if still else "")
    )
