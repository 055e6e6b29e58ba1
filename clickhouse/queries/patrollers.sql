-- Who holds the line: those who reverted most, bots and others apart.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many bots, and as many others [default 15]
WITH
    -- When, and in one second a bot's reverts last: as a number, since maxima of tuples are slow.
    toUnixTimestamp(timestamp) * 2 + (reverter_actor = 'bot') AS flagged,
    -- Who they are first, by numbers alone: each with the hour of the newest revert. Where the list ends among equals,
    -- numbers decide too.
    (
        SELECT groupArray((who, toStartOfHour(toDateTime(intDiv(newest, 2), 'UTC'))))
        FROM
        (
            SELECT reverter_hash AS who, max(flagged) AS newest
            FROM reverts FINAL
            WHERE timestamp >= {since:DateTime('UTC')}
                AND timestamp < {until:DateTime('UTC')}
                AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
                AND NOT self_revert
                AND reverter_hash != cityHash64('')
            GROUP BY who
            ORDER BY newest % 2 AS bot, count() DESC, who
            LIMIT {limit:UInt32} BY bot
        )
    ) AS busiest,
    -- Wiki by wiki, for a page is of one. Most pages come once, and sets of them would cost more than lists.
    on_wikis AS
    (
        SELECT
            reverter_hash AS who,
            wiki,
            any(reverts.server_name) AS host,
            arrayUniq(groupArray(page_hash)) AS pages,
            count() AS reverts,
            countIf(reverted_actor = 'temporary') AS of_temporary,
            quantileExactState(0.5)(seconds_to_revert) AS seconds,
            countIf(isNotNull(seconds_to_revert)) AS timed
        FROM reverts FINAL
        -- before FINAL: the rows of one key are of one editor
        PREWHERE reverter_hash IN (SELECT arrayJoin(busiest).1)
        WHERE timestamp >= {since:DateTime('UTC')}
            AND timestamp < {until:DateTime('UTC')}
            AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
            AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
            AND NOT self_revert
        GROUP BY who, wiki
    ),
    -- by the hours of their newest reverts
    named AS
    (
        SELECT reverter_hash AS who, any(reverter) AS name, argMax(reverter_actor, flagged) AS class
        FROM reverts FINAL
        WHERE toStartOfHour(timestamp) IN (SELECT arrayJoin(busiest).2)
            AND timestamp >= {since:DateTime('UTC')}
            AND timestamp < {until:DateTime('UTC')}
            AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
            AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
            AND NOT self_revert
            AND reverter_hash IN (SELECT arrayJoin(busiest).1)
        GROUP BY who
    )
SELECT
    any(name) AS reverter,
    any(class) AS actor,
    argMax(wiki, (on_wikis.reverts, wiki)) AS main_wiki, -- where most of the reverts are
    argMax(host, (on_wikis.reverts, wiki)) AS server_name,
    count() AS wikis,
    sum(on_wikis.pages) AS pages,
    sum(on_wikis.reverts) AS reverts,
    sum(on_wikis.of_temporary) AS of_temporary,
    if(sum(timed) = 0, NULL, quantileExactMerge(0.5)(seconds)) AS median_seconds
FROM on_wikis
INNER JOIN named USING (who)
GROUP BY who
ORDER BY actor = 'bot', reverts DESC, reverter
LIMIT {limit:UInt32} BY actor = 'bot'
