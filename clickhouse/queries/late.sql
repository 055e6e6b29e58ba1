-- Changes that came after their window had closed, by wiki: stored, but not in the fronts.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many wikis [default 20]
SELECT
    wiki,
    uniqExact(meta_id) AS changes, -- exact over rows that are not merged yet
    max(timestamp) AS newest
FROM edits
WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
    AND timestamp >= {since:DateTime('UTC')}
    AND timestamp < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
    AND late
GROUP BY wiki
ORDER BY changes DESC, wiki
LIMIT {limit:UInt32}
