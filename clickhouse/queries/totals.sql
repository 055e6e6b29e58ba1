-- What people, bots and temporary accounts did in a range, and in the range of the same length before it.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
WITH
    {since:DateTime('UTC')} AS since,
    since - ({until:DateTime('UTC')} - since) AS since_before,
    window_start >= since AS now
SELECT
    actor,
    sumIf(fronts.edits, now) AS edits,
    sumIf(fronts.creations, now) AS creations,
    sumIf(fronts.reverts, now) AS reverts,
    sumIf(fronts.reverted, now) AS reverted,
    sumIf(fronts.bytes_added, now) AS bytes_added,
    sumIf(fronts.bytes_removed, now) AS bytes_removed,
    sumIf(fronts.edits, NOT now) AS edits_before,
    sumIf(fronts.reverts, NOT now) AS reverts_before
FROM fronts FINAL
WHERE window_start >= since_before
    AND window_start < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
GROUP BY actor
ORDER BY actor
