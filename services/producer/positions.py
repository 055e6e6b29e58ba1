"""Where a producer that just started goes on: what the broker remembers, else what ClickHouse holds."""

import structlog

from services.common.change import SHARDS, Position, source_of
from services.common.clickhouse import wait_for_clickhouse, writer_client
from services.common.settings import Settings
from services.producer.broker import read_positions
from services.producer.ledger import PAGE
from services.producer.stream import is_declared, is_wikimedia

CLICKHOUSE_TIMEOUT = 60.0  # seconds
STALE = 600_000  # milliseconds that the second stream may be behind the first

# For each source partition the highest offset below which ClickHouse holds everything.
# By `edits`: each shard's changes are stored in source order, so a shard's newest one vouches for its older ones, and
# the slowest shard for all; a shard that has none yet vouches for nothing, then it is the oldest offset stored.
# Its time is where the second stream is taken up, whose events are no rows of their own.
# By `ledger`: the pages are accounts that no one else can write, so the first one that is not whole is read again.
SAFE_OFFSETS = """
WITH
    stored AS
    (
        SELECT source_topic, source_partition, min(oldest) - 1 AS before_all,
               if(count() = {shards:UInt8}, min(newest), before_all) AS safe,
               toInt64(toUnixTimestamp(if(count() = {shards:UInt8}, min(newest_event), min(oldest_event)))) * 1000
                   AS received_until
        FROM
        (
            SELECT source_topic, source_partition, shard, max(source_offset) AS newest, min(source_offset) AS oldest,
                   max(timestamp) AS newest_event, min(timestamp) AS oldest_event
            FROM edits
            WHERE NOT endsWith(source_topic, '.replayed') -- replayed dead letters: in no order
            GROUP BY source_topic, source_partition, shard
        )
        GROUP BY source_topic, source_partition
    ),
    accounted AS
    (
        SELECT source_topic, source_partition, count() AS pages, min(page) AS first_page,
               arraySort(groupUniqArrayIf(page, last_offset = page * {page:UInt32} + {page:UInt32} - 1)) AS whole,
               first_page + length(arrayFilter((p, n) -> p = first_page + n - 1, whole, arrayEnumerate(whole)))
                   AS first_open_page
        FROM ledger
        GROUP BY source_topic, source_partition
    )
SELECT source_topic, source_partition,
       if(pages > 0, least(safe, first_open_page * {page:UInt32} - 1), before_all) AS safe_offset, received_until
FROM stored LEFT JOIN accounted USING (source_topic, source_partition)
"""

log = structlog.get_logger()


def saved_positions(settings: Settings) -> list[Position]:
    """The positions to resume from; none on a first start.

    Raises KafkaException, TimeoutError, NotConnected, ClickHouseError.
    The embedded broker forgets everything when it ends; then ClickHouse's rows tell. A producer that could ask neither
    must not start: it would take this for a first start and begin at "now".
    """
    positions, holder = read_positions(settings), "broker"
    if not positions:
        positions, holder = stored_positions(settings), "clickhouse"
    # topics of a game mean nothing to Wikimedia, which would refuse the whole Last-Event-ID
    live = is_wikimedia(settings.eventstreams_url)
    positions = [p for p in positions if (source_of(p.source_topic) == "live") or not live]
    positions = without_stale_declarations(positions)
    if positions:
        log.info("resuming", holder=holder, offsets={p.source_topic: p.offset for p in positions})
    return positions


def without_stale_declarations(positions: list[Position]) -> list[Position]:
    """Leave out the second stream's where it was off for a while: what it said meanwhile is of no use any more."""
    newest = max((p.received_until for p in positions if not is_declared(p.source_topic)), default=0)
    return [p for p in positions if not is_declared(p.source_topic) or p.received_until > newest - STALE]


def stored_positions(settings: Settings) -> list[Position]:
    """The positions that ClickHouse's rows vouch for. Raises NotConnected, ClickHouseError."""
    wait_for_clickhouse(settings, CLICKHOUSE_TIMEOUT)
    with writer_client(settings) as client:
        rows = client.query(SAFE_OFFSETS, {"shards": SHARDS, "page": PAGE}).result_rows
    return [Position(topic, partition, offset, received) for topic, partition, offset, received in rows]
