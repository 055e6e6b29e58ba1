-- Hot pages: an hour's edits by people and temporary accounts against what page and wiki had in the day before, the hottest first.
-- param until: end of the hour [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param editors: by at least this many different editors [default 3]
-- param reverts: with at least this many reverts of others [default 0]
-- param limit: at most this many pages [default 20]
WITH
    {until:DateTime('UTC')} AS until,
    until - 3600 AS since,
    toStartOfHour(since) AS day_end, -- the day before: the 24 whole hours up to here
    day_end - toIntervalDay(1) AS day_begin,
    12 AS steps, -- of `course`
    10 AS least, -- edits an hour added to a wiki's, now and before: a small one's pace would be noise
    -- The busiest pages of the hour. As one value, since a table would be read anew wherever it is named.
    (
        SELECT groupArray((
            source, wiki, title, server_name, namespace, edits, editors, temporary, course, newest, last_rev_id, reverts,
            reverters))
        FROM
        (
            SELECT *
            FROM
            (
                SELECT
                    source,
                    wiki,
                    title,
                    any(changes.server_name) AS server_name,
                    any(changes.namespace) AS namespace,
                    count() AS edits,
                    uniqExact(cityHash64(user)) AS editors,
                    countIf(actor = 'temporary') AS temporary,
                    countResample(0, steps, 1)(intDiv((timestamp - since) * steps, 3600)) AS course,
                    max(timestamp) AS newest,
                    argMax(rev_id, (timestamp, rev_id)) AS last_rev_id
                FROM edits AS changes FINAL
                WHERE toStartOfHour(timestamp) >= toStartOfHour(since)
                    AND timestamp >= since
                    AND timestamp < until
                    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, changes.namespace))
                    AND type != 'log'
                    AND actor != 'bot'
                    -- Most pages have one edit. Told by numbers and without FINAL, which leaves no fewer.
                    AND cityHash64(wiki, title) IN
                    (
                        SELECT cityHash64(wiki, title)
                        FROM edits
                        WHERE toStartOfHour(timestamp) >= toStartOfHour(since)
                            AND timestamp >= since
                            AND timestamp < until
                        GROUP BY cityHash64(wiki, title)
                        HAVING count() >= {editors:UInt32}
                    )
                GROUP BY source, wiki, title
                HAVING editors >= {editors:UInt32}
            ) AS busy
            LEFT JOIN
            (
                SELECT source, wiki, title, count() AS reverts, uniqExact(reverter) AS reverters
                FROM reverts AS undone FINAL
                WHERE toStartOfHour(timestamp) >= toStartOfHour(since)
                    AND timestamp >= since
                    AND timestamp < until
                    AND NOT self_revert
                GROUP BY source, wiki, title
            ) AS fought USING (source, wiki, title)
            WHERE reverts >= {reverts:UInt32}
            ORDER BY edits DESC, reverts DESC, wiki, title
            LIMIT 60
        )
    ) AS hottest,
    candidates AS
    (
        SELECT
            page.1 AS source, page.2 AS wiki, page.3 AS title, page.4 AS server_name, page.5 AS namespace, page.6 AS edits,
            page.7 AS editors, page.8 AS temporary, page.9 AS course, page.10 AS newest, page.11 AS last_rev_id,
            page.12 AS reverts, page.13 AS reverters
        FROM (SELECT arrayJoin(hottest) AS page)
    ),
    wikis_now AS
    (
        SELECT source, wiki, count() AS edits
        FROM edits AS changes FINAL
        WHERE toStartOfHour(timestamp) >= toStartOfHour(since)
            AND timestamp >= since
            AND timestamp < until
            AND wiki IN (SELECT wiki FROM candidates)
            AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, changes.namespace))
            AND type != 'log'
            AND actor != 'bot'
        GROUP BY source, wiki
    ),
    -- A source that began within the day is known from the next whole hour on.
    known AS
    (
        SELECT
            source,
            if(min(hour) = day_begin, day_begin, min(hour) + 3600) AS begin,
            toUInt32(dateDiff('hour', begin, day_end)) AS hours
        FROM fronts_hourly
        PREWHERE hour >= day_begin AND hour < day_end
        GROUP BY source
    ),
    wikis_before AS
    (
        SELECT source, wiki, sum(rolled.edits) AS edits
        FROM
        (
            SELECT source, wiki, hour, edits
            FROM fronts_hourly FINAL
            PREWHERE hour >= day_begin AND hour < day_end
            WHERE (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
                AND actor != 'bot'
        ) AS rolled
        INNER JOIN known USING (source)
        WHERE hour >= begin
        GROUP BY source, wiki
    ),
    -- Without FINAL, each change once by its id: of a day's edits the titles leave few.
    pages_before AS
    (
        SELECT source, wiki, title, uniqExact(meta_id) AS edits
        FROM
        (
            SELECT source, wiki, title, toStartOfHour(timestamp) AS hour, meta_id
            FROM edits
            WHERE toStartOfHour(timestamp) >= day_begin
                AND toStartOfHour(timestamp) < day_end
                AND wiki IN (SELECT wiki FROM candidates)
                AND title IN (SELECT title FROM candidates)
                AND type != 'log'
                AND actor != 'bot'
        ) AS changes
        INNER JOIN known USING (source)
        WHERE hour >= begin AND (source, wiki, title) IN (SELECT source, wiki, title FROM candidates)
        GROUP BY source, wiki, title
    )
SELECT
    wiki,
    server_name,
    namespace,
    title,
    candidates.edits AS edits,
    editors,
    temporary,
    reverts,
    reverters,
    known.hours AS known_hours, -- of the day before, 0: nothing to compare with
    if(known_hours = 0, NULL, pages_before.edits / known_hours) AS usual, -- edits an hour of the page in the day before
    if(known_hours = 0, NULL, (wikis_now.edits + least) / (wikis_before.edits / known_hours + least)) AS pace, -- of the wiki, 2: twice its usual
    usual * pace AS expected, -- edits of the page in this hour
    (edits - ifNull(expected, 0)) / sqrt(ifNull(expected, 0) + 1) AS heat, -- how far above what chance gives: 1 often, 3 seldom
    course, -- edits in each twelfth of the hour
    newest,
    last_rev_id
FROM candidates
LEFT JOIN known USING (source)
LEFT JOIN wikis_now USING (source, wiki)
LEFT JOIN wikis_before USING (source, wiki)
LEFT JOIN pages_before USING (source, wiki, title)
WHERE heat > 0
ORDER BY heat DESC, reverts DESC, newest DESC, wiki, title
LIMIT {limit:UInt32}
