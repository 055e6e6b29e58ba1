-- How many reverts hit temporary accounts and people per wiki, beside their edits; the wikis with most temporary edits first.
-- uses tallies
-- param limit: at most this many wikis [default 15]
SELECT
    wiki,
    sumIf(tallies.edits, actor = 'temporary') AS temporary_edits,
    sumIf(tallies.reverted, actor = 'temporary') AS temporary_reverted,
    sumIf(tallies.edits, actor = 'person') AS person_edits,
    sumIf(tallies.reverted, actor = 'person') AS person_reverted
FROM tallies
GROUP BY wiki
HAVING temporary_edits > 0
ORDER BY temporary_edits DESC, wiki
LIMIT {limit:UInt32}
