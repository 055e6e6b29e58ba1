-- Who fights in a battle: side, edits, reverts, and the highest alert of the three-revert watch; the busiest first.
-- uses one_battle
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
FROM one_battle
ARRAY JOIN fighters AS fighter
LEFT JOIN
(
    SELECT
        user AS name,
        argMax(kind, (alerts.reverts, raised)) AS alert,
        argMax(alerts.exempt_claims, (alerts.reverts, raised)) AS exempt_claims
    FROM alerts FINAL
    WHERE toStartOfHour(raised) >= (SELECT toStartOfHour(opened) FROM one_battle)
        AND toStartOfHour(raised) <= (SELECT toStartOfHour(updated) FROM one_battle)
        AND (source, wiki, title) IN (SELECT source, wiki, title FROM one_battle)
        AND raised >= (SELECT opened FROM one_battle)
        AND raised <= (SELECT updated FROM one_battle)
    GROUP BY name
) AS watched ON watched.name = fighter.name
ORDER BY reverts DESC, reverted DESC, edits DESC, name
