-- The busiest wikis over time, step by step: edits, reverts and bytes; steps without a change have no row.
-- uses tallies
-- param step: seconds per row, a multiple of 10; of 3600 where the range is over two days [default 120]
-- param limit: at most this many wikis [default 20]
SELECT
    wiki,
    toStartOfInterval(tallies.time, toIntervalSecond({step:UInt32})) AS time,
    sumIf(tallies.edits, actor = 'person') AS person,
    sumIf(tallies.edits, actor = 'temporary') AS temporary,
    sumIf(tallies.edits, actor = 'bot') AS bot,
    sum(tallies.edits) AS edits,
    sum(tallies.reverts) AS reverts
FROM tallies
WHERE wiki IN (SELECT wiki FROM tallies GROUP BY wiki ORDER BY sum(tallies.edits) DESC, wiki LIMIT {limit:UInt32})
GROUP BY wiki, time
ORDER BY wiki, time
