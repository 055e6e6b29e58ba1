-- Temporary accounts that were reverted on several pages of a wiki: vandalism in a burst; the widest first.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param pages: on at least this many pages [default 2]
-- param limit: at most this many accounts [default 20]
WITH
    -- which they are first, by numbers alone: the titles of everybody reverted in a month would take seconds
    candidates AS
    (
        SELECT cityHash64(source, wiki, reverted) AS who
        FROM reverts FINAL
        WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
            AND timestamp >= {since:DateTime('UTC')}
            AND timestamp < {until:DateTime('UTC')}
            AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
            AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
            AND NOT self_revert
            AND reverted_actor = 'temporary'
        GROUP BY who
        HAVING uniqExact(cityHash64(title)) >= {pages:UInt32}
        ORDER BY uniqExact(cityHash64(title)) DESC, count() DESC, max(timestamp) DESC
        LIMIT {limit:UInt32} WITH TIES
    )
SELECT
    wiki,
    any(reverts.server_name) AS server_name,
    reverted AS account,
    uniqExact(title) AS pages,
    count() AS reverts,
    uniqExact(reverter) AS reverters,
    min(timestamp) AS first_revert,
    max(timestamp) AS last_revert,
    arraySort(groupUniqArray(5)(title)) AS titles, -- five of them at most
    argMax(rev_id, (timestamp, rev_id)) AS last_rev_id
FROM reverts FINAL
WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
    AND timestamp >= {since:DateTime('UTC')}
    AND timestamp < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
    AND NOT self_revert
    AND reverted_actor = 'temporary'
    AND cityHash64(source, wiki, reverted) IN (SELECT who FROM candidates)
GROUP BY source, wiki, reverted
HAVING pages >= {pages:UInt32}
ORDER BY pages DESC, reverts DESC, last_revert DESC, wiki, account
LIMIT {limit:UInt32}
