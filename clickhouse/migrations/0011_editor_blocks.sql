-- Who was blocked, and when: what ends a battle without a word on its page. A block is logged on the editor's own user
-- page, one change in a thousand; looked for in `edits`, the blocks of a day cost more than all else that is asked of
-- the battles.
--
-- Filled as rows are inserted.
CREATE TABLE IF NOT EXISTS editor_blocks
(
    source    LowCardinality(String),
    wiki      LowCardinality(String),
    editor    String CODEC(ZSTD(1)),
    timestamp DateTime('UTC') CODEC(Delta, ZSTD(1)),
    meta_id   UUID,                   -- of the log entry in `edits`
    stored    DateTime('UTC') DEFAULT now(),
    version   UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (toStartOfHour(timestamp), wiki, editor, meta_id, source)
TTL stored + INTERVAL 30 DAY;

-- `User` has a name of its own in each language.
CREATE MATERIALIZED VIEW IF NOT EXISTS editor_blocks_of_edits TO editor_blocks AS
SELECT source, wiki, substring(title, position(title, ':') + 1) AS editor, timestamp, meta_id, stored, version
FROM edits
WHERE log_type = 'block' AND log_action IN ('block', 'reblock') AND namespace = 2;

-- What was stored before.
INSERT INTO editor_blocks (source, wiki, editor, timestamp, meta_id, stored, version)
SELECT source, wiki, substring(title, position(title, ':') + 1) AS editor, timestamp, meta_id, stored, version
FROM edits
WHERE log_type = 'block' AND log_action IN ('block', 'reblock') AND namespace = 2;
