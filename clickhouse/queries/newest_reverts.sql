-- The newest reverts of others in a range, newest first.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many reverts [default 20]
SELECT
    timestamp,
    wiki,
    server_name,
    namespace,
    title,
    rev_id,
    reverter,
    reverter_actor,
    reverted,
    reverted_actor,
    seconds_to_revert,
    method,
    evidence,
    target,
    comment
FROM reverts FINAL
WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
    AND timestamp >= {since:DateTime('UTC')}
    AND timestamp < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
    AND NOT self_revert
ORDER BY timestamp DESC, rev_id DESC
LIMIT {limit:UInt32}
