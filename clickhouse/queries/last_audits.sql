-- What the last audit of each source found.
SELECT
    source,
    max(audits.started) AS started,
    argMax(since, audits.started) AS since,
    argMax(until, audits.started) AS until,
    argMax(passed, audits.started) AS passed,
    argMax(changes, audits.started) AS changes,
    argMax(late, audits.started) AS late,
    argMax(mismatches, audits.started) AS mismatches,
    argMax(gaps, audits.started) AS gaps,
    argMax(unstored, audits.started) AS unstored,
    argMax(seconds, audits.started) AS seconds
FROM audits
GROUP BY source
ORDER BY source
