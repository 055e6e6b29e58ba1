-- Who fights in a battle: side, edits, reverts, and the highest alert of the three-revert watch; the busiest first.
-- uses battles_then
SELECT
    server_name,
    fighter.name AS name,
    fighter.actor AS actor,
    fighter.side AS side,
    fighter.edits AS edits,
    fighter.reverts AS reverts,
    fighter.reverted AS reverted,
    watched.alert AS alert, -- '', three_revert_warning, three_revert_breach
    watched.exempt_claims AS exempt_claims -- of the reverts behind the alert
FROM battles_then
ARRAY JOIN fighters AS fighter
LEFT JOIN
(
    SELECT
        user AS name,
        argMax(kind, (alerts.reverts, raised)) AS alert,
        argMax(alerts.exempt_claims, (alerts.reverts, raised)) AS exempt_claims
    FROM alerts FINAL
    WHERE toStartOfHour(raised) >= (SELECT toStartOfHour(minOrNull(opened)) FROM battles_then)
        AND toStartOfHour(raised) <= (SELECT toStartOfHour(maxOrNull(updated)) FROM battles_then)
        AND (source, wiki, title) IN (SELECT source, wiki, title FROM battles_then)
        AND raised >= (SELECT minOrNull(opened) FROM battles_then)
        AND raised <= (SELECT maxOrNull(updated) FROM battles_then)
    GROUP BY name
) AS watched ON watched.name = fighter.name
ORDER BY reverts DESC, reverted DESC, edits DESC, name
