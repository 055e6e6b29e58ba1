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
    evidence,
    target,
    self_revert,
    exempt,
    restored,
    comment,
    shard,
    source,
    sequence,
    if(evidence = 'declared', 2, 1) AS version
FROM resolved_reverts
ORDER BY sequence DESC -- a page may have forgotten the first of two changes of one revision: the row is the later one's
LIMIT 1 BY toStartOfHour(timestamp), wiki, title, rev_id, source
