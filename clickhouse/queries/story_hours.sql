-- The hours and wikis in which a page or an editor was active, the newest first: where the queries of one story look.
-- param title: a page's title, with its wiki; none: an editor's story [default ]
-- param user: an editor's name; none: a page's story [default ]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param until: end of the range, left out [default now]
-- param hours: at most so many hours [default 100]
SELECT wiki, hour
FROM names
ARRAY JOIN hours AS hour
WHERE kind = if({user:String} != '', 'editor', 'page')
    AND folded = lowerUTF8(if({user:String} != '', {user:String}, {title:String}))
    AND name = if({user:String} != '', {user:String}, {title:String})
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND hour < {until:DateTime('UTC')}
GROUP BY wiki, hour
ORDER BY hour DESC, wiki
LIMIT {hours:UInt32}
