-- Where time goes between an edit and its row, in seconds, in the last hour of a range: median, 95 of 100, and the slowest.
-- param since: begin of the range, included [default now-15m]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
WITH
    -- a month's 90 million would take seconds, and say less of how it is now
    greatest({since:DateTime('UTC')}, {until:DateTime('UTC')} - toIntervalHour(1)) AS since,
    dateDiff('millisecond', toDateTime64(timestamp, 3, 'UTC'), received) / 1000 AS to_read,
    -- `stored` has whole seconds, cut off: at worst it lies before `received`
    greatest(0, dateDiff('millisecond', received, toDateTime64(stored, 3, 'UTC')) / 1000) AS to_store
SELECT
    count() AS changes,
    quantile(0.5)(to_read) AS read_median,
    quantile(0.95)(to_read) AS read_95,
    max(to_read) AS read_slowest,
    quantile(0.5)(to_store) AS stored_median,
    quantile(0.95)(to_store) AS stored_95,
    max(to_store) AS stored_slowest
FROM edits
WHERE toStartOfHour(timestamp) >= toStartOfHour(since)
    AND timestamp >= since
    AND timestamp < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
HAVING changes > 0
