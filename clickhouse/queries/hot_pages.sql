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
    -- What a page had in that day is asked of every third hour of it: the titles of all would take most of the time.
    arrayMap(number -> day_end - (1 + 3 * number) * 3600, range(8)) AS sampled,
    12 AS steps, -- of `course`
    10 AS least, -- edits an hour added to a wiki's, now and before: a small one's pace would be noise
    fought AS
    (
        SELECT source, wiki, title, count() AS reverts, uniqExact(reverter) AS reverters
        FROM reverts AS undone FINAL
        WHERE toStartOfHour(timestamp) >= toStartOfHour(since)
            AND timestamp >= since
            AND timestamp < until
            AND NOT self_revert
        GROUP BY source, wiki, title
    ),
    busiest AS
    (
        SELECT title
        FROM edits AS changes
        WHERE toStartOfHour(timestamp) >= toStartOfHour(since)
            AND timestamp >= since
            AND timestamp < until
            AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
            AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, changes.namespace))
            AND ({reverts:UInt32} = 0
                OR (source, wiki, title) IN (SELECT source, wiki, title FROM fought WHERE reverts >= {reverts:UInt32}))
            AND type != 'log'
            AND actor != 'bot'
        GROUP BY source, wiki, title
        HAVING uniqExact(cityHash64(user)) >= {editors:UInt32}
        ORDER BY count() DESC, wiki, title
        LIMIT 60
    ),
    -- A source that began within the day is known from the next whole hour on.
    known AS
    (
        SELECT
            source,
            if(min(hour) = day_begin, day_begin, min(hour) + 3600) AS begin,
            toUInt32(dateDiff('hour', begin, day_end)) AS hours,
            arrayCount(one -> one >= begin, sampled) AS sampled_hours
        FROM fronts_hourly
        PREWHERE hour >= day_begin AND hour < day_end
        GROUP BY source
    ),
    -- What the hour has of the clock hour that it begins in is taken as its share of it. The roll-up is up to two minutes
    -- behind.
    paces AS
    (
        SELECT
            source,
            wiki,
            sumIf(rolled.edits, hour < day_end) AS before,
            sumIf(rolled.edits, hour = day_end) * (1 - (since - day_end) / 3600) + sumIf(rolled.edits, hour > day_end) AS now
        FROM
        (
            SELECT source, wiki, hour, edits
            FROM fronts_hourly FINAL
            PREWHERE hour >= day_begin AND hour < until
            WHERE (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
                AND actor != 'bot'
        ) AS rolled
        INNER JOIN known USING (source)
        WHERE hour >= begin
        GROUP BY source, wiki
    ),
    -- Hour and day in one reading. Without FINAL, each change once by its id: the titles leave few.
    pages AS
    (
        SELECT
            source,
            wiki,
            title,
            any(changes.server_name) AS server_name,
            any(changes.namespace) AS namespace,
            uniqExactIf(meta_id, in_hour) AS edits,
            uniqExactIf(cityHash64(user), in_hour) AS editors,
            uniqExactIf(meta_id, in_hour AND actor = 'temporary') AS temporary,
            uniqExactResample(0, steps, 1)(meta_id, if(in_hour, intDiv((timestamp - since) * steps, 3600), steps)) AS course,
            maxIf(timestamp, in_hour) AS newest,
            argMaxIf(rev_id, (timestamp, rev_id), in_hour) AS last_rev_id,
            uniqExactIf(meta_id, hour >= begin AND has(sampled, hour)) AS before
        FROM
        (
            SELECT
                source, wiki, title, server_name, namespace, user, actor, timestamp, rev_id, meta_id,
                toStartOfHour(timestamp) AS hour,
                timestamp >= since AS in_hour
            FROM edits
            WHERE toStartOfHour(timestamp) IN (SELECT arrayJoin(arrayConcat(sampled, [toStartOfHour(since), toStartOfHour(until)])))
                AND timestamp < until
                AND title IN (SELECT title FROM busiest)
                AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
                AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, edits.namespace))
                AND type != 'log'
                AND actor != 'bot'
        ) AS changes
        LEFT JOIN known USING (source)
        GROUP BY source, wiki, title
        HAVING editors >= {editors:UInt32}
    )
SELECT
    wiki,
    server_name,
    namespace,
    title,
    edits,
    editors,
    temporary,
    reverts,
    reverters,
    known.hours AS known_hours, -- of the day before, 0: nothing to compare with
    if(known_hours = 0, NULL, pages.before / known.sampled_hours) AS usual, -- edits an hour of the page in the day before
    if(known_hours = 0, NULL, (paces.now + least) / (paces.before / known_hours + least)) AS pace, -- of the wiki, 2: twice its usual
    usual * pace AS expected, -- edits of the page in this hour
    (edits - ifNull(expected, 0)) / sqrt(ifNull(expected, 0) + 1) AS heat, -- how far above what chance gives: 1 often, 3 seldom
    course, -- edits in each twelfth of the hour
    newest,
    last_rev_id
FROM pages
LEFT JOIN fought USING (source, wiki, title)
LEFT JOIN known USING (source)
LEFT JOIN paces USING (source, wiki)
WHERE heat > 0 AND reverts >= {reverts:UInt32}
ORDER BY heat DESC, reverts DESC, newest DESC, wiki, title
LIMIT {limit:UInt32}
