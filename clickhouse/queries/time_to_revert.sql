-- How long edits stood until they were reverted, as numbers of reverts by span and by who reverted; where the edit is known.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
SELECT
    reverter_actor AS actor,
    arrayFirst(bound -> seconds_to_revert <= bound, [10, 30, 60, 300, 900, 3600, 21600, 4294967295]) AS up_to, -- seconds
    count() AS reverts
FROM reverts FINAL
WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
    AND timestamp >= {since:DateTime('UTC')}
    AND timestamp < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
    AND NOT self_revert
    AND isNotNull(seconds_to_revert)
GROUP BY actor, up_to
ORDER BY actor, up_to
