-- What people, bots and temporary accounts did in a range.
-- uses tallies
SELECT
    actor,
    sum(tallies.edits) AS edits,
    sum(tallies.creations) AS creations,
    sum(tallies.reverts) AS reverts,
    sum(tallies.reverted) AS reverted,
    sum(tallies.bytes_added) AS bytes_added,
    sum(tallies.bytes_removed) AS bytes_removed
FROM tallies
GROUP BY actor
ORDER BY actor
