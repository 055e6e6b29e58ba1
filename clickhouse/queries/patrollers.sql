-- Who holds the line: those who reverted most, bots and others apart.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many bots, and as many others [default 15]
WITH
    -- who they are first, by numbers alone: the details of everybody who reverts would take seconds and memory
    busiest AS
    (
        SELECT cityHash64(reverter) AS who
        FROM reverts FINAL
        WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
            AND timestamp >= {since:DateTime('UTC')}
            AND timestamp < {until:DateTime('UTC')}
            AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
            AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
            AND NOT self_revert
            AND reverter != ''
        GROUP BY who
        ORDER BY argMax(reverter_actor = 'bot', (timestamp, rev_id)) AS bot, count() DESC, any(reverter)
        LIMIT {limit:UInt32} BY bot
    )
SELECT
    reverter,
    argMax(reverter_actor, (timestamp, rev_id)) AS actor,
    topK(1)(wiki)[1] AS main_wiki, -- where most of the reverts are
    topK(1)(reverts.server_name)[1] AS server_name,
    uniqExact(wiki) AS wikis,
    uniqExact(wiki, title) AS pages,
    count() AS reverts,
    countIf(reverted_actor = 'temporary') AS of_temporary,
    if(countIf(isNotNull(seconds_to_revert)) = 0, NULL, quantileExact(0.5)(seconds_to_revert)) AS median_seconds
FROM reverts FINAL
WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
    AND timestamp >= {since:DateTime('UTC')}
    AND timestamp < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
    AND NOT self_revert
    AND cityHash64(reverter) IN (SELECT who FROM busiest)
GROUP BY reverter
ORDER BY actor = 'bot', reverts DESC, reverter
LIMIT {limit:UInt32} BY actor = 'bot'
