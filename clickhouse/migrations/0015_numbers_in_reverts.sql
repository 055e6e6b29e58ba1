-- Page and editors of a revert as numbers. What a month's reverts count up to is asked by page, by pair and by editor, two
-- million of them, nearly all with one revert: their names as keys cost ten times what these do.
--
-- ClickHouse computes them, also for rows of before, so no one who writes `reverts` knows of them.
ALTER TABLE reverts ADD COLUMN IF NOT EXISTS page_hash UInt64 MATERIALIZED cityHash64(wiki, title);
ALTER TABLE reverts ADD COLUMN IF NOT EXISTS reverter_hash UInt64 MATERIALIZED cityHash64(reverter);
ALTER TABLE reverts ADD COLUMN IF NOT EXISTS reverted_hash UInt64 MATERIALIZED cityHash64(reverted);
ALTER TABLE reverts MATERIALIZE COLUMN page_hash;
ALTER TABLE reverts MATERIALIZE COLUMN reverter_hash;
ALTER TABLE reverts MATERIALIZE COLUMN reverted_hash;
