-- The busiest wikis of a range: edits by people, bots and temporary accounts, and reverts.
-- uses tallies
-- param limit: at most this many wikis [default 20]
SELECT
    wiki,
    sum(tallies.edits) AS edits,
    sumIf(tallies.edits, actor = 'person') AS person,
    sumIf(tallies.edits, actor = 'temporary') AS temporary,
    sumIf(tallies.edits, actor = 'bot') AS bot,
    sum(tallies.reverts) AS reverts,
    sum(tallies.bytes_added) AS bytes_added,
    sum(tallies.bytes_removed) AS bytes_removed
FROM tallies
GROUP BY wiki
ORDER BY edits DESC, wiki
LIMIT {limit:UInt32}
