"""Where a producer that just started goes on: what the broker remembers, else what ClickHouse holds."""

import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.common.change import SHARDS, Position, source_of
from services.common.clickhouse import writer_client
from services.common.settings import Settings
from services.producer.broker import read_positions
from services.producer.stream import is_wikimedia

# For each source partition the highest offset below which ClickHouse holds everything. Each shard's changes are
# stored in source order, so a shard's newest one vouches for its older ones, and the slowest shard for all. A shard
# that has none yet vouches for nothing: then the oldest offset stored.
SAFE_OFFSETS = """
SELECT source_topic, source_partition, if(count() = {shards:UInt8}, min(newest), min(oldest) - 1) AS safe,
       toInt64(toUnixTimestamp(max(newest_event))) * 1000 AS received_until
FROM
(
    SELECT source_topic, source_partition, shard, max(source_offset) AS newest, min(source_offset) AS oldest,
           max(timestamp) AS newest_event
    FROM edits
    GROUP BY source_topic, source_partition, shard
)
GROUP BY source_topic, source_partition
"""

log = structlog.get_logger()


def saved_positions(settings: Settings) -> list[Position]:
    """The positions to resume from; none on a first start.

    The embedded broker forgets everything when it ends; then ClickHouse's rows tell.
    """
    positions, holder = read_positions(settings), "broker"
    if not positions:
        positions, holder = _stored_positions(settings), "clickhouse"
    # topics of a game mean nothing to Wikimedia, which would refuse the whole Last-Event-ID
    live = is_wikimedia(settings.eventstreams_url)
    positions = [p for p in positions if (source_of(p.source_topic) == "live") or not live]
    if positions:
        log.info("resuming", holder=holder, offsets={p.source_topic: p.offset for p in positions})
    return positions


def _stored_positions(settings: Settings) -> list[Position]:
    try:
        with writer_client(settings) as client:
            rows = client.query(SAFE_OFFSETS, {"shards": SHARDS}).result_rows
    except ClickHouseError as error:
        # a producer may run where it cannot see ClickHouse; with a durable broker it never needs to
        log.warning("cannot ask ClickHouse where to go on", error=str(error))
        return []
    return [Position(topic, partition, offset, received) for topic, partition, offset, received in rows]
