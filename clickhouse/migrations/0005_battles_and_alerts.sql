-- Edit wars as incidents: one row each, upserted from the first answered revert to the end.
CREATE TABLE IF NOT EXISTS battles
(
    battle_id     UUID,                   -- of source, wiki, title and the revert that began it: the same after any replay
    source        LowCardinality(String),
    wiki          LowCardinality(String),
    server_name   LowCardinality(String),
    title         String CODEC(ZSTD(1)),
    namespace     Int32,
    page_kind     LowCardinality(String), -- content, talk, project
    phase         LowCardinality(String), -- brewing, war, ended; a war without a revert for an hour is a ceasefire (at query time)
    war           Bool,                   -- has reached three alternations
    opened        DateTime('UTC'),        -- its first revert
    declared      Nullable(DateTime('UTC')), -- the third alternation: brewing became war
    updated       DateTime('UTC'),        -- its newest revert that answers one; a day after it the battle is over
    ended         Nullable(DateTime('UTC')), -- the protection or deletion; silence is told at query time
    ended_by      LowCardinality(String), -- '', protection, deletion
    alternations  UInt32,                 -- longest chain in which each revert hits the author of an earlier one
    reverts       UInt32,
    exempt_claims UInt32,                 -- of these, such that claim an exemption from the three-revert rule
    edits         UInt32,                 -- of the page from its first revert to its newest one or its end
    intensity     UInt64,                 -- M: editors * sum of the pairs' weights without the top one (Sumi, Yasseri and others, 2011)
    editors       UInt32,                 -- E: editors in mutual reverts
    pairs         Array(Tuple(a String, b String, weight UInt32)), -- mutual reverts; weight: min of the two's edits, the top pair first
    fighters      Array(Tuple(name String, actor String, side String, edits UInt32, reverts UInt32, reverted UInt32)),
    shard         UInt8,
    stored        DateTime('UTC') DEFAULT now(),
    version       UInt64                  -- its reverts, plus one when it has ended
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (wiki, title, battle_id)
TTL stored + INTERVAL 730 DAY;

-- Three-revert watch: three reverts of one editor on one page within 24 h are a warning, four a breach.
CREATE TABLE IF NOT EXISTS alerts
(
    alert_id      UUID,                   -- of kind, source, wiki, title, user and the revert that raised it
    kind          LowCardinality(String), -- three_revert_warning, three_revert_breach
    source        LowCardinality(String),
    wiki          LowCardinality(String),
    server_name   LowCardinality(String),
    title         String CODEC(ZSTD(1)),
    namespace     Int32,
    user          String CODEC(ZSTD(1)),
    actor         LowCardinality(String),
    raised        DateTime('UTC'),
    reverts       UInt32,                 -- within 24 h, consecutive ones once
    exempt_claims UInt32,                 -- of these, such that claim an exemption
    rev_ids       Array(UInt64),          -- the reverting revisions that make the case, the newest last
    detail        String CODEC(ZSTD(1)),  -- the same for people
    shard         UInt8,
    stored        DateTime('UTC') DEFAULT now(),
    version       UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(raised)
ORDER BY (toStartOfHour(raised), wiki, title, alert_id)
TTL stored + INTERVAL 730 DAY;
