-- Pages and editors whose name begins so, in small or capital letters alike: exact ones first, then the newest active.
-- param text: what the name begins with; none: nothing is found [default ]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param until: only what was active before [default now]
-- param limit: at most this many names [default 20]
SELECT
    kind, -- page, editor
    name,
    argMax(found.wiki, found.newest) AS wiki, -- of an editor where he was active last
    uniqExact(found.wiki) AS wikis,
    argMax(found.server_name, found.newest) AS server_name,
    max(found.namespace) AS namespace, -- of a page
    least(max(found.newest), {until:DateTime('UTC')}) AS active, -- when last, as far as `until`
    folded = lowerUTF8({text:String}) AS exact
FROM
(
    -- the sorting key gives each kind's first ones at once, whatever number begins so
    SELECT kind, folded, name, wiki, server_name, namespace, newest, hours
    FROM names
    WHERE kind = 'page' AND startsWith(folded, lowerUTF8({text:String})) AND {text:String} != ''
        AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
        AND arrayMin(hours) < {until:DateTime('UTC')}
    ORDER BY kind, folded, name, wiki
    LIMIT 500
    UNION ALL
    SELECT kind, folded, name, wiki, server_name, namespace, newest, hours
    FROM names
    WHERE kind = 'editor' AND startsWith(folded, lowerUTF8({text:String})) AND {text:String} != ''
        AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
        AND arrayMin(hours) < {until:DateTime('UTC')}
    ORDER BY kind, folded, name, wiki
    LIMIT 500
) AS found
GROUP BY kind, folded, name, if(kind = 'page', found.wiki, '')
ORDER BY exact DESC, active DESC, kind DESC, name, wiki
LIMIT {limit:UInt32}
