-- What the webhook was told of, or failed to be told of, the newest first.
-- param since: only incidents that happened from then on, by their own time [default now-1d]
-- param limit: at most this many [default 100]
SELECT
    moment,
    kind, -- battle_opened, three_revert_breach, begun (from here on incidents are announced)
    outcome, -- sent, failed (tried again for an hour), refused, unanswered and sending (it may have arrived, so not tried again)
    attempts,
    detail,
    incident_id,
    stored
FROM announcements FINAL
WHERE moment >= {since:DateTime('UTC')}
ORDER BY moment DESC, incident_id
LIMIT {limit:UInt32}
