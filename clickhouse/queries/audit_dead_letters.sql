-- Dead letters of a source, by reason; those that do not say where they come from are in every source's.
-- param source: only this one: live, replay-NAME or wargame-SEED; none: all [default ]
SELECT
    reason,
    count() AS letters
FROM dead_letters FINAL
WHERE {source:String} IN ('', if(match(source_topic, '^(replay|wargame)-'), splitByChar('.', source_topic)[1], 'live'))
    OR source_topic = ''
GROUP BY reason
ORDER BY reason
