-- Battles of a range with their phase at its end: brewing, war, ceasefire or ended; the fiercest first.
-- uses battles_then
-- param since: begin of the range: what had ended before it is left out [default now-1h]
-- param until: end of the range, and the moment whose phase is told [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param brewing: 1: battles too that have not become wars, with two alternations so far [default 0]
-- param battle: only this one, by its id, whenever it was; none: all [default ]
-- param title: only on the page of this title; none: all [default ]
-- param fighter: only such that this editor fights in; none: all [default ]
-- param newest: 1: the newest wars first, not the fiercest [default 0]
-- param limit: at most this many battles [default 50]
WITH
    {until:DateTime('UTC')} AS until,
    {since:DateTime('UTC')} AS since,
    toIntervalDay(1) AS silence, -- as SILENCE in services/worker/battles.py
    toIntervalHour(1) AS calm,
    12 AS steps, -- of `course`
    candidates AS
    (
        SELECT *, ended_by IN ('protection', 'deletion') AND ended < until AS stopped
        FROM battles_then
        WHERE if({battle:String} != '', battle_id = toUUIDOrZero({battle:String}),
            opened < until
            AND updated >= since - silence
            AND ({brewing:UInt32} != 0 OR ifNull(declared < until, false))
            AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
            AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
            AND {title:String} IN ('', title)
            AND ({fighter:String} = '' OR has(fighters.name, {fighter:String})))
    ),
    -- A block is logged on the fighter's own user page, so the page's shard never sees it. It ended the battle if it
    -- came after the newest revert: where reverts went on, it did not.
    blocks AS
    (
        SELECT battle_id, min(timestamp) AS blocked
        FROM
        (
            SELECT source, wiki, editor AS fighter, timestamp
            FROM editor_blocks
            WHERE timestamp < until
        ) AS entries
        INNER JOIN
        (
            SELECT battle_id, source, wiki, arrayJoin(fighters.name) AS fighter, updated
            FROM candidates
        ) AS fighting USING (source, wiki, fighter)
        WHERE timestamp >= updated AND timestamp <= updated + silence
        GROUP BY battle_id
    ),
    -- The battles to be shown. As one value, since a table would be computed anew wherever it is named.
    (
        SELECT groupArray((
            battle_id, source, wiki, server_name, title, namespace, page_kind, phase, ended_by, ended_at, opened, declared,
            updated, alternations, reverts, exempt_claims, edits, intensity, editors, pairs, fighters))
        FROM
        (
            SELECT
                *,
                multiIf(
                    isNotNull(ended_at), 'ended',
                    isNull(declared) OR declared >= until, 'brewing',
                    updated + calm < until, 'ceasefire',
                    'war') AS phase,
                multiIf(
                    stopped AND (isNull(blocked) OR candidates.ended <= blocked), candidates.ended_by,
                    isNotNull(blocked), 'block',
                    updated + silence < until, 'silence',
                    '') AS ended_by,
                multiIf(
                    ended_by = '', NULL,
                    ended_by = 'block', blocked,
                    ended_by = 'silence', updated,
                    candidates.ended) AS ended_at
            FROM candidates
            LEFT JOIN (SELECT battle_id, toNullable(blocked) AS blocked FROM blocks) AS blocks USING (battle_id)
            WHERE {battle:String} != '' OR ifNull(ended_at >= since, true)
            ORDER BY
                if({newest:UInt32} != 0, declared, NULL) DESC, intensity DESC, reverts DESC, updated DESC, battle_id
            LIMIT {limit:UInt32}
        )
    ) AS shown,
    -- When the pages were reverted in the range. Rows of one key are of one page: so pages may be chosen before FINAL.
    reverted AS
    (
        SELECT source, page_hash, groupArray(timestamp) AS moments
        FROM reverts FINAL
        PREWHERE page_hash IN (SELECT cityHash64(battle.3, battle.5) FROM (SELECT arrayJoin(shown) AS battle))
        WHERE timestamp >= since
            AND timestamp < until
            AND NOT self_revert
        GROUP BY source, page_hash
    ),
    arrayMap(
        moment -> intDiv((moment - since) * steps, until - since),
        arrayFilter(moment -> moment >= opened, moments)) AS twelfths,
    arrayMap(step -> toUInt64(countEqual(twelfths, step)), range(steps)) AS course
SELECT
    battle.1 AS battle_id,
    source,
    battle.3 AS wiki,
    battle.4 AS server_name,
    battle.5 AS title,
    battle.6 AS namespace,
    battle.7 AS page_kind,
    battle.8 AS phase,
    battle.9 AS ended_by,
    battle.10 AS ended_at,
    battle.11 AS opened,
    battle.12 AS declared,
    battle.13 AS updated,
    battle.14 AS alternations,
    battle.15 AS reverts,
    battle.16 AS exempt_claims,
    battle.17 AS edits,
    battle.18 AS intensity,
    battle.19 AS editors,
    battle.20 AS pairs,
    battle.21 AS fighters,
    course -- reverts in each twelfth of the range
FROM (SELECT arrayJoin(shown) AS battle, battle.2 AS source, cityHash64(battle.3, battle.5) AS page_hash) AS found
LEFT JOIN reverted USING (source, page_hash)
ORDER BY if({newest:UInt32} != 0, declared, NULL) DESC, intensity DESC, reverts DESC, updated DESC, battle_id
