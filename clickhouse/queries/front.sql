-- People, bots and temporary accounts over time, step by step; steps without a change are rows of zeros.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param step: seconds per row, a multiple of 10 [default 60]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
SELECT *
FROM
(
    SELECT
        toStartOfInterval(window_start, toIntervalSecond({step:UInt32})) AS time,
        actor,
        sum(fronts.edits) AS edits,
        sum(fronts.creations) AS creations,
        sum(fronts.reverts) AS reverts,
        sum(fronts.reverted) AS reverted,
        sum(fronts.bytes_added) AS bytes_added,
        sum(fronts.bytes_removed) AS bytes_removed
    FROM fronts FINAL
    WHERE window_start >= {since:DateTime('UTC')}
        AND window_start < {until:DateTime('UTC')}
        AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    GROUP BY actor, time
    ORDER BY actor, time WITH FILL
        FROM toStartOfInterval({since:DateTime('UTC')}, toIntervalSecond({step:UInt32}))
        TO {until:DateTime('UTC')}
        STEP toIntervalSecond({step:UInt32})
)
WHERE actor != '' -- where there is no row at all, the steps of nobody are filled in
ORDER BY actor, time
