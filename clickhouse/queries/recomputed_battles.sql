-- The rows of `battles` as SQL computes them from `reverts` and `edits`, of those that lie wholly in a range: the definition that the stream must agree with.
-- param since: begin of the range: a battle's first revert is not before it [default now-1d]
-- param until: end of the range: a battle's newest answer is before it [default now]
-- param source: only this one: live, replay-NAME or wargame-SEED; none: all [default ]
WITH
    -- As in services/worker: MEMORY and SILENCE, 86,400 s. MARKS, 64. REVISIONS, 128. MOST_FIGHTERS, 200.
    toIntervalSecond(86400) AS memory,
    -- An answer looks a day back, and what it answers may itself be one. What arrived out of order (resolved_reverts.sql)
    -- must be read too. After the range a day tells whether a battle went on.
    {since:DateTime('UTC')} - toIntervalSecond(2 * (86400 + 7200)) AS first,
    {until:DateTime('UTC')} + toIntervalSecond(86400 + 7200) AS last,
    marks AS
    (
        SELECT
            source, wiki, server_name, title, namespace, shard, sequence, timestamp, rev_id,
            reverter, reverter_actor, reverted, reverted_actor, restored, exempt != '' AS claims
        FROM reverts FINAL
        WHERE toStartOfHour(timestamp) >= toStartOfHour(first)
            AND toStartOfHour(timestamp) <= toStartOfHour(last)
            AND {source:String} IN ('', source)
            AND NOT self_revert
            -- is_battlefield() and ROUTINE in services/worker/battles.py
            AND (namespace = 0 OR namespace NOT IN (2, 3) AND NOT multiSearchAny(lowerUTF8(title), [
            'sandbox', 'sandkasten', 'spielwiese', 'bac à sable', 'zona de prueba', 'pruebas', 'pagina delle prove',
            'песочница', 'サンドボックス', '沙盒', 'brudnopis', 'testes', 'zandbak', 'sandlåda', 'пісочниця', 'ملعب',
            'صفحه تمرین', 'bak pasir', '연습장', 'hiekkalaatikko', 'pískoviště', 'homokozó', 'noticeboard', 'incidents',
            'vandalism', 'administrator intervention', 'request for page protection', 'requests for page protection',
            'anfragen', 'teahouse', 'help desk', 'reference desk', 'for deletion', 'löschkandidaten', 'village pump']))
    ),
    -- Pages where somebody who reverted was reverted.
    candidates AS
    (
        SELECT source, wiki, title
        FROM marks
        GROUP BY source, wiki, title
        HAVING hasAny(groupUniqArray(reverter), groupUniqArray(reverted))
    ),
    -- Protections and deletions: what comes after one answers nothing before it, and it ends a battle.
    cuts AS
    (
        SELECT
            source, wiki, title,
            arraySort(groupArray((sequence, timestamp, if(log_type = 'delete', 'deletion', 'protection')))) AS page_cuts
        FROM edits FINAL
        WHERE toStartOfHour(timestamp) >= toStartOfHour(first)
            AND toStartOfHour(timestamp) <= toStartOfHour(last)
            AND NOT late
            AND type = 'log'
            AND (log_type = 'delete' AND log_action = 'delete'
                OR log_type IN ('protect', 'stable') AND log_action IN ('protect', 'modify', 'config'))
            AND (source, wiki, title) IN (SELECT source, wiki, title FROM candidates)
        GROUP BY source, wiki, title
    ),
    changes AS
    (
        SELECT source, wiki, title, arraySort(groupArray((sequence, user, timestamp))) AS page_changes
        FROM edits FINAL
        WHERE toStartOfHour(timestamp) >= toStartOfHour(first)
            AND toStartOfHour(timestamp) <= toStartOfHour(last)
            AND NOT late
            AND type != 'log'
            AND (source, wiki, title) IN (SELECT source, wiki, title FROM candidates)
        GROUP BY source, wiki, title
    ),
    -- A page's reverts, parted by its cuts and numbered in their part.
    numbered AS
    (
        SELECT
            * EXCEPT page_cuts,
            arrayCount(cut -> cut.1 < sequence, page_cuts) AS part,
            page_cuts[part + 1] AS cut, -- what ends the part
            row_number() OVER (PARTITION BY source, wiki, title, part ORDER BY sequence) AS number
        FROM marks
        LEFT JOIN cuts USING (source, wiki, title)
        WHERE (source, wiki, title) IN (SELECT source, wiki, title FROM candidates)
    ),
    -- Each with the first revert that it answers: one by the editor whom it hits, within a day.
    chained AS
    (
        SELECT
            *,
            CAST(
                (sequence, number, timestamp, rev_id, reverter, reverter_actor, reverted, reverted_actor, restored, claims),
                'Tuple(sequence UInt64, number Int64, timestamp DateTime(\'UTC\'), rev_id UInt64, reverter String, reverter_actor String, reverted String, reverted_actor String, restored String, claims Bool)'
            ) AS mark,
            groupArray(mark) OVER (
                PARTITION BY source, wiki, title, part ORDER BY sequence ROWS BETWEEN 64 PRECEDING AND 1 PRECEDING
            ) AS earlier,
            arrayFirstIndex(
                one -> one.reverter = reverted AND one.timestamp > timestamp - memory, earlier) AS place,
            reverted != '' AND place != 0 AS answers
        FROM numbered
    ),
    -- A battle opens with an answer when there was none for a day. What comes until the next one opens may be of it.
    followed AS
    (
        SELECT
            *,
            maxIf(timestamp, answers) OVER (
                PARTITION BY source, wiki, title, part ORDER BY sequence ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS newest,
            newest + memory >= timestamp AS alive
        FROM chained
    ),
    fought AS
    (
        SELECT
            *,
            sum(answers AND NOT alive) OVER (
                PARTITION BY source, wiki, title, part ORDER BY sequence ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS battle
        FROM followed
    ),
    battled AS
    (
        SELECT
            source, wiki, title, part, battle,
            any(server_name) AS server_name,
            any(namespace) AS namespace,
            any(shard) AS shard,
            any(cut) AS cut,
            min(sequence) AS opening,
            maxIf(timestamp, answers) AS updated,
            argMin(earlier[place], sequence) AS root,
            argMin(arraySlice(earlier, place + 1), sequence) AS between, -- root and opening
            arraySort(one -> one.1.sequence, groupArray((mark, answers, alive))) AS since_opening
        FROM fought
        WHERE battle > 0
        GROUP BY source, wiki, title, part, battle
    ),
    -- The editors in the order of their entry, with when that was. Others may revert each other and are not of it.
    entered AS
    (
        SELECT
            *,
            battle = max(battle) OVER (PARTITION BY source, wiki, title, part) AS is_last,
            arrayMap(one -> one.1, arrayFilter(one -> one.2, since_opening)) AS answering,
            arrayFilter(entry -> entry.1 != '', arrayFlatten(arrayMap(
                one -> [(one.reverter, one.sequence, one.reverter_actor), (one.reverted, one.sequence, one.reverted_actor)],
                arrayPushFront(answering, root)))) AS entries,
            arraySlice(arrayDistinct(entries.1), 1, 200) AS names,
            arrayMap(name -> arrayFirst(entry -> entry.1 = name, entries), names) AS told,
            arrayConcat(
                [root],
                arrayFilter(
                    one -> arrayExists(entry -> entry.1 = one.reverter AND entry.2 < one.sequence, told)
                        AND arrayExists(entry -> entry.1 = one.reverted AND entry.2 < one.sequence, told),
                    between),
                arrayMap(one -> one.1, arrayFilter(
                    one -> one.2 OR one.3
                        AND arrayExists(entry -> entry.1 = one.1.reverter AND entry.2 < one.1.sequence, told)
                        AND arrayExists(entry -> entry.1 = one.1.reverted AND entry.2 < one.1.sequence, told),
                    since_opening))
            ) AS members,
            -- how long the chain is that each answer is the last of
            arrayFold(
                (chains, one) -> arrayPushBack(chains, (
                    one.reverter, one.timestamp, one.number,
                    1 + arrayMax(arrayPushFront(
                        arrayMap(
                            chain -> chain.4,
                            arrayFilter(
                                chain -> chain.1 = one.reverted
                                    AND chain.2 > one.timestamp - memory
                                    AND chain.3 >= one.number - 64,
                                chains)),
                        toInt64(1))))),
                answering,
                CAST([], 'Array(Tuple(String, DateTime(\'UTC\'), Int64, Int64))')).4 AS chain_lengths,
            is_last AND cut.1 != 0 AND cut.2 <= updated + memory AS stopped
        FROM battled
    ),
    counted AS
    (
        SELECT
            *,
            if(stopped, cut.1, members[-1].sequence) AS end,
            arrayCount(change -> change.1 <= root.sequence, page_changes) AS first_number,
            arrayCount(change -> change.1 <= end, page_changes) AS last_number,
            -- an editor who enters brings his edits that the page still remembers
            arrayMap(
                entry -> arrayCount(
                    (change, change_number) -> change.2 = entry.1
                        AND change.3 > root.timestamp - memory
                        AND change_number > toInt64(arrayCount(
                            other -> other.1 <= greatest(entry.2, opening), page_changes)) - 128
                        AND change_number <= last_number,
                    page_changes, arrayEnumerate(page_changes)),
                told) AS fighter_edits,
            -- who reverts whom is against him, who restores whose version is with him: sides() in services/worker/battles.py
            arrayMap(one -> (one.reverter, one.reverted), members) AS hits,
            arrayMap(
                one -> (one.reverter, one.restored),
                arrayFilter(
                    one -> one.restored != one.reverter AND has(names, one.reverter)
                        AND arrayExists(entry -> entry.1 = one.restored AND entry.2 <= one.sequence, told),
                    members)) AS bonds,
            arrayMap(
                a -> arrayMap(
                    b -> toInt64(countEqual(bonds, (a, b)) + countEqual(bonds, (b, a)))
                        - 2 * toInt64(countEqual(hits, (a, b)) + countEqual(hits, (b, a))),
                    names),
                names) AS ties
        FROM entered
        LEFT JOIN changes USING (source, wiki, title)
    ),
    decided AS
    (
        SELECT
            *,
            -- again and again the editor whom those with a side pull hardest gets his
            arrayFold(
                (sides, step) -> arrayMap(
                    pulls -> arrayMap(
                        strengths -> arrayMap(
                            chosen -> arrayMap(
                                (side, pull, place) -> toInt64(if(place != chosen, side, if(pull >= 0, 1, -1))),
                                sides, pulls, arrayEnumerate(sides)),
                            [indexOf(strengths, arrayMax(strengths))])[1],
                        [arrayMap((side, pull) -> toInt64(if(side = 0, abs(pull), -1)), sides, pulls)])[1],
                    [arrayMap(row -> arraySum((tie, side) -> tie * side, row, sides), ties)])[1],
                names,
                arrayMap(name -> toInt64(0), names)) AS colours,
            arraySort(
                pair -> (-toInt64(pair.3), pair.1, pair.2),
                arrayFilter(
                    pair -> pair.1 < pair.2 AND has(hits, (pair.1, pair.2)) AND has(hits, (pair.2, pair.1)),
                    arrayFlatten(arrayMap(
                        (a, a_edits) -> arrayMap(
                            (b, b_edits) -> (a, b, least(a_edits, b_edits)), names, fighter_edits),
                        names, fighter_edits)))) AS mutual
        FROM counted
    )
SELECT
    toUUID(UUIDNumToString(toFixedString(substring(SHA256(arrayStringConcat(
        ['battle', source, wiki, title, toString(root.rev_id)], '\0')), 1, 16), 16))) AS battle_id,
    source,
    wiki,
    server_name,
    title,
    namespace,
    multiIf(bitAnd(namespace, 1) = 1, 'talk', namespace = 4, 'project', 'content') AS page_kind,
    multiIf(stopped, 'ended', war, 'war', 'brewing') AS phase,
    alternations >= 3 AS war,
    root.timestamp AS opened,
    if(war, answering[arrayFirstIndex(length -> length >= 3, chain_lengths)].timestamp, NULL) AS declared,
    updated,
    if(stopped, cut.2, NULL) AS ended,
    if(stopped, cut.3, '') AS ended_by,
    arrayMax(chain_lengths) AS alternations,
    length(members) AS reverts,
    arrayCount(one -> one.claims, members) AS exempt_claims,
    last_number - first_number + 1 AS edits,
    editors * arraySum(arraySlice(mutual.3, 2)) AS intensity,
    length(arrayDistinct(arrayConcat(mutual.1, mutual.2))) AS editors,
    mutual AS pairs,
    arrayMap(
        (entry, colour, made) -> (
            entry.1,
            if(entry.3 = '', 'person', entry.3),
            if(colour > 0, 'first', 'second'),
            made,
            arrayCount(one -> one.reverter = entry.1, members),
            arrayCount(one -> one.reverted = entry.1, members)),
        told, colours, fighter_edits) AS fighters,
    shard,
    length(members) + stopped AS version
FROM decided
WHERE opened >= {since:DateTime('UTC')}
    AND updated < {until:DateTime('UTC')}
