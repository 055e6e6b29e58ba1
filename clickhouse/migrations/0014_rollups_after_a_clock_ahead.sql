-- What is rolled up is what was stored since the last time. A clock that was ahead for a while left rows of the future, and
-- until it came to be everything stored was taken for older than they: nobody rolled it up, then or later.
DROP VIEW IF EXISTS refresh_fronts_hourly;

-- Two minutes back from the newest row: an insert's time is that of its beginning, and it is seen at its end.
CREATE MATERIALIZED VIEW IF NOT EXISTS refresh_fronts_hourly REFRESH EVERY 1 MINUTE APPEND TO fronts_hourly AS
SELECT *
FROM computed_fronts_hourly
WHERE (hour, source) IN
(
    WITH (SELECT greatest(toUnixTimestamp(least(max(stored), now('UTC'))), 120) - 120 FROM fronts_hourly) AS seen
    SELECT toStartOfHour(timestamp), source FROM edits WHERE stored >= toDateTime(seen, 'UTC')
    UNION DISTINCT
    SELECT toStartOfHour(timestamp), source FROM reverts WHERE stored >= toDateTime(seen, 'UTC')
);

DROP VIEW IF EXISTS refresh_fronts_daily;

CREATE MATERIALIZED VIEW IF NOT EXISTS refresh_fronts_daily REFRESH EVERY 1 MINUTE OFFSET 20 SECOND APPEND TO fronts_daily AS
SELECT *
FROM computed_fronts_daily
WHERE (day, source) IN
(
    WITH (SELECT greatest(toUnixTimestamp(least(max(stored), now('UTC'))), 120) - 120 FROM fronts_daily) AS seen
    SELECT toStartOfDay(hour), source FROM fronts_hourly WHERE stored >= toDateTime(seen, 'UTC')
);
