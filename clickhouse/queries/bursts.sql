-- Temporary accounts that were reverted on several pages of a wiki: vandalism in a burst; the widest first.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param pages: on at least this many pages [default 2]
-- param limit: at most this many accounts [default 20]
WITH
    cityHash64(cityHash64(source), cityHash64(wiki), reverted_hash) AS account_hash,
    -- Which they are first, by numbers alone, as in pages_under_fire.sql. In a drawer each account with a page counts once.
    -- An account that comes again after that was reverted on a further page.
    (
        SELECT groupArray(account)
        FROM
        (
            SELECT arrayJoin(arrayFilter((account, nth) -> nth > 1, accounts, arrayEnumerateUniq(accounts))) AS account
            FROM
            (
                SELECT arrayFilter((account, nth) -> nth = 1, drawer, arrayEnumerateUniq(drawer, pages)) AS accounts
                FROM
                (
                    SELECT groupArray(account_hash) AS drawer, groupArray(page_hash) AS pages
                    FROM reverts FINAL
                    WHERE timestamp >= {since:DateTime('UTC')}
                        AND timestamp < {until:DateTime('UTC')}
                        AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                        AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
                        AND NOT self_revert
                        AND reverted_actor = 'temporary'
                    GROUP BY bitAnd(account_hash, 4095)
                )
            )
            GROUP BY account
            HAVING count() + 1 >= {pages:UInt32}
            ORDER BY count() DESC
            LIMIT {limit:UInt32} WITH TIES
        )
    ) AS widest,
    -- their figures, by numbers still
    (
        SELECT groupArray((account, pages, reverts, reverters, first_revert, last_revert, last_rev_id, places))
        FROM
        (
            SELECT
                account_hash AS account,
                uniqExact(page_hash) AS pages,
                count() AS reverts,
                uniqExact(reverter_hash) AS reverters,
                min(timestamp) AS first_revert,
                max(timestamp) AS last_revert,
                argMax(rev_id, (timestamp, rev_id)) AS last_rev_id,
                arraySlice(arrayCompact(arraySort(groupArray(page_hash))), 1, 5) AS some,
                arrayFilter(place -> has(some, place.1), groupUniqArray((page_hash, toStartOfHour(timestamp)))) AS places
            FROM reverts FINAL
            WHERE timestamp >= {since:DateTime('UTC')}
                AND timestamp < {until:DateTime('UTC')}
                AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
                AND NOT self_revert
                AND reverted_actor = 'temporary'
                AND ({pages:UInt32} < 2 OR account_hash IN (SELECT arrayJoin(widest)))
            GROUP BY account
            HAVING pages >= {pages:UInt32}
            ORDER BY pages DESC, reverts DESC, last_revert DESC
            LIMIT {limit:UInt32} WITH TIES
        )
    ) AS figures,
    named AS
    (
        SELECT
            account_hash AS account,
            any(reverts.wiki) AS on_wiki,
            any(reverts.server_name) AS host,
            any(reverted) AS name,
            arraySort(groupUniqArray(title)) AS titles
        FROM reverts
        PREWHERE page_hash IN (SELECT arrayJoin(arrayJoin(figures).8).1)
        WHERE toStartOfHour(timestamp) IN (SELECT arrayJoin(arrayJoin(figures).8).2)
            AND (account_hash, page_hash) IN
                (SELECT figure.1, arrayJoin(figure.8).1 FROM (SELECT arrayJoin(figures) AS figure))
        GROUP BY account
    )
SELECT
    on_wiki AS wiki,
    host AS server_name,
    name AS account,
    figure.2 AS pages,
    figure.3 AS reverts,
    figure.4 AS reverters,
    figure.5 AS first_revert,
    figure.6 AS last_revert,
    titles, -- five of them at most
    figure.7 AS last_rev_id
FROM (SELECT arrayJoin(figures) AS figure, figure.1 AS account) AS found
INNER JOIN named ON named.account = found.account
ORDER BY pages DESC, reverts DESC, last_revert DESC, wiki, account
LIMIT {limit:UInt32}
