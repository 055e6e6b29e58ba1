-- What ALERT_WEBHOOK_URL was told of: a row for each incident that `battlefield notify` has tried to announce.
--
-- It is written before each attempt and after it, so one that was cut off in between can be told from one that failed.
-- Only the last hour is ever announced, so rows may expire like the incidents that they are of.
CREATE TABLE IF NOT EXISTS announcements
(
    incident_id UUID,                   -- battle_id or alert_id; zeros: when announcing began
    kind        LowCardinality(String), -- battle_opened, three_revert_breach, begun
    outcome     LowCardinality(String), -- sending, sent, failed (is tried again), refused, unanswered, begun
    attempts    UInt32,
    detail      String,                 -- of a failure: the status or the kind of error, never the address
    moment      DateTime('UTC'),        -- of the incident, in event time; or when announcing began
    stored      DateTime('UTC') DEFAULT now(),
    version     UInt64                  -- grows with every attempt and its outcome
)
ENGINE = ReplacingMergeTree(version)
ORDER BY incident_id
TTL stored + INTERVAL 730 DAY;
