-- Ten-second windows by wiki, actor class, shard and source; sum over shards. A window is upserted while it is open.
CREATE TABLE IF NOT EXISTS fronts
(
    window_start  DateTime('UTC') CODEC(Delta, ZSTD(1)),
    wiki          LowCardinality(String),
    shard         UInt8,
    actor         LowCardinality(String), -- person, bot, temporary
    source        LowCardinality(String),
    edits         UInt32,                 -- changes of type edit or new
    creations     UInt32,                 -- of these, new pages
    reverts       UInt32,                 -- reverts of others made in this window
    reverted      UInt32,                 -- reverts made in this window that hit an editor of this class
    bytes_added   UInt64,
    bytes_removed UInt64,
    stored        DateTime('UTC') DEFAULT now(),
    version       UInt64                  -- edits + reverted: grows with everything folded in
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_start)
ORDER BY (window_start, wiki, shard, actor, source)
TTL stored + INTERVAL 30 DAY;
