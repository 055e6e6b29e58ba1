-- How many seconds edits stood until they were reverted, by wiki: quartiles, and medians by who reverted; where the edit is known.
-- param since: begin of the range, included [default now-1h]
-- param until: end of the range, left out [default now]
-- param wikis: only these wikis, such as enwiki; none: all [default ]
-- param namespaces: only these namespaces, by number; none: all [default ]
-- param limit: at most this many wikis, those with the most reverts [default 15]
SELECT
    wiki,
    count() AS reverts,
    quantileExact(0.25)(assumeNotNull(seconds_to_revert)) AS quarter,
    quantileExact(0.5)(assumeNotNull(seconds_to_revert)) AS median,
    quantileExact(0.75)(assumeNotNull(seconds_to_revert)) AS three_quarters,
    -- the medians of those whom each class reverted, NULL: it reverted nothing
    if(countIf(reverter_actor = 'person') = 0, NULL,
        quantileExactIf(0.5)(assumeNotNull(seconds_to_revert), reverter_actor = 'person')) AS by_person,
    if(countIf(reverter_actor = 'temporary') = 0, NULL,
        quantileExactIf(0.5)(assumeNotNull(seconds_to_revert), reverter_actor = 'temporary')) AS by_temporary,
    if(countIf(reverter_actor = 'bot') = 0, NULL,
        quantileExactIf(0.5)(assumeNotNull(seconds_to_revert), reverter_actor = 'bot')) AS by_bot
FROM reverts FINAL
WHERE toStartOfHour(timestamp) >= toStartOfHour({since:DateTime('UTC')})
    AND timestamp >= {since:DateTime('UTC')}
    AND timestamp < {until:DateTime('UTC')}
    AND (empty({wikis:Array(String)}) OR has({wikis:Array(String)}, wiki))
    AND (empty({namespaces:Array(Int32)}) OR has({namespaces:Array(Int32)}, namespace))
    AND NOT self_revert
    AND isNotNull(seconds_to_revert)
GROUP BY wiki
ORDER BY reverts DESC, wiki
LIMIT {limit:UInt32}
