-- The rows of `fronts_daily` as SQL computes them from `fronts_hourly`; the definition is a view of the migrations.
-- param since: begin of the range, a whole day, included [default now-1d]
-- param until: end of the range, a whole day, left out [default now]
-- param source: only this one: live, replay-NAME or wargame-SEED; none: all [default ]
SELECT *
FROM computed_fronts_daily
WHERE day >= {since:DateTime('UTC')}
    AND day < {until:DateTime('UTC')}
    AND {source:String} IN ('', source)
