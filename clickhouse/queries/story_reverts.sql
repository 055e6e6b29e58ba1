-- Who reverted whom on one page, or both ways of one editor: pairs with how often each reverted the other, the most first.
-- uses story_hours
-- param title: a page's title, with its wiki; none: an editor's story [default ]
-- param user: an editor's name; none: a page's story [default ]
-- param until: end of the range, left out [default now]
-- param limit: at most this many pairs [default 50]
WITH
    -- an editor's own name stands first, else that of the two which comes first
    if({user:String} != '', {user:String}, least(reverter, reverted)) AS first,
    if(reverter = first, reverted, reverter) AS second
SELECT
    first AS editor,
    second AS opponent,
    countIf(reverter = editor) AS reverts,
    countIf(reverter != editor) AS reverted_back,
    uniqExact(wiki, title) AS pages,
    argMax(wiki, (timestamp, rev_id)) AS last_wiki,
    argMax(reverts.server_name, (timestamp, rev_id)) AS server_name,
    argMax(title, (timestamp, rev_id)) AS last_title,
    argMax(rev_id, (timestamp, rev_id)) AS last_rev_id,
    max(timestamp) AS last_revert
FROM reverts FINAL
WHERE (toStartOfHour(timestamp), wiki) IN (SELECT hour, wiki FROM story_hours)
    AND timestamp < {until:DateTime('UTC')}
    AND NOT self_revert
    AND ({title:String} = '' OR title = {title:String})
    AND ({user:String} = '' OR reverter = {user:String} OR reverted = {user:String})
GROUP BY editor, opponent
ORDER BY reverts + reverted_back DESC, last_revert DESC, editor, opponent
LIMIT {limit:UInt32}
