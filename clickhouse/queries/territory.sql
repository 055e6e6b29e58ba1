-- Territory: bytes gained and lost per wiki and namespace, of the wikis where most bytes moved.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many wikis [default 12]
WITH
    {since:DateTime('UTC')} AS since,
    {until:DateTime('UTC')} AS until,
    -- whole hours from the roll-up, which is up to two minutes behind. What is left at both ends from the edits
    toStartOfHour(since + 3599) AS begin,
    greatest(begin, toStartOfHour(until - toIntervalMinute(5))) AS end,
    grounds AS
    (
        SELECT
            wiki,
            namespace,
            sum(parts.edits) AS edits,
            sum(parts.bytes_added) AS bytes_added,
            sum(parts.bytes_removed) AS bytes_removed
        FROM
        (
            SELECT wiki, namespace, edits, bytes_added, bytes_removed
            FROM fronts_hourly FINAL
            WHERE hour >= begin
                AND hour < end
                AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
            UNION ALL
            SELECT
                wiki, namespace, toUInt32(1) AS edits,
                toUInt64(greatest(grown, 0)) AS bytes_added, toUInt64(greatest(-grown, 0)) AS bytes_removed
            FROM
            (
                -- grown: grown_by() in services/worker/engage.py
                SELECT
                    wiki, namespace,
                    if(length_new IS NULL OR (length_old IS NULL AND type != 'new'), 0,
                        toInt64(assumeNotNull(length_new)) - toInt64(ifNull(length_old, 0))) AS grown
                FROM edits FINAL
                WHERE (toStartOfHour(timestamp) = toStartOfHour(since) OR toStartOfHour(timestamp) >= end)
                    AND timestamp >= since
                    AND timestamp < until
                    AND (timestamp < begin OR timestamp >= end)
                    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
                    AND type != 'log'
            )
        ) AS parts
        GROUP BY wiki, namespace
    )
SELECT wiki, namespace, edits, bytes_added, bytes_removed
FROM
(
    SELECT *, dense_rank() OVER (ORDER BY moved DESC, wiki) AS place
    FROM (SELECT *, sum(bytes_added + bytes_removed) OVER (PARTITION BY wiki) AS moved FROM grounds)
)
WHERE place <= {limit:UInt32}
ORDER BY wiki, namespace
