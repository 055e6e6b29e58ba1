-- The rows of `fronts` as SQL computes them from `edits`: the definition that the stream must agree with.
-- uses resolved_reverts
-- param since: begin of the range; windows that lie wholly in it are computed [default now-1h]
-- param until: end of the range [default now]
-- param source: only this one: live, replay-NAME or wargame-SEED; none: all [default ]
SELECT
    toStartOfInterval(timestamp, toIntervalSecond(10)) AS window_start,
    wiki,
    shard,
    actor,
    source,
    sum(edited) AS edits,
    sum(created) AS creations,
    sum(reverting) AS reverts,
    sum(hit) AS reverted,
    sum(greatest(grown, 0)) AS bytes_added,
    sum(greatest(-grown, 0)) AS bytes_removed,
    edits + reverted AS version
FROM
(
    SELECT
        timestamp, wiki, shard, actor, source,
        1 AS edited,
        type = 'new' AS created,
        0 AS reverting,
        0 AS hit,
        -- 0 where a size is missing, all of it for a new page
        if(length_new IS NULL OR (length_old IS NULL AND type != 'new'), 0,
            toInt64(assumeNotNull(length_new)) - toInt64(ifNull(length_old, 0))) AS grown
    FROM edits FINAL
    WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
        AND toStartOfHour(timestamp) <= toStartOfHour({until:DateTime('UTC')})
        AND timestamp >= {since:DateTime('UTC')}
        AND timestamp < {until:DateTime('UTC')}
        AND NOT late
        AND type != 'log'
        AND {source:String} IN ('', source)
    UNION ALL
    -- once for the class of the one who reverts, once for that of the one who is reverted
    SELECT
        timestamp, wiki, shard, side.1 AS actor, source,
        0 AS edited,
        0 AS created,
        side.2 AS reverting,
        NOT side.2 AS hit,
        0 AS grown
    FROM resolved_reverts
    ARRAY JOIN [(reverter_actor, true), (reverted_actor, false)] AS side
    WHERE NOT self_revert AND actor != ''
)
GROUP BY window_start, wiki, shard, actor, source
HAVING window_start >= {since:DateTime('UTC')}
    AND window_start + toIntervalSecond(10) <= {until:DateTime('UTC')}
