-- Who reverted whom, on which page, and how we know. One row per reverting revision.
CREATE TABLE IF NOT EXISTS reverts
(
    wiki             LowCardinality(String),
    server_name      LowCardinality(String),
    title            String CODEC(ZSTD(1)),
    namespace        Int32,
    timestamp        DateTime('UTC') CODEC(Delta, ZSTD(1)),
    rev_id           UInt64,                 -- the reverting revision
    reverter         String CODEC(ZSTD(1)),
    reverter_actor   LowCardinality(String),
    reverted         String CODEC(ZSTD(1)),  -- '' where nobody can be named
    reverted_actor   LowCardinality(String), -- '' where nobody can be named
    reverted_rev_id  UInt64,                 -- the reverted revision where it is known, else 0
    seconds_to_revert Nullable(UInt32),      -- from the reverted revision to this one, where it is known
    method           LowCardinality(String), -- undo, rollback, restore, manual
    evidence         LowCardinality(String), -- declared (by Wikimedia), summary (parsed from the comment)
    target           LowCardinality(String), -- how the reverted editor is known: named, revision, inferred, unknown
    self_revert      Bool,                   -- never counted
    comment          String CODEC(ZSTD(1)),
    shard            UInt8,
    source           LowCardinality(String),
    stored           DateTime('UTC') DEFAULT now(),
    version          UInt64                  -- 1 from the summary, 2 declared
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (toStartOfHour(timestamp), wiki, title, rev_id, source)
TTL stored + INTERVAL 730 DAY;
