-- The pages with the most reverts of others in a range, with how many editors took part on each side.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many pages [default 20]
WITH
    -- Which they are first. Of a month's two million pages nearly all have one revert, and a hash table of them all would
    -- cost more than the rest. So their numbers go into drawers, by their last 12 bits. What comes in a drawer for a second
    -- time, or a third, has been reverted again.
    (
        SELECT groupArray(page)
        FROM
        (
            SELECT arrayJoin(arrayFilter((page, nth) -> nth > 1, drawer, arrayEnumerateUniq(drawer))) AS page
            FROM
            (
                SELECT groupArray(page_hash) AS drawer
                FROM reverts FINAL
                WHERE timestamp >= {since:DateTime('UTC')}
                    AND timestamp < {until:DateTime('UTC')}
                    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
                    AND NOT self_revert
                GROUP BY bitAnd(page_hash, 4095)
            )
            GROUP BY page
            ORDER BY count() DESC
            LIMIT {limit:UInt32} WITH TIES
        )
    ) AS fiercest,
    -- their figures, by numbers still, and all pages where those with two reverts are too few
    (
        SELECT groupArray((page, reverts, reverters, reverted_editors, by_bots, of_temporary, last_revert, last_rev_id))
        FROM
        (
            SELECT
                page_hash AS page,
                count() AS reverts,
                uniqExact(reverter_hash) AS reverters,
                uniqExactIf(reverted_hash, reverted_hash != cityHash64('')) AS reverted_editors,
                countIf(reverter_actor = 'bot') AS by_bots,
                countIf(reverted_actor = 'temporary') AS of_temporary,
                max(timestamp) AS last_revert,
                argMax(rev_id, (timestamp, rev_id)) AS last_rev_id
            FROM reverts FINAL
            -- before FINAL: the rows of one key are of one page
            PREWHERE length(fiercest) < {limit:UInt32} OR page_hash IN (SELECT arrayJoin(fiercest))
            WHERE timestamp >= {since:DateTime('UTC')}
                AND timestamp < {until:DateTime('UTC')}
                AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
                AND NOT self_revert
            GROUP BY page
            ORDER BY reverts DESC, last_revert DESC
            LIMIT {limit:UInt32} WITH TIES
        )
    ) AS figures,
    named AS
    (
        SELECT page_hash AS page, any(wiki) AS wiki, any(server_name) AS server_name, any(namespace) AS namespace, any(title) AS title
        FROM reverts
        WHERE toStartOfHour(timestamp) IN (SELECT toStartOfHour(arrayJoin(figures).7))
            AND page_hash IN (SELECT arrayJoin(figures).1)
        GROUP BY page
    )
SELECT
    wiki,
    server_name,
    namespace,
    title,
    figure.2 AS reverts,
    figure.3 AS reverters,
    figure.4 AS reverted_editors,
    figure.5 AS by_bots,
    figure.6 AS of_temporary,
    figure.7 AS last_revert,
    figure.8 AS last_rev_id
FROM (SELECT arrayJoin(figures) AS figure, figure.1 AS page) AS found
INNER JOIN named USING (page)
ORDER BY reverts DESC, last_revert DESC, wiki, title
LIMIT {limit:UInt32}
