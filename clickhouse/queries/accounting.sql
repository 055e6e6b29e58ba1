-- What became of every event that was read: dropped, dead-lettered, stored or a duplicate; one row.
-- param source: only what this one brought: live, replay-NAME or wargame-SEED; none: all [default ]
-- param since: first_received looks at changes read from then on [default 1970-01-01]
WITH
    -- as source_of() in services/common/change.py. Replayed dead letters (is_replayed) are outside of the account
    (topic -> if(match(topic, '^(replay|wargame)-'), splitByChar('.', topic)[1], 'live')) AS source_of
SELECT *
FROM
(
    SELECT
        sum(ledger.read) AS read,
        sum(ledger.kept) AS kept,
        sum(ledger.dead_lettered) AS refused, -- by the producer
        sumMap(ledger.dropped) AS dropped
    FROM ledger FINAL
    WHERE {source:String} IN ('', source_of(source_topic))
) AS account
CROSS JOIN
(
    SELECT
        count() AS stored,
        countIf(late) AS late,
        minOrNullIf(received, received >= {since:DateTime('UTC')}) AS first_received
    FROM edits FINAL
    WHERE {source:String} IN ('', source) AND NOT endsWith(source_topic, '.replayed')
) AS changes
CROSS JOIN
(
    -- Late changes are among them, for the worker cannot tell any more whether they are: of those that have one id
    -- `edits` keeps one, and the others are duplicates.
    SELECT count() AS duplicates
    FROM duplicates FINAL
    WHERE {source:String} IN ('', source_of(source_topic)) AND NOT endsWith(source_topic, '.replayed')
        AND (source_topic, source_partition, source_offset) NOT IN
        (
            SELECT source_topic, source_partition, source_offset
            FROM edits FINAL
            WHERE (toStartOfHour(timestamp), wiki, meta_id) IN
            (
                SELECT toStartOfHour(timestamp), wiki, meta_id FROM duplicates
            )
        )
) AS repeated
CROSS JOIN
(
    SELECT count() AS dead_letters -- by producer and worker
    FROM dead_letters FINAL
    WHERE {source:String} IN ('', source_of(source_topic)) AND NOT endsWith(source_topic, '.replayed')
) AS letters
CROSS JOIN
(
    SELECT count() AS reverts, countIf(reverted != '') AS reverts_with_name
    FROM reverts FINAL
    WHERE {source:String} IN ('', source)
) AS reverting
CROSS JOIN
(
    SELECT count() AS windows
    FROM fronts FINAL
    WHERE {source:String} IN ('', source)
) AS fronts
