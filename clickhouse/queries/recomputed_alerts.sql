-- The rows of `alerts` as SQL computes them from `reverts` and `edits`: the definition that the stream must agree with.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param source: only this one: live, replay-NAME or wargame-SEED; none: all [default ]
WITH
    toIntervalSecond(86400) AS memory, -- as in services/worker/state.py, like 128 below: REVISIONS
    -- what is raised looks a day back for reverts, and for what was raised then: each of those does so too
    toIntervalSecond(2 * (86400 + 7200)) AS recall,
    toIntervalSecond(7200) AS disorder, -- as in resolved_reverts.sql
    marks AS
    (
        SELECT
            source, wiki, server_name, title, namespace, sequence, rev_id, reverter AS user, reverter_actor AS actor,
            exempt != '' AS claims
        FROM reverts FINAL
        WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')} - recall)
            AND toStartOfHour(timestamp) <= toStartOfHour({until:DateTime('UTC')} + disorder)
            AND {source:String} IN ('', source)
            AND NOT self_revert
    ),
    candidates AS
    (
        SELECT source, wiki, title, user
        FROM marks
        GROUP BY source, wiki, title, user
        HAVING count() >= 3
    ),
    -- An editor's changes between which nobody else changed the page are one stretch. Its reverts count as one.
    revisions AS
    (
        SELECT
            *,
            row_number() OVER (PARTITION BY source, wiki, title ORDER BY sequence) AS number,
            number - row_number() OVER (PARTITION BY source, wiki, title, user ORDER BY sequence) AS stretch
        FROM
        (
            SELECT source, wiki, title, user, timestamp, shard, sequence
            FROM edits FINAL
            WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')} - recall)
                AND toStartOfHour(timestamp) <= toStartOfHour({until:DateTime('UTC')} + disorder)
                AND NOT late
                AND type != 'log'
                AND (source, wiki, title) IN (SELECT source, wiki, title FROM candidates)
        )
    ),
    counted AS
    (
        SELECT
            *,
            arrayFilter(
                revert -> revert.number > toInt64(number) - 128
                    AND revert.timestamp > timestamp - memory
                    AND revert.timestamp <= timestamp,
                groupArray(CAST((number, stretch, timestamp, claims, rev_id),
                    'Tuple(number Int64, stretch Int64, timestamp DateTime(\'UTC\'), claims Bool, rev_id UInt64)')) OVER (
                    PARTITION BY source, wiki, title, user ORDER BY sequence ROWS BETWEEN 127 PRECEDING AND CURRENT ROW
                )
            ) AS cases,
            arrayDistinct(cases.stretch) AS stretches,
            length(stretches) AS reverts,
            if(reverts < 3, 0, least(reverts, 4)) AS level
        FROM revisions
        INNER JOIN marks USING (source, wiki, title, user, sequence)
        WHERE (source, wiki, title, user) IN (SELECT source, wiki, title, user FROM candidates)
    ),
    watched AS
    (
        SELECT
            *,
            maxIf(timestamp, level >= 3) OVER before AS warned, -- when the editor last was as high
            maxIf(timestamp, level = 4) OVER before AS breached
        FROM counted
        WINDOW before AS (
            PARTITION BY source, wiki, title, user ORDER BY sequence ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    )
SELECT
    -- stable_id() in services/worker/battles.py
    toUUID(UUIDNumToString(toFixedString(substring(SHA256(arrayStringConcat(
        [kind, source, wiki, title, user, toString(rev_id)], '\0')), 1, 16), 16))) AS alert_id,
    if(level = 4, 'three_revert_breach', 'three_revert_warning') AS kind,
    source,
    wiki,
    server_name,
    title,
    namespace,
    user,
    actor,
    timestamp AS raised,
    reverts,
    arrayCount(one -> arrayAll(revert -> revert.stretch != one OR revert.claims, cases), stretches) AS exempt_claims,
    arrayMap(one -> arrayFirst(revert -> revert.stretch = one, cases).rev_id, stretches) AS rev_ids,
    concat(
        user, ' made ', toString(reverts), ' reverts within 24 hours',
        if(exempt_claims = 0, '', concat(', ', toString(exempt_claims), ' of them claimed as exempt')), ': ',
        if(level = 4, 'the rule allows three', 'one more breaks the three-revert rule'), '.') AS detail,
    shard,
    1 AS version
FROM watched
WHERE level >= 3
    AND if(level = 4, breached, warned) <= timestamp - memory
    AND timestamp >= {since:DateTime('UTC')}
    AND timestamp < {until:DateTime('UTC')}
