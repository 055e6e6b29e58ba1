-- Wars and breaches of the three-revert rule that the webhook is still to be told of, the oldest first.
-- param since: only what happened from then on, by its own time; what happened before announcing began never counts [default now-1h]
-- param limit: at most this many [default 100]
WITH
    greatest({since:DateTime('UTC')}, ifNull(
        (SELECT minOrNull(moment) FROM announcements FINAL WHERE outcome = 'begun'), {since:DateTime('UTC')})) AS since
SELECT
    incident_id,
    kind, -- battle_opened, three_revert_breach
    moment,
    incidents.source AS source,
    wiki,
    server_name,
    namespace,
    title,
    user, -- who broke the rule, '' for a battle
    editors, -- who fights, none for a breach
    began, -- a battle's first revert
    reverts,
    exempt_claims,
    rev_ids, -- the reverts that make the case, oldest first, none for a battle
    told.attempts AS attempts -- so far
FROM
(
    SELECT
        battle_id AS incident_id, 'battle_opened' AS kind, assumeNotNull(declared) AS moment, source, wiki, server_name,
        namespace, title, '' AS user, fighters.name AS editors, opened AS began, reverts, exempt_claims,
        CAST([], 'Array(UInt64)') AS rev_ids
    FROM battles FINAL
    WHERE isNotNull(declared) AND declared >= since
    UNION ALL
    SELECT
        alert_id, kind, raised, source, wiki, server_name,
        namespace, title, user, CAST([], 'Array(String)'), raised, reverts, exempt_claims,
        rev_ids
    FROM alerts FINAL
    WHERE toStartOfHour(raised) >= toStartOfHour(since) AND raised >= since AND kind = 'three_revert_breach'
) AS incidents
LEFT JOIN (SELECT incident_id, outcome, attempts FROM announcements FINAL) AS told USING (incident_id)
WHERE told.outcome IN ('', 'failed')
ORDER BY moment, incident_id
LIMIT {limit:UInt32}
