-- Log entries of a battle's page and blocks of its fighters, from its first revert to a day after its newest; oldest first.
-- uses one_battle
-- param until: only what was before [default now]
SELECT
    timestamp,
    edits.server_name AS server_name,
    log_type,
    log_action,
    namespace,
    title,
    if(log_type = 'block', substring(title, position(title, ':') + 1), '') AS fighter,
    user,
    comment
FROM edits FINAL
WHERE toStartOfHour(timestamp) >= (SELECT toStartOfHour(opened) FROM one_battle)
    AND toStartOfHour(timestamp) <= (SELECT toStartOfHour(updated + toIntervalDay(1)) FROM one_battle)
    AND timestamp >= (SELECT opened FROM one_battle)
    AND timestamp <= (SELECT updated + toIntervalDay(1) FROM one_battle)
    AND timestamp < {until:DateTime('UTC')}
    AND type = 'log'
    AND (source, wiki) IN (SELECT source, wiki FROM one_battle)
    AND (title IN (SELECT title FROM one_battle)
        OR (log_type = 'block' AND namespace = 2
            AND substring(title, position(title, ':') + 1) IN (SELECT arrayJoin(fighters.name) FROM one_battle)))
ORDER BY timestamp, sequence
