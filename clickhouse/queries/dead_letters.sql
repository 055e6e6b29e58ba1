-- What could not be used, by reason, with the newest of each.
SELECT
    reason,
    count() AS letters,
    countIf(isNotNull(replayed)) AS replayed_since, -- by `battlefield replay-dead-letters`
    max(dead_letters.received) AS newest,
    toValidUTF8(argMax(error, dead_letters.received)) AS newest_error,
    toValidUTF8(left(argMax(raw, dead_letters.received), 300)) AS newest_raw
FROM dead_letters FINAL
GROUP BY reason
ORDER BY letters DESC, reason
