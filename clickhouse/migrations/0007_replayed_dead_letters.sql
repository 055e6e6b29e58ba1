-- When `battlefield replay-dead-letters` sent it again, because the reader of today accepts it; none: it is still dead.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS replayed Nullable(DateTime('UTC')) AFTER source_offset;
