-- Pairs of editors on one page: how often one reverted the other, and the other reverted back; mutual pairs first.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many pairs [default 20]
WITH
    -- the same pair whoever reverts, as a number
    cityHash64(page_hash, least(reverter_hash, reverted_hash), greatest(reverter_hash, reverted_hash)) AS pair_hash,
    -- Which have two reverts, by numbers alone, as in pages_under_fire.sql.
    (
        SELECT groupArrayArray(arrayFilter((pair, nth) -> nth > 1, drawer, arrayEnumerateUniq(drawer)))
        FROM
        (
            SELECT groupArray(pair_hash) AS drawer
            FROM reverts FINAL
            WHERE timestamp >= {since:DateTime('UTC')}
                AND timestamp < {until:DateTime('UTC')}
                AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
                AND NOT self_revert
                AND reverted_hash != cityHash64('')
            GROUP BY bitAnd(pair_hash, 4095)
        )
    ) AS fighting,
    -- Where these are too few, the newest of the others follow: from when on. A pair is in `fighting` for each revert but
    -- its first, so of the newest reverts no more than twice as many can be theirs.
    (
        SELECT minOrNull(timestamp)
        FROM
        (
            SELECT timestamp
            FROM reverts FINAL
            WHERE timestamp >= {since:DateTime('UTC')}
                AND timestamp < {until:DateTime('UTC')}
                AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
                AND NOT self_revert
                AND reverted_hash != cityHash64('')
                AND arrayUniq(fighting) < {limit:UInt32}
            ORDER BY timestamp DESC
            LIMIT {limit:UInt32} + 2 * length(fighting)
        )
    ) AS newest,
    -- their figures, by numbers still: reverts by the one, the other, and what the list is sorted by
    (
        SELECT groupArray((pair, by_one, by_other, last_revert, last_rev_id))
        FROM
        (
            SELECT
                pair_hash AS pair,
                countIf(reverter_hash <= reverted_hash) AS by_one,
                countIf(reverter_hash >= reverted_hash) AS by_other,
                max(timestamp) AS last_revert,
                argMax(rev_id, (timestamp, rev_id)) AS last_rev_id
            FROM reverts FINAL
            WHERE timestamp >= {since:DateTime('UTC')}
                AND timestamp < {until:DateTime('UTC')}
                AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
                AND NOT self_revert
                AND reverted_hash != cityHash64('')
                AND (ifNull(timestamp >= newest, false) OR pair_hash IN (SELECT arrayJoin(fighting)))
            GROUP BY pair
            ORDER BY least(by_one, by_other) DESC, greatest(by_one, by_other) DESC, last_revert DESC
            LIMIT {limit:UInt32} WITH TIES
        )
    ) AS figures,
    named AS
    (
        SELECT
            pair_hash AS pair,
            any(wiki) AS wiki,
            any(reverts.server_name) AS server_name,
            any(title) AS title,
            any(if(reverter_hash <= reverted_hash, reverter, reverted)) AS one,
            any(if(reverter_hash <= reverted_hash, reverted, reverter)) AS other
        FROM reverts
        WHERE toStartOfHour(timestamp) IN (SELECT toStartOfHour(arrayJoin(figures).4))
            AND pair_hash IN (SELECT arrayJoin(figures).1)
        GROUP BY pair
    ),
    figure.2 AS by_one,
    figure.3 AS by_other,
    by_one > by_other OR by_one = by_other AND one < other AS one_leads
SELECT
    wiki,
    server_name,
    title,
    if(one_leads, one, other) AS editor,
    if(one_leads, other, one) AS opponent,
    greatest(by_one, by_other) AS reverts,
    least(by_one, by_other) AS reverted_back,
    figure.4 AS last_revert,
    figure.5 AS last_rev_id
FROM (SELECT arrayJoin(figures) AS figure, figure.1 AS pair) AS found
INNER JOIN named USING (pair)
ORDER BY reverted_back DESC, reverts DESC, last_revert DESC, wiki, title, editor
LIMIT {limit:UInt32}
