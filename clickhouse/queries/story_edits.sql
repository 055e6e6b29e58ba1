-- One page's or one editor's edits and log entries, with whom they reverted and who reverted them; newest first.
-- uses story_hours
-- param title: a page's title, with its wiki; none: an editor's story [default ]
-- param user: an editor's name; none: a page's story [default ]
-- param until: end of the range, left out [default now]
-- param limit: at most this many, the newest [default 200]
WITH
    chosen AS
    (
        SELECT *
        FROM edits FINAL
        -- Before FINAL: the rows of one key are of one change. Not as IN ('', user): the bloom filters of both columns help
        -- with a comparison alone.
        PREWHERE ({user:String} = '' OR user = {user:String})
            AND ({title:String} = '' OR title = {title:String})
        WHERE (toStartOfHour(timestamp), wiki) IN (SELECT hour, wiki FROM story_hours)
            AND timestamp < {until:DateTime('UTC')}
        ORDER BY timestamp DESC, sequence DESC
        LIMIT {limit:UInt32}
    ),
    involved AS
    (
        SELECT source, wiki, title, rev_id, reverter, reverted, reverted_rev_id, method
        FROM reverts FINAL
        PREWHERE ({title:String} = '' OR title = {title:String})
        WHERE (toStartOfHour(timestamp), wiki) IN (SELECT hour, wiki FROM story_hours)
            AND timestamp < {until:DateTime('UTC')}
            AND NOT self_revert
            AND ({user:String} = '' OR reverter = {user:String} OR reverted = {user:String})
    )
SELECT
    chosen.timestamp AS timestamp,
    chosen.wiki AS wiki,
    chosen.server_name AS server_name,
    chosen.namespace AS namespace,
    chosen.title AS title,
    chosen.rev_id AS rev_id,
    chosen.user AS user,
    chosen.actor AS actor,
    if(chosen.type = 'log', concat(chosen.log_type, ' ', chosen.log_action), chosen.type) AS what, -- edit, new, or of the log
    chosen.length_old AS length_old,
    chosen.length_new AS length_new,
    chosen.comment AS comment,
    made.reverted AS reverted, -- '': nobody, or not known
    made.reverted_rev_id AS reverted_rev_id,
    made.method AS method, -- '': no revert of another
    undone.reverter AS reverted_by -- '': nobody, so far as is known
FROM chosen
LEFT JOIN involved AS made ON made.source = chosen.source AND made.wiki = chosen.wiki AND made.rev_id = chosen.rev_id
    AND made.title = chosen.title
LEFT ANY JOIN (SELECT * FROM involved WHERE reverted_rev_id != 0) AS undone ON undone.source = chosen.source
    AND undone.wiki = chosen.wiki AND undone.title = chosen.title AND undone.reverted_rev_id = chosen.rev_id
ORDER BY timestamp DESC, rev_id DESC
