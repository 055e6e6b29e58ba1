-- The hourly figures by namespace too: territory over weeks, and a filter by namespace, without reading all edits.
--
-- A key cannot be changed in place, so the table is made anew. What is in it comes from `edits` and `reverts`, which
-- keep what it had: the refresh fills it again within a minute.
DROP VIEW IF EXISTS refresh_fronts_hourly;
DROP VIEW IF EXISTS refresh_fronts_daily;
DROP VIEW IF EXISTS computed_fronts_hourly;
DROP TABLE IF EXISTS fronts_hourly;

CREATE TABLE IF NOT EXISTS fronts_hourly
(
    hour          DateTime('UTC') CODEC(Delta, ZSTD(1)),
    wiki          LowCardinality(String),
    namespace     Int32,
    actor         LowCardinality(String), -- person, bot, temporary
    source        LowCardinality(String),
    edits         UInt32,                 -- changes of type edit or new, late ones too
    late          UInt32,                 -- of these, came after their window had closed: not in `fronts`
    creations     UInt32,
    reverts       UInt32,                 -- of others; what a late change claims is not looked into
    reverted      UInt32,
    bytes_added   UInt64,
    bytes_removed UInt64,
    raw_since     DateTime('UTC'),        -- when the oldest row behind it was stored: those expire first
    stored        DateTime('UTC') DEFAULT now(),
    version       UInt64                  -- edits + reverted
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(hour)
ORDER BY (hour, wiki, namespace, actor, source)
TTL stored + INTERVAL 730 DAY;

-- The hourly figures as `edits` and `reverts` have them now: the definition that refresh, audit and rebuild share.
-- Conditions on hour and source reach the tables' primary keys.
CREATE VIEW IF NOT EXISTS computed_fronts_hourly AS
SELECT
    hour,
    wiki,
    namespace,
    actor,
    source,
    sum(edited) AS edits,
    sum(was_late) AS late,
    sum(created) AS creations,
    sum(reverting) AS reverts,
    sum(hit) AS reverted,
    sum(greatest(grown, 0)) AS bytes_added,
    sum(greatest(-grown, 0)) AS bytes_removed,
    min(row_stored) AS raw_since,
    edits + reverted AS version
FROM
(
    SELECT
        toStartOfHour(timestamp) AS hour, wiki, namespace, actor, source,
        1 AS edited,
        late AS was_late,
        type = 'new' AS created,
        0 AS reverting,
        0 AS hit,
        -- grown_by() in services/worker/engage.py
        if(length_new IS NULL OR (length_old IS NULL AND type != 'new'), 0,
            toInt64(assumeNotNull(length_new)) - toInt64(ifNull(length_old, 0))) AS grown,
        stored AS row_stored
    FROM edits FINAL
    WHERE type != 'log'
    UNION ALL
    -- once for the class of the one who reverts, once for that of the one who is reverted
    SELECT
        toStartOfHour(timestamp) AS hour, wiki, namespace, side.1 AS actor, source,
        0 AS edited,
        0 AS was_late,
        0 AS created,
        side.2 AS reverting,
        NOT side.2 AS hit,
        0 AS grown,
        stored AS row_stored
    FROM reverts FINAL
    ARRAY JOIN [(reverter_actor, true), (reverted_actor, false)] AS side
    WHERE NOT self_revert AND actor != ''
)
GROUP BY hour, wiki, namespace, actor, source;

-- Two minutes back from the newest row: an insert's time is that of its beginning, and it is seen at its end.
CREATE MATERIALIZED VIEW IF NOT EXISTS refresh_fronts_hourly REFRESH EVERY 1 MINUTE APPEND TO fronts_hourly AS
SELECT *
FROM computed_fronts_hourly
WHERE (hour, source) IN
(
    WITH (SELECT greatest(toUnixTimestamp(max(stored)), 120) - 120 FROM fronts_hourly) AS seen
    SELECT toStartOfHour(timestamp), source FROM edits WHERE stored >= toDateTime(seen, 'UTC')
    UNION DISTINCT
    SELECT toStartOfHour(timestamp), source FROM reverts WHERE stored >= toDateTime(seen, 'UTC')
);

CREATE MATERIALIZED VIEW IF NOT EXISTS refresh_fronts_daily REFRESH EVERY 1 MINUTE OFFSET 20 SECOND APPEND TO fronts_daily AS
SELECT *
FROM computed_fronts_daily
WHERE (day, source) IN
(
    WITH (SELECT greatest(toUnixTimestamp(max(stored)), 120) - 120 FROM fronts_daily) AS seen
    SELECT toStartOfDay(hour), source FROM fronts_hourly WHERE stored >= toDateTime(seen, 'UTC')
);
