-- How much is stored, up to which event time, how much was read, how many wars are fought; cheap enough to be asked every second.
-- param source: whose reading counts: live, replay-NAME or wargame-SEED; none: all [default ]
SELECT
    -- without FINAL: number and newest time come from the parts' own metadata, so that a row which was written again
    -- counts twice until it is merged
    (SELECT count() FROM edits) AS stored,
    (SELECT max(timestamp) FROM edits) AS newest_event,
    (SELECT count() FROM reverts) AS reverts,
    (
        SELECT sum(ledger.read)
        FROM ledger FINAL
        WHERE {source:String} IN ('', if(match(source_topic, '^(replay|wargame)-'), splitByChar('.', source_topic)[1], 'live'))
    ) AS read,
    (
        -- as phase `war` of query `battles`: not ended, nor by a block of a fighter, and a revert within the last hour
        WITH
            (SELECT max(timestamp) FROM edits) - toIntervalHour(1) AS calm_before,
            (
                SELECT groupArray((source, wiki, editor, timestamp))
                FROM editor_blocks
                WHERE toStartOfHour(timestamp) >= toStartOfHour(calm_before)
            ) AS blocks
        SELECT count()
        FROM battles FINAL
        WHERE phase = 'war'
            AND updated >= calm_before
            AND {source:String} IN ('', source)
            AND NOT arrayExists(
                block -> block.1 = source AND block.2 = wiki AND has(fighters.name, block.3) AND block.4 >= updated, blocks)
    ) AS wars
