-- The producer's account of each source partition, and how far behind it the stored edits are, in source offsets.
-- param since: stored edits are looked for from this event time on, in the newest day at most [default now-1h]
SELECT
    source_topic,
    source_partition,
    min(ledger.first_offset) AS first_offset,
    max(ledger.last_offset) AS last_offset,
    sum(ledger.read) AS read,
    sum(ledger.kept) AS kept,
    sum(ledger.dead_lettered) AS dead_lettered,
    read - kept - dead_lettered AS dropped,
    max(stored.newest_offset) AS stored_offset,
    if(max(stored.changes) = 0, NULL, greatest(0, last_offset - stored_offset)) AS behind
FROM ledger FINAL
LEFT JOIN
(
    SELECT source_topic, source_partition, max(source_offset) AS newest_offset, count() AS changes
    FROM edits
    WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
        AND toStartOfHour(timestamp) >= (SELECT toStartOfHour(max(timestamp) - toIntervalDay(1)) FROM edits)
    GROUP BY source_topic, source_partition
) AS stored USING (source_topic, source_partition)
GROUP BY source_topic, source_partition
ORDER BY source_topic, source_partition
