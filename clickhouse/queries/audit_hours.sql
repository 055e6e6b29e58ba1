-- How many changes each hour of a source has, late ones apart; rows that are not merged yet may count twice.
-- param since: begin of the range, included [default now-1d]
-- param until: end of the range, left out [default now]
-- param source: only this one: live, replay-NAME or wargame-SEED; none: all [default ]
SELECT
    toStartOfHour(timestamp) AS hour,
    count() AS changes,
    countIf(late) AS late
FROM edits
WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
    AND timestamp >= {since:DateTime('UTC')}
    AND timestamp < {until:DateTime('UTC')}
    AND {source:String} IN ('', source)
GROUP BY hour
ORDER BY hour
