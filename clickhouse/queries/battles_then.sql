-- Battles as they were at a moment: of those that went on after it, what their reverts and edits up to then tell.
-- param until: the moment [default now]
-- param battle: only this one, by its id; none: all [default ]
WITH
    {until:DateTime('UTC')} AS until,
    toIntervalDay(1) AS memory, -- as MEMORY in services/worker/state.py
    known AS
    (
        SELECT *
        FROM battles FINAL
        WHERE opened < until AND ({battle:String} = '' OR battle_id = toUUIDOrZero({battle:String}))
    ),
    -- Those that went on afterwards, few and mostly none. As one value, since a table would be read anew wherever it is
    -- named.
    (
        SELECT groupArray((battle_id, source, wiki, title, opened, fighters.name))
        FROM known
        WHERE updated >= until
    ) AS went_on,
    if(empty(went_on), until, arrayMin(fight -> fight.5, went_on)) AS earliest,
    going AS
    (
        SELECT
            fight.1 AS battle_id, fight.2 AS source, fight.3 AS wiki, fight.4 AS title, fight.5 AS opened, fight.6 AS names
        FROM (SELECT arrayJoin(went_on) AS fight)
    ),
    -- their reverts up to then, in order: when, which, by whom, of whom
    struck AS
    (
        SELECT battle_id, arraySort(groupArray((timestamp, rev_id, reverter, reverted))) AS marks
        FROM reverts FINAL
        INNER JOIN going USING (source, wiki, title)
        -- before FINAL, here and below: the rows of one key are of one page
        PREWHERE page_hash IN (SELECT cityHash64(wiki, title) FROM going)
        WHERE toStartOfHour(timestamp) >= toStartOfHour(earliest)
            AND toStartOfHour(timestamp) <= toStartOfHour(until)
            AND timestamp >= opened
            AND timestamp < until
            AND NOT self_revert
            AND reverted != ''
            AND has(names, reverter)
        GROUP BY battle_id
    ),
    edited AS
    (
        SELECT
            battle_id,
            countIf(timestamp >= opened) AS edits,
            sumMap(map(user, toUInt32(1))) AS edits_of,
            groupArrayIf(rev_id, claim_exempt != '') AS exempt
        FROM edits FINAL
        INNER JOIN going USING (source, wiki, title)
        -- The same title stands on many wikis: where only the whole page decides, the other columns are read for few
        -- blocks. The two parts of it before cost less for each row.
        PREWHERE wiki IN (SELECT wiki FROM going)
            AND title IN (SELECT title FROM going)
            AND (wiki, title) IN (SELECT wiki, title FROM going)
        WHERE toStartOfHour(timestamp) >= toStartOfHour(earliest - memory)
            AND toStartOfHour(timestamp) <= toStartOfHour(until)
            AND timestamp >= opened - memory
            AND timestamp < until
            AND type != 'log'
            AND NOT late
        GROUP BY battle_id
    ),
    -- the chain in which each revert hits the author of an earlier one, as remember_mark() in services/worker/battles.py
    arrayFold(
        (chain, mark) -> arrayPushBack(chain, (mark.1, mark.3, toUInt32(1 + arrayMax(arrayConcat([toUInt32(0)], arrayMap(
            earlier -> if(earlier.2 = mark.4 AND earlier.1 > mark.1 - memory, earlier.3, toUInt32(0)), chain)))))),
        marks,
        CAST([], 'Array(Tuple(DateTime(\'UTC\'), String, UInt32))')) AS chain,
    -- mutual_pairs() and intensity() there
    arrayDistinct(arrayMap(mark -> (mark.3, mark.4), marks)) AS hits,
    arraySort(pair -> (-toInt64(pair.3), pair.1, pair.2), arrayMap(
        hit -> (hit.1, hit.2, least(edits_of[hit.1], edits_of[hit.2])),
        arrayFilter(hit -> hit.1 < hit.2 AND has(hits, (hit.2, hit.1)), hits))) AS mutual,
    length(arrayDistinct(arrayFlatten(arrayMap(pair -> [pair.1, pair.2], mutual)))) AS in_pairs,
    -- Of those that went on. As one value too: where another query names this one twice, all of it would be read twice.
    (
        SELECT groupArray((
            battle_id, source, wiki, server_name, title, namespace, page_kind, opened, declared, updated, ended, ended_by,
            alternations, reverts, exempt_claims, edits, intensity, editors, pairs, fighters))
        FROM
        (
            SELECT
                battle_id, source, wiki, server_name, title, namespace, page_kind, opened,
                if(declared < until, declared, NULL) AS declared,
                if(empty(marks), opened, marks[-1].1) AS updated,
                CAST(NULL, 'Nullable(DateTime(\'UTC\'))') AS ended,
                '' AS ended_by,
                toUInt32(arrayMax(arrayConcat([toUInt32(0)], arrayMap(link -> link.3, chain)))) AS alternations,
                toUInt32(length(marks)) AS reverts,
                toUInt32(arrayCount(mark -> has(exempt, mark.2), marks)) AS exempt_claims,
                toUInt32(edited.edits) AS edits,
                toUInt64(in_pairs * arraySum(arraySlice(arrayMap(pair -> pair.3, mutual), 2))) AS intensity,
                toUInt32(in_pairs) AS editors,
                CAST(mutual, 'Array(Tuple(a String, b String, weight UInt32))') AS pairs,
                CAST(
                    arrayMap(
                        fighter -> (fighter.name, fighter.actor, fighter.side, edits_of[fighter.name],
                            toUInt32(arrayCount(mark -> mark.3 = fighter.name, marks)),
                            toUInt32(arrayCount(mark -> mark.4 = fighter.name, marks))),
                        arrayFilter(
                            fighter -> arrayExists(mark -> mark.3 = fighter.name OR mark.4 = fighter.name, marks),
                            then.fighters)),
                    'Array(Tuple(name String, actor String, side String, edits UInt32, reverts UInt32, reverted UInt32))') AS fighters
            FROM (SELECT * FROM known WHERE notEmpty(went_on) AND updated >= until) AS then
            LEFT JOIN struck USING (battle_id)
            LEFT JOIN edited USING (battle_id)
        )
    ) AS restored
SELECT
    battle_id, source, wiki, server_name, title, namespace, page_kind, opened, declared, updated, ended, ended_by,
    alternations, reverts, exempt_claims, edits, intensity, editors, pairs, fighters
FROM known
WHERE updated < until
UNION ALL
SELECT
    battle.1 AS battle_id,
    battle.2 AS source,
    battle.3 AS wiki,
    battle.4 AS server_name,
    battle.5 AS title,
    battle.6 AS namespace,
    battle.7 AS page_kind,
    battle.8 AS opened,
    battle.9 AS declared,
    battle.10 AS updated,
    battle.11 AS ended,
    battle.12 AS ended_by,
    battle.13 AS alternations,
    battle.14 AS reverts,
    battle.15 AS exempt_claims,
    battle.16 AS edits,
    battle.17 AS intensity,
    battle.18 AS editors,
    battle.19 AS pairs,
    battle.20 AS fighters
FROM (SELECT arrayJoin(restored) AS battle)
