-- What the producer left out on purpose, by reason, over all that the ledger holds.
SELECT
    dropped.1 AS reason,
    sum(dropped.2) AS changes
FROM ledger FINAL
ARRAY JOIN CAST(ledger.dropped, 'Array(Tuple(String, UInt64))') AS dropped
GROUP BY reason
ORDER BY changes DESC, reason
