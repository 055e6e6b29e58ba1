-- Changes that came after their window had closed, by wiki: stored, but not in the fronts.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many wikis [default 20]
WITH
    {since:DateTime('UTC')} AS since,
    {until:DateTime('UTC')} AS until,
    -- as in tallies.sql: whole hours of a range over two days come from the roll-up
    if(until - since > 2 * 86400, toStartOfHour(until - toIntervalMinute(5)), since) AS rolled
SELECT wiki, sum(came) AS changes, max(seen) AS newest -- to the hour where it comes from the roll-up
FROM
(
    SELECT wiki, uniqExact(meta_id) AS came, max(timestamp) AS seen -- exact over rows that are not merged yet
    FROM edits
    WHERE toStartOfHour(timestamp) >= toStartOfHour(rolled)
        AND timestamp >= rolled
        AND timestamp < until
        AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
        AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
        AND edits.late
    GROUP BY wiki
    UNION ALL
    SELECT wiki, sum(fronts_hourly.late) AS came, max(hour) AS seen
    FROM fronts_hourly FINAL
    WHERE hour >= since
        AND hour < rolled
        AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
        AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
        AND fronts_hourly.late > 0
    GROUP BY wiki
)
GROUP BY wiki
ORDER BY changes DESC, wiki
LIMIT {limit:UInt32}
