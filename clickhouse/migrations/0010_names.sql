-- Every page and editor with the hours in which something of theirs was stored: what a search looks in, by its sorting
-- key, and which hours of `edits` and `reverts` then hold the story. Found without it, one page's edits cost a read of
-- every title that is kept.
--
-- Filled as rows are inserted. Sets of hours and maxima stay as they are when the same rows come again.
CREATE TABLE IF NOT EXISTS names
(
    kind        LowCardinality(String),  -- page, editor
    folded      String CODEC(ZSTD(1)),   -- the name in small letters, by which it is searched
    name        String CODEC(ZSTD(1)),
    wiki        LowCardinality(String),
    source      LowCardinality(String),
    server_name SimpleAggregateFunction(max, String),
    namespace   SimpleAggregateFunction(max, Int32), -- of a page; an editor's is 0
    hours       SimpleAggregateFunction(groupUniqArrayArray, Array(DateTime('UTC'))),
    newest      SimpleAggregateFunction(max, DateTime('UTC')),
    stored      SimpleAggregateFunction(max, DateTime('UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (kind, folded, name, wiki, source)
TTL stored + INTERVAL 30 DAY;

CREATE MATERIALIZED VIEW IF NOT EXISTS names_of_edits TO names AS
SELECT
    who.1 AS kind,
    lowerUTF8(who.2) AS folded,
    who.2 AS name,
    wiki,
    source,
    server_name,
    if(kind = 'page', edits.namespace, 0) AS namespace,
    [toStartOfHour(timestamp)] AS hours,
    timestamp AS newest,
    edits.stored AS stored
FROM edits
ARRAY JOIN [('page', title), ('editor', user)] AS who
WHERE name != '';

-- An editor's story has the reverts that hit him too, which others made in hours of their own.
CREATE MATERIALIZED VIEW IF NOT EXISTS names_of_reverts TO names AS
SELECT
    'editor' AS kind,
    lowerUTF8(reverted) AS folded,
    reverted AS name,
    wiki,
    source,
    server_name,
    0 AS namespace,
    [toStartOfHour(timestamp)] AS hours,
    timestamp AS newest,
    reverts.stored AS stored
FROM reverts
WHERE reverted != '';

-- What was stored before; row by row, so that memory does not grow with it. Merges fold the rows of one name.
INSERT INTO names
SELECT
    who.1 AS kind, lowerUTF8(who.2) AS folded, who.2 AS name, wiki, source, server_name,
    if(kind = 'page', edits.namespace, 0) AS namespace, [toStartOfHour(timestamp)] AS hours, timestamp AS newest,
    edits.stored AS stored
FROM edits
ARRAY JOIN [('page', title), ('editor', user)] AS who
WHERE name != '';

INSERT INTO names
SELECT
    'editor' AS kind, lowerUTF8(reverted) AS folded, reverted AS name, wiki, source, server_name, 0 AS namespace,
    [toStartOfHour(timestamp)] AS hours, timestamp AS newest, reverts.stored AS stored
FROM reverts
WHERE reverted != '';
