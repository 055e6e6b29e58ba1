-- What became of every event that was read: dropped, dead-lettered, stored or a duplicate; one row.
-- param topics: source topics to count; none: all [default ]
-- param since: first_received looks at changes read from then on [default 1970-01-01]
SELECT *
FROM
(
    SELECT
        sum(ledger.read) AS read,
        sum(ledger.kept) AS kept,
        sum(ledger.dead_lettered) AS refused, -- by the producer
        sumMap(ledger.dropped) AS dropped
    FROM ledger FINAL
    WHERE empty({topics:Array(String)}) OR has({topics:Array(String)}, source_topic)
) AS account
CROSS JOIN
(
    SELECT
        count() AS stored,
        countIf(late) AS late,
        minOrNullIf(received, received >= {since:DateTime('UTC')}) AS first_received
    FROM edits FINAL
    WHERE empty({topics:Array(String)}) OR has({topics:Array(String)}, source_topic)
) AS changes
CROSS JOIN
(
    SELECT count() AS duplicates
    FROM duplicates FINAL
    WHERE empty({topics:Array(String)}) OR has({topics:Array(String)}, source_topic)
) AS repeated
CROSS JOIN
(
    SELECT count() AS dead_letters -- by producer and worker
    FROM dead_letters FINAL
    WHERE empty({topics:Array(String)}) OR has({topics:Array(String)}, source_topic)
) AS letters
CROSS JOIN
(
    SELECT count() AS reverts, countIf(reverted != '') AS reverts_with_name
    FROM reverts FINAL
    WHERE empty({topics:Array(String)}) OR has({topics:Array(String)}, source_topic)
) AS reverting
CROSS JOIN
(
    SELECT count() AS windows
    FROM fronts FINAL
) AS fronts
