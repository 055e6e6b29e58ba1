-- What an hour and a day sum up to, kept for years: ten-second windows split by shard are nearly as many rows as edits.
--
-- Hours are computed from `edits` and `reverts`, not from `fronts`, so changes that came too late for their window are
-- in them. ClickHouse itself does it, every minute, for the hours that something was stored for since the last time.
-- An hour's figures only grow while its edits are kept. When those begin to expire, counting again would give less:
-- the fuller row has the higher version and stays.
CREATE TABLE IF NOT EXISTS fronts_hourly
(
    hour          DateTime('UTC') CODEC(Delta, ZSTD(1)),
    wiki          LowCardinality(String),
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
ORDER BY (hour, wiki, actor, source)
TTL stored + INTERVAL 730 DAY;

CREATE TABLE IF NOT EXISTS fronts_daily
(
    day           DateTime('UTC') CODEC(Delta, ZSTD(1)),
    wiki          LowCardinality(String),
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
PARTITION BY toYear(day)
ORDER BY (day, wiki, actor, source)
TTL stored + INTERVAL 730 DAY;

-- The hourly figures as `edits` and `reverts` have them now: the definition that refresh, audit and rebuild share.
-- Conditions on hour and source reach the tables' primary keys.
CREATE VIEW IF NOT EXISTS computed_fronts_hourly AS
SELECT
    hour,
    wiki,
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
        toStartOfHour(timestamp) AS hour, wiki, actor, source,
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
        toStartOfHour(timestamp) AS hour, wiki, side.1 AS actor, source,
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
GROUP BY hour, wiki, actor, source;

-- The daily figures, from the hourly ones.
CREATE VIEW IF NOT EXISTS computed_fronts_daily AS
SELECT
    toStartOfDay(hour) AS day,
    wiki,
    actor,
    source,
    sum(fronts_hourly.edits) AS edits,
    sum(fronts_hourly.late) AS late,
    sum(fronts_hourly.creations) AS creations,
    sum(fronts_hourly.reverts) AS reverts,
    sum(fronts_hourly.reverted) AS reverted,
    sum(fronts_hourly.bytes_added) AS bytes_added,
    sum(fronts_hourly.bytes_removed) AS bytes_removed,
    min(fronts_hourly.raw_since) AS raw_since,
    edits + reverted AS version
FROM fronts_hourly FINAL
GROUP BY day, wiki, actor, source;

-- Lets the refresh find what was stored lately, and the audit a page of source offsets, without reading all of `edits`.
ALTER TABLE edits ADD INDEX IF NOT EXISTS stored_range stored TYPE minmax GRANULARITY 1;
ALTER TABLE edits ADD INDEX IF NOT EXISTS offset_range source_offset TYPE minmax GRANULARITY 1;
ALTER TABLE edits MATERIALIZE INDEX stored_range;
ALTER TABLE edits MATERIALIZE INDEX offset_range;

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

-- What `battlefield audit` found, each time.
CREATE TABLE IF NOT EXISTS audits
(
    started    DateTime64(3, 'UTC'),
    seconds    Float32,
    source     LowCardinality(String),    -- '': all
    since      DateTime('UTC'),           -- event time that was looked at
    until      DateTime('UTC'),
    passed     Bool,
    changes    UInt64,                    -- accepted changes in it
    late       UInt64,                    -- of these, too late for their window
    mismatches UInt64,                    -- rows that are missing, too many or different
    gaps       UInt64,                    -- source offsets that nobody read
    unstored   UInt64,                    -- changes that were read and kept, and are not in ClickHouse
    report     String CODEC(ZSTD(1)),     -- all of it as JSON
    stored     DateTime('UTC') DEFAULT now()
)
ENGINE = MergeTree
ORDER BY started
TTL stored + INTERVAL 730 DAY;
