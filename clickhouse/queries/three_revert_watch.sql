-- Who came up to the three-revert rule or broke it: one row per editor and page with the highest alert, breaches first.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param title: only on the page of this title; none: all [default ]
-- param user: only of this editor; none: all [default ]
-- param limit: at most this many rows [default 100]
SELECT
    wiki,
    any(alerts.server_name) AS server_name,
    any(alerts.namespace) AS namespace,
    title,
    user,
    any(alerts.actor) AS actor,
    argMax(alerts.kind, (alerts.reverts, alerts.raised)) AS kind, -- three_revert_warning, three_revert_breach
    max(alerts.reverts) AS reverts, -- within 24 h, consecutive ones once
    argMax(alerts.exempt_claims, (alerts.reverts, alerts.raised)) AS exempt_claims,
    argMax(alerts.rev_ids, (alerts.reverts, alerts.raised)) AS rev_ids, -- the reverts that make the case, oldest first
    argMax(alerts.raised, (alerts.reverts, alerts.raised)) AS raised
FROM alerts FINAL
WHERE toStartOfHour(alerts.raised) >= toStartOfHour({since:DateTime('UTC')})
    AND alerts.raised >= {since:DateTime('UTC')}
    AND alerts.raised < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, alerts.namespace))
    AND {title:String} IN ('', title)
    AND {user:String} IN ('', user)
GROUP BY source, wiki, title, user
ORDER BY kind = 'three_revert_breach' DESC, raised DESC, wiki, title, user
LIMIT {limit:UInt32}
