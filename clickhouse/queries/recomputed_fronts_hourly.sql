-- The rows of `fronts_hourly` as SQL computes them from `edits` and `reverts`; the definition is a view of the migrations.
-- param since: begin of the range, a whole hour, included [default now-1d]
-- param until: end of the range, a whole hour, left out [default now]
-- param source: only this one: live, replay-NAME or wargame-SEED; none: all [default ]
SELECT *
FROM computed_fronts_hourly
WHERE hour >= {since:DateTime('UTC')}
    AND hour < {until:DateTime('UTC')}
    AND {source:String} IN ('', source)
