-- Every change that Wikimedia declares or whose summary claims to be a revert, with the editor and the revision that it hits.
-- param since: begin of the range of event time, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param source: only this one: live, replay-NAME or wargame-SEED; none: all [default ]
WITH
    -- as in services/worker/state.py: a page remembers REVISIONS changes, for MEMORY seconds
    toIntervalSecond(86400) AS memory,
    -- A change counts as remembered by its place in `sequence`, so what arrived in between must be read too. As far as a
    -- window stays open, arrival and event time can differ: PAGE_MEMORY - MEMORY seconds, either way.
    toIntervalSecond(7200) AS disorder,
    remembered AS
    (
        SELECT
            *,
            groupArray((rev_id, user, actor, timestamp, claim_method != '' OR declared_method != '')) OVER (
                PARTITION BY source, wiki, title ORDER BY sequence ROWS BETWEEN 128 PRECEDING AND 1 PRECEDING
            ) AS revisions
        FROM
        (
            SELECT
                source, wiki, server_name, title, namespace, timestamp, type, user, actor, comment, rev_id, old_rev_id,
                shard, sequence, claim_method, claim_user, claim_rev_id, claim_exempt, claim_restored_user,
                declared_method, declared_rev_ids
            FROM edits FINAL
            WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')} - memory - disorder)
                AND toStartOfHour(timestamp) <= toStartOfHour({until:DateTime('UTC')} + disorder)
                AND timestamp >= {since:DateTime('UTC')} - memory - disorder
                AND timestamp < {until:DateTime('UTC')} + disorder
                AND NOT late
                AND type != 'log'
                AND {source:String} IN ('', source)
                AND (source, wiki, title) IN
                (
                    SELECT source, wiki, title
                    FROM edits
                    WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
                        AND timestamp >= {since:DateTime('UTC')}
                        AND timestamp < {until:DateTime('UTC')}
                        AND (claim_method != '' OR declared_method != '')
                        AND NOT late
                        AND {source:String} IN ('', source)
                )
        )
    ),
    -- the newest revision that was declared as reverted: another's, else the reverter's own (0 for none)
    arrayLastIndex(
        revision -> revision.4 > timestamp - memory AND has(declared_rev_ids, revision.1) AND revision.2 != user,
        revisions) AS place_of_another,
    if(place_of_another != 0, place_of_another, arrayLastIndex(
        revision -> revision.4 > timestamp - memory AND has(declared_rev_ids, revision.1), revisions)) AS declared_place,
    -- the newest revision that fits the claim
    arrayLastIndex(
        revision -> revision.4 > timestamp - memory
            AND multiIf(
                claim_rev_id != 0, revision.1 = claim_rev_id,
                claim_user != '', revision.2 = claim_user,
                revision.1 = old_rev_id),
        revisions) AS claimed_place,
    notEmpty(declared_rev_ids) AS declared,
    if(declared, declared_place, claimed_place) AS place,
    place != 0 AS known,
    revisions[place] AS hit,
    if(claim_user = '' OR declared AND known, hit.2, claim_user) AS reverted_user,
    -- actor_of() in services/common/change.py
    if(match(reverted_user, '^(?:~\\p{Nd}{4}-|\\p{Nd}{1,3}(?:\\.\\p{Nd}{1,3}){3}\\n?$|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}\\n?$)'),
        'temporary', 'person') AS actor_by_name
SELECT
    wiki,
    server_name,
    title,
    namespace,
    timestamp,
    rev_id,
    user AS reverter,
    actor AS reverter_actor,
    reverted_user AS reverted,
    multiIf(known AND hit.2 = reverted_user, hit.3, reverted_user != '', actor_by_name, '') AS reverted_actor,
    multiIf(
        declared, if(known, hit.1, declared_rev_ids[-1]),
        claim_rev_id != 0, claim_rev_id,
        hit.1) AS reverted_rev_id,
    if(known, greatest(0, toInt64(timestamp) - toInt64(hit.4)), NULL) AS seconds_to_revert,
    if(declared_method != '', declared_method, claim_method) AS method,
    if(declared_method != '', 'declared', 'summary') AS evidence,
    multiIf(
        claim_user != '' AND reverted_user = claim_user, 'named',
        NOT known, 'unknown',
        declared OR claim_rev_id != 0, 'revision',
        'inferred') AS target,
    reverted_user != '' AND reverted_user = user AS self_revert,
    claim_exempt AS exempt,
    claim_restored_user AS restored,
    comment,
    shard,
    source,
    sequence
FROM remembered
WHERE (claim_method != '' OR declared_method != '')
    AND timestamp >= {since:DateTime('UTC')}
    AND timestamp < {until:DateTime('UTC')}
    -- now and then one revision comes as two changes, with ids of their own: it is one revert
    AND NOT arrayExists(revision -> revision.1 = rev_id AND revision.5, revisions)
