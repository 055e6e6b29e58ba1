-- Pairs of editors on one page: how often one reverted the other, and the other reverted back; mutual pairs first.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many pairs [default 20]
WITH
    least(reverter, reverted) AS first,
    greatest(reverter, reverted) AS second,
    countIf(reverter = first) AS by_first,
    countIf(reverter = second) AS by_second,
    by_first >= by_second AS first_leads,
    -- the same pair whoever reverts, told from numbers: comparing a month's names takes longer than all the rest
    cityHash64(reverter) AS one,
    cityHash64(reverted) AS other,
    cityHash64(wiki, title, least(one, other), greatest(one, other)) AS pair,
    -- which they are first, by numbers alone: the details of every pair of a month would take seconds and memory
    fiercest AS
    (
        SELECT pair
        FROM reverts FINAL
        WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
            AND timestamp >= {since:DateTime('UTC')}
            AND timestamp < {until:DateTime('UTC')}
            AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
            AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
            AND NOT self_revert
            AND reverted != ''
        GROUP BY pair
        ORDER BY
            least(countIf(one <= other), countIf(one >= other)) DESC,
            greatest(countIf(one <= other), countIf(one >= other)) DESC,
            max(timestamp) DESC
        LIMIT {limit:UInt32} WITH TIES
    )
SELECT
    wiki,
    any(reverts.server_name) AS server_name,
    title,
    if(first_leads, first, second) AS editor,
    if(first_leads, second, first) AS opponent,
    greatest(by_first, by_second) AS reverts,
    least(by_first, by_second) AS reverted_back,
    max(timestamp) AS last_revert,
    argMax(rev_id, (timestamp, rev_id)) AS last_rev_id
FROM reverts FINAL
WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
    AND timestamp >= {since:DateTime('UTC')}
    AND timestamp < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
    AND NOT self_revert
    AND reverted != ''
    AND pair IN (SELECT pair FROM fiercest)
GROUP BY wiki, title, first, second
ORDER BY reverted_back DESC, reverts DESC, last_revert DESC, wiki, title, editor
LIMIT {limit:UInt32}
