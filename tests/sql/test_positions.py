"""Where a producer goes on when the broker has forgotten: never behind what ClickHouse lacks."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from services.common.change import SHARDS
from services.common.clickhouse import writer_client
from services.common.settings import Settings
from services.producer.positions import stored_positions
from services.worker.rows import EDITS, LEDGER, edit_row
from services.worker.sink import insert
from tests.events import START, TOPIC, change

EVERY_SHARD = range(SHARDS)


def store(
    settings: Settings, offsets_by_shard: dict[int, list[int]], pages: Sequence[tuple[int, int, int]] = ()
) -> None:
    """Rows of `edits` with these offsets, and ledger pages as (page, first offset, last offset)."""
    edits: list[tuple[Any, ...]] = [
        edit_row(change(offset, title=f"{shard} {offset}"), uuid4().bytes, "live", shard, 1, False, None)
        for shard, offsets in offsets_by_shard.items()
        for offset in offsets
    ]
    accounts = [(TOPIC, 0, page, first, last, last - first + 1, 0, 0, {}, 1) for page, first, last in pages]
    with writer_client(settings) as client:
        for table, rows in ((EDITS, edits), (LEDGER, accounts)):
            if rows:
                insert(client, table, rows)


def test_a_first_start_finds_nothing(database: Settings) -> None:
    assert stored_positions(database) == []


def test_the_slowest_shard_decides(database: Settings) -> None:
    newest = {shard: [2_000 + shard, 2_500 + shard] for shard in EVERY_SHARD} | {7: [2_007, 2_100]}
    store(database, newest, [(2, 2_000, 2_900)])
    (position,) = stored_positions(database)
    assert (position.source_topic, position.offset) == (TOPIC, 1_999)
    store(database, {}, [(2, 2_000, 2_999)])
    (position,) = stored_positions(database)
    assert (position.offset, position.received_until) == (2_100, START * 1000)


def test_a_shard_without_any_change_vouches_for_nothing(database: Settings) -> None:
    store(database, {1: [50, 900], 2: [60]}, [(0, 50, 999)])
    assert stored_positions(database)[0].offset == 49


def test_a_page_that_is_not_whole_or_missing_is_read_again(database: Settings) -> None:
    newest = {shard: [5_500 + shard] for shard in EVERY_SHARD}
    store(database, newest, [(0, 10, 999), (1, 1_000, 1_999), (3, 3_000, 3_999), (5, 5_000, 5_600)])
    assert stored_positions(database)[0].offset == 1_999


def test_without_any_account_everything_stored_is_read_again(database: Settings) -> None:
    store(database, {shard: [700 + shard] for shard in EVERY_SHARD})
    assert stored_positions(database)[0].offset == 699
