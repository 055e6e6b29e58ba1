-- The pages with the most reverts of others in a range, with how many editors took part on each side.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many pages [default 20]
WITH
    -- who they are first, by numbers alone: the details of every page of a month would take seconds and its memory
    fiercest AS
    (
        SELECT cityHash64(wiki, title) AS page
        FROM reverts FINAL
        WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
            AND timestamp >= {since:DateTime('UTC')}
            AND timestamp < {until:DateTime('UTC')}
            AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
            AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
            AND NOT self_revert
        GROUP BY page
        ORDER BY count() DESC, max(timestamp) DESC
        LIMIT {limit:UInt32} WITH TIES
    )
SELECT
    wiki,
    any(reverts.server_name) AS server_name,
    any(reverts.namespace) AS namespace,
    title,
    count() AS reverts,
    uniqExact(reverter) AS reverters,
    uniqExactIf(reverted, reverted != '') AS reverted_editors,
    countIf(reverter_actor = 'bot') AS by_bots,
    countIf(reverted_actor = 'temporary') AS of_temporary,
    max(timestamp) AS last_revert,
    argMax(rev_id, (timestamp, rev_id)) AS last_rev_id
FROM reverts FINAL
WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
    AND timestamp >= {since:DateTime('UTC')}
    AND timestamp < {until:DateTime('UTC')}
    AND cityHash64(wiki, title) IN (SELECT page FROM fiercest)
    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, reverts.namespace))
    AND NOT self_revert
GROUP BY wiki, title
ORDER BY reverts DESC, last_revert DESC, wiki, title
LIMIT {limit:UInt32}
