-- A battle as the worker stored it, by its id; what the queries of one battle build on.
-- param battle: its id, as query `battles` tells it [default ]
SELECT *
FROM battles FINAL
WHERE battle_id = toUUIDOrZero({battle:String})
