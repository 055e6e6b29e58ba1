-- Edits of a battle's page, with side and revert, from an hour before its first revert to an hour after its newest; newest first.
-- uses one_battle
-- param until: only what was before [default now]
-- param limit: at most this many edits, the newest [default 1000]
SELECT
    timestamp,
    edits.server_name AS server_name,
    rev_id,
    user,
    actor,
    arrayFirst(fighter -> fighter.name = user, (SELECT groupArrayArray(fighters) FROM one_battle)).side AS side, -- first, second, ''
    type,
    length_old,
    length_new,
    comment,
    reverted, -- '': nobody, or not known
    reverted_rev_id,
    method, -- '': no revert of another
    claim_exempt AS exempt -- what exemption from the three-revert rule the comment claims
FROM edits FINAL
LEFT JOIN
(
    SELECT source, wiki, title, rev_id, reverted, reverted_rev_id, method
    FROM reverts FINAL
    WHERE toStartOfHour(timestamp) >= (SELECT toStartOfHour(opened - toIntervalHour(1)) FROM one_battle)
        AND toStartOfHour(timestamp) <= (SELECT toStartOfHour(updated + toIntervalHour(1)) FROM one_battle)
        AND (source, wiki, title) IN (SELECT source, wiki, title FROM one_battle)
        AND timestamp < {until:DateTime('UTC')}
        AND NOT self_revert
) AS made USING (source, wiki, title, rev_id)
WHERE toStartOfHour(timestamp) >= (SELECT toStartOfHour(opened - toIntervalHour(1)) FROM one_battle)
    AND toStartOfHour(timestamp) <= (SELECT toStartOfHour(updated + toIntervalHour(1)) FROM one_battle)
    AND timestamp >= (SELECT opened - toIntervalHour(1) FROM one_battle)
    AND timestamp <= (SELECT updated + toIntervalHour(1) FROM one_battle)
    AND (source, wiki, title) IN (SELECT source, wiki, title FROM one_battle)
    AND timestamp < {until:DateTime('UTC')}
    AND type != 'log'
ORDER BY timestamp DESC, sequence DESC
LIMIT {limit:UInt32}
