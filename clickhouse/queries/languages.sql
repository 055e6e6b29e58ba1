-- Languages over time, step by step, their Wikipedia and its sister projects together, the busiest of them.
-- uses tallies
-- param step: seconds per row, a multiple of 10; of 3600 where the range is over two days [default 120]
-- param limit: at most this many languages [default 20]
WITH
    -- enwiki, enwiktionary, enwikibooks, ... are of `en`. What is of no language in particular is left out
    extract(wiki, '^([a-z_]+?)(?:wiki|wiktionary|wikibooks|wikinews|wikiquote|wikisource|wikiversity|wikivoyage)$') AS code,
    steps AS
    (
        SELECT
            replaceAll(code, '_', '-') AS language,
            toStartOfInterval(tallies.time, toIntervalSecond({step:UInt32})) AS time,
            sumIf(tallies.edits, actor = 'person') AS person,
            sumIf(tallies.edits, actor = 'temporary') AS temporary,
            sumIf(tallies.edits, actor = 'bot') AS bot,
            sum(tallies.edits) AS edits,
            sum(tallies.reverts) AS reverts,
            sum(tallies.bytes_added) AS bytes_added,
            sum(tallies.bytes_removed) AS bytes_removed
        FROM tallies
        WHERE code NOT IN ('', 'commons', 'wikidata', 'meta', 'species', 'mediawiki', 'incubator', 'foundation', 'outreach',
            'source', 'beta', 'wikimania', 'wikifunctions', 'test', 'test2', 'testwikidata', 'sources', 'api', 'donate')
        GROUP BY language, time
    )
SELECT language, time, person, temporary, bot, edits, reverts, bytes_added, bytes_removed
FROM
(
    SELECT *, dense_rank() OVER (ORDER BY total DESC, language) AS place
    FROM (SELECT *, sum(edits) OVER (PARTITION BY language) AS total FROM steps)
)
WHERE place <= {limit:UInt32}
ORDER BY language, time
