"""How long rows are kept: the tables' TTL, set from the settings whenever `migrate` runs."""

from clickhouse_connect.driver.client import Client

from services.common.settings import Settings

# What the long view is made of, and what cannot be computed again once the raw rows are gone.
LONG_KEPT = ("reverts", "battles", "alerts", "fronts_hourly", "fronts_daily", "audits", "announcements")
RAW = ("edits", "fronts", "names", "editor_blocks", "dead_letters", "duplicates", "ledger")

_PRESENT = r"""
SELECT name, toUInt32OrZero(extract(engine_full, 'TTL stored \\+ toIntervalDay\\((\\d+)\\)'))
FROM system.tables
WHERE database = currentDatabase()
"""


def apply_retention(client: Client, settings: Settings) -> dict[str, int]:
    """Set each table's TTL where it is another; returns the days of those that changed, by table.

    ClickHouse applies a new TTL to the rows that are there in the background, with its merges.
    """
    wanted = dict.fromkeys(RAW, settings.retention_raw_days) | dict.fromkeys(LONG_KEPT, settings.retention_long_days)
    present: dict[str, int] = {row[0]: row[1] for row in client.query(_PRESENT).result_rows}
    changed = {table: days for table, days in wanted.items() if table in present and present[table] != days}
    for table, days in changed.items():
        client.command(f"ALTER TABLE {table} MODIFY TTL stored + INTERVAL {days:d} DAY")
    return changed
