-- How much is stored, up to which event time, and how much was read; cheap enough to be asked every second.
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
    ) AS read
