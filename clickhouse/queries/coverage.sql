-- How many of a wiki's edits are recognised as reverts, and of how many it is known whom they revert, the busiest wikis first.
-- uses tallies
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many wikis [default 20]
WITH
    {since:DateTime('UTC')} AS since,
    {until:DateTime('UTC')} AS until,
    recognised AS
    (
        SELECT
            wiki,
            count() AS reverts, -- of oneself too
            countIf(target = 'named') AS by_name,
            countIf(target = 'revision') AS by_revision,
            countIf(target = 'inferred') AS by_inference,
            countIf(evidence = 'declared') AS declared
        FROM reverts FINAL
        WHERE toStartOfHour(timestamp) >= toStartOfHour(since)
            AND timestamp >= since
            AND timestamp < until
            AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
            AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
        GROUP BY wiki
    )
SELECT
    wiki,
    edits, -- without new pages
    recognised.reverts AS reverts,
    if(edits = 0, NULL, reverts / edits) AS recognised_share,
    by_name, -- the comment names the editor
    by_revision, -- it names a revision, and its editor is remembered
    by_inference, -- it names nobody: the editor of the version that was replaced
    declared, -- known from Wikimedia's own word and not from the comment alone
    if(reverts = 0, NULL, by_name / reverts) AS named_share,
    if(reverts = 0, NULL, (by_name + by_revision + by_inference) / reverts) AS known_share
FROM
(
    SELECT wiki, sum(tallies.edits) - sum(tallies.creations) AS edits
    FROM tallies
    GROUP BY wiki
) AS made
LEFT JOIN recognised USING (wiki)
ORDER BY edits DESC, wiki
LIMIT {limit:UInt32}
