-- The busiest wikis of a range: edits by people, bots and temporary accounts, and reverts.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param limit: at most this many wikis [default 20]
SELECT
    wiki,
    sum(fronts.edits) AS edits,
    sumIf(fronts.edits, actor = 'person') AS person,
    sumIf(fronts.edits, actor = 'temporary') AS temporary,
    sumIf(fronts.edits, actor = 'bot') AS bot,
    sum(fronts.reverts) AS reverts,
    sum(fronts.bytes_added) AS bytes_added,
    sum(fronts.bytes_removed) AS bytes_removed
FROM fronts FINAL
WHERE window_start >= {since:DateTime('UTC')}
    AND window_start < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
GROUP BY wiki
ORDER BY edits DESC, wiki
LIMIT {limit:UInt32}
