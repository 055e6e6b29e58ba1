-- How many reverts hit temporary accounts and people per wiki, beside their edits; the wikis with most temporary edits first.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param limit: at most this many wikis [default 15]
SELECT
    wiki,
    sumIf(fronts.edits, actor = 'temporary') AS temporary_edits,
    sumIf(fronts.reverted, actor = 'temporary') AS temporary_reverted,
    sumIf(fronts.edits, actor = 'person') AS person_edits,
    sumIf(fronts.reverted, actor = 'person') AS person_reverted
FROM fronts FINAL
WHERE window_start >= {since:DateTime('UTC')}
    AND window_start < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
GROUP BY wiki
HAVING temporary_edits > 0
ORDER BY temporary_edits DESC, wiki
LIMIT {limit:UInt32}
