-- What plays (live, replay or war game), its newest event, and the board's now. No row: nothing is stored yet.
WITH
    -- ClickHouse answers both from the parts' own minimum and maximum, without reading rows
    assumeNotNull((SELECT min(timestamp) FROM edits)) AS oldest_event,
    assumeNotNull((SELECT max(timestamp) FROM edits)) AS newest_event,
    argMax(source_topic, received) AS topic
SELECT
    multiIf(startsWith(topic, 'wargame-'), 'war game', startsWith(topic, 'replay-'), 'replay', 'live') AS kind,
    if(kind = 'live', topic, extract(topic, '^(?:wargame|replay)-(.+?)\\.(?:eqiad\\.|codfw\\.)?mediawiki')) AS name,
    oldest_event,
    newest_event,
    max(received) AS newest_received,
    if(kind = 'live', now('UTC'), newest_event + 1) AS now,
    -- while live the age of the newest event, else how long ago the last change was read
    greatest(0, if(kind = 'live', now('UTC') - newest_event,
        dateDiff('millisecond', newest_received, now64(3, 'UTC')) / 1000)) AS quiet_seconds
FROM edits
WHERE toStartOfHour(timestamp) = toStartOfHour(newest_event)
HAVING count() > 0
