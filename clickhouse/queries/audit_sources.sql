-- What there is to audit: each source with its span of event time, and since when all of its changes are still kept.
-- param raw_days: days that changes are kept after they were stored [default 30]
SELECT
    source,
    oldest,
    newest,
    complete_since, -- from this hour on no change can have expired
    toUInt32(seconds_since_stored) AS seconds_since_stored
FROM
(
    SELECT
        source,
        min(timestamp) AS oldest,
        max(timestamp) AS newest,
        greatest(0, now('UTC') - max(stored)) AS seconds_since_stored
    FROM edits
    GROUP BY source
) AS present
LEFT JOIN
(
    -- rows expire a while before and after the very hour: a day to be safe
    SELECT source, max(hour) + toIntervalHour(1) AS complete_since
    FROM fronts_hourly FINAL
    WHERE raw_since < now('UTC') - toIntervalDay({raw_days:UInt32}) + toIntervalDay(1)
    GROUP BY source
) AS expired USING (source)
ORDER BY source
