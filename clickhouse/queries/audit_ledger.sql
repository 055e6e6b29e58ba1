-- The producer's account of each page of source offsets, beside what ClickHouse holds of that page.
-- param since: begin of the range of event time whose pages are looked at, included [default now-1d]
-- param until: end of the range, left out [default now]
-- param source: what plays: live, replay-NAME or wargame-SEED [default live]
WITH
    spanned AS
    (
        SELECT source_topic, source_partition, min(source_offset) AS oldest, max(source_offset) AS newest
        FROM edits
        WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
            AND timestamp >= {since:DateTime('UTC')}
            AND timestamp < {until:DateTime('UTC')}
            AND source = {source:String}
        GROUP BY source_topic, source_partition
    ),
    -- each shard is stored in source order: below the newest offset of the slowest shard nothing is on its way any more
    shards AS
    (
        SELECT source_topic, source_partition, if(count() = 32, min(shard_newest), -1) AS settled
        FROM
        (
            SELECT source_topic, source_partition, shard, max(source_offset) AS shard_newest
            FROM edits
            WHERE source = {source:String}
            GROUP BY source_topic, source_partition, shard
        )
        GROUP BY source_topic, source_partition
    ),
    -- an offset counts once, wherever it is: a dead letter may have been played again
    found AS
    (
        SELECT source_topic, source_partition, source_offset FROM edits WHERE source = {source:String}
        UNION DISTINCT
        SELECT source_topic, source_partition, source_offset FROM duplicates
        UNION DISTINCT
        SELECT source_topic, source_partition, source_offset FROM dead_letters WHERE source_offset >= 0
    )
SELECT
    pages.source_topic AS source_topic,
    pages.source_partition AS source_partition,
    pages.page AS page,
    any(pages.first_offset) AS first_offset,
    any(pages.last_offset) AS last_offset,
    any(pages.read) AS read,
    any(pages.kept) AS kept,
    any(pages.dead_lettered) AS dead_lettered,
    any(pages.dropped) AS dropped,
    countIf(found.source_offset BETWEEN pages.first_offset AND pages.last_offset AND found.source_topic != '') AS present,
    any(pages.last_offset) <= any(shards.settled) OR any(pages.stored) < now('UTC') - toIntervalMinute(15) AS settled
FROM
(
    SELECT *
    FROM ledger FINAL
    INNER JOIN spanned USING (source_topic, source_partition)
    WHERE page >= intDiv(oldest, 1000) AND page <= intDiv(newest, 1000)
) AS pages
LEFT JOIN shards USING (source_topic, source_partition)
LEFT JOIN (SELECT *, intDiv(source_offset, 1000) AS page FROM found) AS found USING (source_topic, source_partition, page)
GROUP BY source_topic, source_partition, page
ORDER BY source_topic, source_partition, page
