-- What battles and the three-revert watch are recomputed from: when a revert was seen, and what its comment says beside
-- whom it hits.
ALTER TABLE reverts ADD COLUMN IF NOT EXISTS exempt LowCardinality(String) AFTER self_revert; -- as claim_exempt of edits
ALTER TABLE reverts ADD COLUMN IF NOT EXISTS restored String CODEC(ZSTD(1)) AFTER exempt; -- whose version came back
ALTER TABLE reverts ADD COLUMN IF NOT EXISTS sequence UInt64 AFTER source; -- as sequence of edits
