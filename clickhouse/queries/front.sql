-- People, bots and temporary accounts over time, step by step; steps without a change are rows of zeros.
-- uses tallies
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param step: seconds per row, a multiple of 10; of 3600 where the range is over two days [default 60]
SELECT *
FROM
(
    SELECT
        toStartOfInterval(tallies.time, toIntervalSecond({step:UInt32})) AS time,
        actor,
        sum(tallies.edits) AS edits,
        sum(tallies.creations) AS creations,
        sum(tallies.reverts) AS reverts,
        sum(tallies.reverted) AS reverted,
        sum(tallies.bytes_added) AS bytes_added,
        sum(tallies.bytes_removed) AS bytes_removed
    FROM tallies
    GROUP BY actor, time
    ORDER BY actor, time WITH FILL
        FROM toStartOfInterval({since:DateTime('UTC')}, toIntervalSecond({step:UInt32}))
        TO {until:DateTime('UTC')}
        STEP toIntervalSecond({step:UInt32})
)
WHERE actor != '' -- where there is no row at all, the steps of nobody are filled in
ORDER BY actor, time
