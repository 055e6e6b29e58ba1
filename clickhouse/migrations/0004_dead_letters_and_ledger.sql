-- What could not be used, with the reason; `raw` is cut at 64 KiB.
CREATE TABLE IF NOT EXISTS dead_letters
(
    dead_letter_id   String,
    received         DateTime64(3, 'UTC'),
    reason           LowCardinality(String),
    error            String CODEC(ZSTD(1)),
    raw              String CODEC(ZSTD(3)),
    raw_size         UInt64,
    source_topic     LowCardinality(String),
    source_partition UInt16,
    source_offset    Int64,                  -- -1: not known
    stored           DateTime('UTC') DEFAULT now(),
    version          UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY dead_letter_id
TTL stored + INTERVAL 30 DAY;

-- The producer's own account of each page of 1,000 source offsets, against which `edits` is checked.
CREATE TABLE IF NOT EXISTS ledger
(
    source_topic     LowCardinality(String),
    source_partition UInt16,
    page             Int64,                  -- source_offset intDiv 1000
    first_offset     Int64,
    last_offset      Int64,
    read             UInt32,
    kept             UInt32,
    dead_lettered    UInt32,
    dropped          Map(LowCardinality(String), UInt64),
    stored           DateTime('UTC') DEFAULT now(),
    version          UInt64                  -- read: the fullest account of a page wins
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (source_topic, source_partition, page)
TTL stored + INTERVAL 30 DAY;

-- Accepted by the producer, left out by the worker: one meta.id that the source sent at two offsets.
CREATE TABLE IF NOT EXISTS duplicates
(
    source_topic     LowCardinality(String),
    source_partition UInt16,
    source_offset    Int64,
    wiki             LowCardinality(String),
    meta_id          UUID,
    timestamp        DateTime('UTC'),
    stored           DateTime('UTC') DEFAULT now(),
    version          UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (source_topic, source_partition, source_offset)
TTL stored + INTERVAL 30 DAY;
