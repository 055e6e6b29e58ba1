-- The rows of `reverts` as SQL computes them from `edits`: the definition that the stream must agree with.
-- uses resolved_reverts
SELECT
    wiki,
    server_name,
    title,
    namespace,
    timestamp,
    rev_id,
    reverter,
    reverter_actor,
    reverted,
    reverted_actor,
    reverted_rev_id,
    seconds_to_revert,
    method,
    'summary' AS evidence,
    target,
    self_revert,
    comment,
    shard,
    source,
    1 AS version
FROM resolved_reverts
ORDER BY sequence DESC -- one revision can come as two changes, with ids of their own: the row is the later one's
LIMIT 1 BY toStartOfHour(timestamp), wiki, title, rev_id, source
