-- Who fights in a battle: side, edits, reverts, and the highest alert of the three-revert watch; the busiest first.
-- uses battles_then
WITH
    -- as one value, since a table would be computed anew wherever it is named
    (SELECT groupArray((server_name, source, wiki, title, opened, updated, fighters)) FROM battles_then) AS found
SELECT
    battle.1 AS server_name,
    fighter.name AS name,
    fighter.actor AS actor,
    fighter.side AS side,
    fighter.edits AS edits,
    fighter.reverts AS reverts,
    fighter.reverted AS reverted,
    watched.alert AS alert, -- '', three_revert_warning, three_revert_breach
    watched.exempt_claims AS exempt_claims -- of the reverts behind the alert
FROM (SELECT arrayJoin(found) AS battle, battle.7 AS fighters) AS fought
ARRAY JOIN fighters AS fighter
LEFT JOIN
(
    SELECT
        user AS name,
        argMax(kind, (alerts.reverts, raised)) AS alert,
        argMax(alerts.exempt_claims, (alerts.reverts, raised)) AS exempt_claims
    FROM alerts FINAL
    WHERE toStartOfHour(raised) >= toStartOfHour(arrayMin(battle -> battle.5, found))
        AND toStartOfHour(raised) <= toStartOfHour(arrayMax(battle -> battle.6, found))
        AND (source, wiki, title) IN (SELECT battle.2, battle.3, battle.4 FROM (SELECT arrayJoin(found) AS battle))
        AND raised >= arrayMin(battle -> battle.5, found)
        AND raised <= arrayMax(battle -> battle.6, found)
    GROUP BY name
) AS watched ON watched.name = fighter.name
ORDER BY reverts DESC, reverted DESC, edits DESC, name
