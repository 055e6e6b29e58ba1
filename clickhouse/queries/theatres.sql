-- The busiest wikis over time, step by step: edits, reverts and bytes; steps without a change have no row.
-- uses tallies
-- param step: seconds per row, a multiple of 10; of 3600 where the range is over two days [default 120]
-- param limit: at most this many wikis [default 20]
SELECT wiki, time, person, temporary, bot, edits, reverts, bytes_added, bytes_removed
FROM
(
    SELECT *, dense_rank() OVER (ORDER BY total DESC, wiki) AS place
    FROM
    (
        SELECT
            wiki,
            toStartOfInterval(tallies.time, toIntervalSecond({step:UInt32})) AS time,
            sumIf(tallies.edits, actor = 'person') AS person,
            sumIf(tallies.edits, actor = 'temporary') AS temporary,
            sumIf(tallies.edits, actor = 'bot') AS bot,
            sum(tallies.edits) AS edits,
            sum(tallies.reverts) AS reverts,
            sum(tallies.bytes_added) AS bytes_added,
            sum(tallies.bytes_removed) AS bytes_removed,
            sum(edits) OVER (PARTITION BY wiki) AS total
        FROM tallies
        GROUP BY wiki, time
    )
)
WHERE place <= {limit:UInt32}
ORDER BY wiki, time
