-- What Wikimedia itself declares of a revision (stream mediawiki.revision-create), as the producer joined it to the edit.
ALTER TABLE edits ADD COLUMN IF NOT EXISTS declared_method LowCardinality(String) AFTER claim_exempt; -- '', undo, rollback, manual
ALTER TABLE edits ADD COLUMN IF NOT EXISTS declared_rev_ids Array(UInt64) AFTER declared_method; -- reverted revisions, the oldest first
