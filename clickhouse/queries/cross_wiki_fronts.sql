-- Fronts across wikis: one title, or one editor's edits, under reverts on several wikis within some hours, the widest first.
-- param until: end of the hours, left out [default now]
-- param hours: reverts of so many hours count [default 24]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param least: on at least this many wikis [default 2]
-- param limit: at most this many fronts of each kind [default 20]
WITH
    {until:DateTime('UTC')} AS until,
    until - toIntervalHour({hours:UInt32}) AS since,
    -- Which articles are of one topic, Wikidata knows and this stream does not. Two rules of thumb stand in for it:
    -- `title`: articles and their talk pages with the same title in the same letters. People and products are spelled
    -- alike in many languages, but one word may mean two things, and one thing may have two names.
    -- `editor`: one account whose edits are reverted, on whatever pages. Accounts are the same on all wikis.
    fights AS
    (
        SELECT
            source, wiki, server_name, title, timestamp, rev_id, reverter, reverted,
            front.1 AS kind,
            front.2 AS topic
        FROM reverts FINAL
        ARRAY JOIN
        [
            ('title', multiIf(namespace = 0, lowerUTF8(title), namespace = 1, lowerUTF8(substring(title, position(title, ':') + 1)), '')),
            ('editor', if(reverted_actor = 'bot', '', reverted))
        ] AS front
        WHERE toStartOfHour(timestamp) >= toStartOfHour(since)
            AND timestamp >= since
            AND timestamp < until
            AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
            AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
            AND NOT self_revert
            AND topic != ''
    ),
    -- which they are first, by numbers alone: most titles and editors are of one wiki
    widest AS
    (
        SELECT any(kind) AS of_kind, cityHash64(source, kind, topic) AS front
        FROM fights
        GROUP BY front
        HAVING uniqExact(wiki) >= {least:UInt32}
        ORDER BY uniqExact(wiki) DESC, count() DESC, max(timestamp) DESC, front
        LIMIT {limit:UInt32} BY of_kind
    ),
    fronts_found AS
    (
        SELECT
            kind,
            if(kind = 'title', argMax(title, (timestamp, rev_id)), topic) AS name, -- of the newest revert's page
            arraySort(groupUniqArray(wiki)) AS wikis,
            count() AS reverts,
            uniqExact(source, wiki, title) AS pages,
            uniqExact(reverter) AS reverters,
            uniqExactIf(reverted, reverted != '') AS reverted_editors,
            groupUniqArrayArray([(wiki, reverter), (wiki, reverted)]) AS present,
            arraySort(groupUniqArray(5)((wiki, title)))::Array(Tuple(wiki String, title String)) AS examples,
            min(timestamp) AS first_revert,
            max(timestamp) AS last_revert,
            argMax(wiki, (timestamp, rev_id)) AS last_wiki,
            argMax(fights.server_name, (timestamp, rev_id)) AS server_name,
            argMax(rev_id, (timestamp, rev_id)) AS last_rev_id,
            -- whoever takes part on a second wiki, on either side, stands twice in here
            arraySort(arrayFilter(who -> who != '', arrayMap(one -> one.2, present))) AS named,
            arrayDistinct(arrayFilter((who, before) -> who = before, named, arrayPopBack(arrayPushFront(named, '')))) AS twice
        FROM fights
        WHERE cityHash64(source, kind, topic) IN (SELECT front FROM widest)
        GROUP BY source, kind, topic
    )
SELECT
    kind, -- title, editor: why these are taken for one front
    name,
    wikis,
    reverts,
    pages,
    reverters,
    reverted_editors,
    length(twice) AS shared, -- editors who take part on two of the wikis or more
    examples, -- five of the pages at most
    first_revert,
    last_revert,
    last_wiki,
    server_name, -- of the newest revert's wiki
    last_rev_id
FROM fronts_found
ORDER BY kind = 'editor', length(wikis) DESC, reverts DESC, last_revert DESC, name
