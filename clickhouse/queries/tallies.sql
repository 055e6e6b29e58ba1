-- Edits, reverts and bytes of a range by wiki and actor class, at the finest times that are cheap: 10 s, or hours of a range over two days.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
WITH
    {since:DateTime('UTC')} AS since,
    {until:DateTime('UTC')} AS until,
    -- A long range has its whole hours from the roll-up, which is up to two minutes behind. What is left at the end is
    -- summed from windows, so that it ends at `until` and not at the hour's end.
    if(until - since > 2 * 86400, toStartOfHour(until - toIntervalMinute(5)), since) AS rolled,
    empty({namespaces:Array(Int32)}) AS everywhere -- windows know no namespaces
SELECT window_start AS time, wiki, actor, edits, creations, reverts, reverted, bytes_added, bytes_removed
FROM fronts FINAL
WHERE everywhere
    AND window_start >= rolled
    AND window_start < until
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
UNION ALL
SELECT hour AS time, wiki, actor, edits, creations, reverts, reverted, bytes_added, bytes_removed
FROM fronts_hourly FINAL
WHERE hour >= since
    AND hour < rolled
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND (everywhere OR has({namespaces:Array(Int32)}, namespace))
UNION ALL
SELECT
    toStartOfInterval(timestamp, toIntervalSecond(10)) AS time,
    wiki,
    actor,
    toUInt32(1) AS edits,
    toUInt32(type = 'new') AS creations,
    toUInt32(0) AS reverts,
    toUInt32(0) AS reverted,
    toUInt64(greatest(grown, 0)) AS bytes_added,
    toUInt64(greatest(-grown, 0)) AS bytes_removed
FROM
(
    -- grown: grown_by() in services/worker/engage.py
    SELECT
        timestamp, wiki, actor, type,
        if(length_new IS NULL OR (length_old IS NULL AND type != 'new'), 0,
            toInt64(assumeNotNull(length_new)) - toInt64(ifNull(length_old, 0))) AS grown
    FROM edits FINAL
    WHERE NOT everywhere
        AND toStartOfHour(timestamp) >= toStartOfHour(rolled)
        AND timestamp >= rolled
        AND timestamp < until
        AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
        AND has({namespaces:Array(Int32)}, namespace)
        AND type != 'log'
        AND NOT late
)
UNION ALL
SELECT
    toStartOfInterval(timestamp, toIntervalSecond(10)) AS time,
    wiki,
    side.1 AS actor,
    toUInt32(0) AS edits,
    toUInt32(0) AS creations,
    toUInt32(side.2) AS reverts,
    toUInt32(NOT side.2) AS reverted,
    toUInt64(0) AS bytes_added,
    toUInt64(0) AS bytes_removed
FROM reverts FINAL
ARRAY JOIN [(reverter_actor, true), (reverted_actor, false)] AS side
WHERE NOT everywhere
    AND toStartOfHour(timestamp) >= toStartOfHour(rolled)
    AND timestamp >= rolled
    AND timestamp < until
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND has({namespaces:Array(Int32)}, namespace)
    AND NOT self_revert
    AND actor != ''
