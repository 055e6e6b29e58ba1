-- Every accepted change, once. The natural key is (source, wiki, meta_id) within its hour of event time.
--
-- The hour leads the sorting key because the board asks for "the last N minutes" of all wikis; pages and
-- users are found through the bloom filters. Partitions are months of event time: replaced rows meet in one
-- partition, and a recording of any age stays below ClickHouse's limit of 100 partitions per insert.
-- Retention counts from when a row was stored, so that a recording of years ago does not vanish on replay.
CREATE TABLE IF NOT EXISTS edits
(
    meta_id          UUID,
    source           LowCardinality(String), -- what plays: live, replay-<name>, wargame-<seed>; see source_of()
    source_topic     LowCardinality(String), -- origin in Wikimedia's own log: topic, partition, offset
    source_partition UInt16,
    source_offset    Int64,
    wiki             LowCardinality(String),
    server_name      LowCardinality(String),
    namespace        Int32,
    title            String CODEC(ZSTD(1)),
    type             LowCardinality(String),
    user             String CODEC(ZSTD(1)),
    actor            LowCardinality(String),
    comment          String CODEC(ZSTD(1)),
    timestamp        DateTime('UTC') CODEC(Delta, ZSTD(1)),
    received         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    rev_id           UInt64,                 -- 0: none (log entries)
    old_rev_id       UInt64,
    length_old       Nullable(UInt32),       -- bytes; none for new pages and log entries
    length_new       Nullable(UInt32),
    minor            Bool,
    log_type         LowCardinality(String),
    log_action       LowCardinality(String),
    log_params       String CODEC(ZSTD(1)),  -- JSON as it came
    shard            UInt8,
    sequence         UInt64,                 -- the shard's count of accepted changes: the order the worker saw
    late             Bool,                   -- came after its window had closed: not in fronts, not in page state
    claim_method     LowCardinality(String), -- what the comment says of a revert: '', undo, rollback, restore, manual
    claim_user       String CODEC(ZSTD(1)),  -- whom it names as reverted
    claim_rev_id     UInt64,                 -- which revision it names as undone, 0: none
    claim_restored_user String CODEC(ZSTD(1)), -- whose version it names as restored
    claim_form       LowCardinality(String), -- standard (MediaWiki's own), tool, bare (`rv`)
    claim_exempt     LowCardinality(String), -- '', vandalism, biography, copyright, ...: exempt from the three-revert rule
    stored           DateTime('UTC') DEFAULT now(),
    version          UInt64,
    INDEX title_bloom title TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX user_bloom user TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (toStartOfHour(timestamp), wiki, meta_id, source)
TTL stored + INTERVAL 30 DAY;
