-- The first hour and the first day of a range that changed after they were last summed up: from there on it is too early to compare.
-- param since: begin of the range, included [default now-1d]
-- param until: end of the range, left out [default now]
-- param source: only this one: live, replay-NAME or wargame-SEED; none: all [default ]
WITH
    toIntervalSecond(5) AS slack -- an insert's time is that of its beginning, and it is seen at its end
SELECT
    (
        SELECT minOrNullIf(hour, changed + slack > refreshed)
        FROM
        (
            SELECT hour, source, max(row_stored) AS changed
            FROM
            (
                SELECT toStartOfHour(timestamp) AS hour, source, stored AS row_stored, timestamp FROM edits WHERE type != 'log'
                UNION ALL
                SELECT toStartOfHour(timestamp) AS hour, source, stored AS row_stored, timestamp FROM reverts WHERE NOT self_revert
            )
            WHERE hour >= toStartOfHour({since:DateTime('UTC')})
                AND hour < {until:DateTime('UTC')}
                AND {source:String} IN ('', source)
            GROUP BY hour, source
        ) AS raw
        LEFT JOIN
        (
            SELECT hour, source, max(stored) AS refreshed
            FROM fronts_hourly
            WHERE hour >= toStartOfHour({since:DateTime('UTC')}) AND hour < {until:DateTime('UTC')}
            GROUP BY hour, source
        ) AS rolled USING (hour, source)
    ) AS unsettled_hour,
    (
        SELECT minOrNullIf(day, changed + slack > refreshed)
        FROM
        (
            SELECT toStartOfDay(hour) AS day, source, max(stored) AS changed
            FROM fronts_hourly
            WHERE hour >= toStartOfDay({since:DateTime('UTC')})
                AND hour < {until:DateTime('UTC')}
                AND {source:String} IN ('', source)
            GROUP BY day, source
        ) AS raw
        LEFT JOIN
        (
            SELECT day, source, max(stored) AS refreshed
            FROM fronts_daily
            WHERE day >= toStartOfDay({since:DateTime('UTC')}) AND day < {until:DateTime('UTC')}
            GROUP BY day, source
        ) AS rolled USING (day, source)
    ) AS unsettled_day
