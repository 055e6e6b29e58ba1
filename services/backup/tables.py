"""Which tables a backup holds, in what order they are saved and written back, and the SQL of both.

A backup is taken while everything runs, so the tables are not of one moment. What makes them fit nevertheless:

- `ledger` is saved first, so the account never runs ahead of the rows that it accounts for.
- `edits` is saved next, by one query, which sees the table as it was at its begin: of each shard all up to a sequence
  number and nothing behind it, for so the worker writes it. That is what producer and worker go on from.
- All others follow, so they hold at least what follows from these edits. What they hold beyond, the worker writes
  again: the same rows under the same keys.

They are written back the other way round, as the worker itself writes: `edits` behind what follows from it.
"""

# ruff: noqa: S608 - names of tables and columns are ClickHouse's own, values go as parameters

from clickhouse_connect.driver.client import Client

from services.common.retention import LONG_KEPT, RAW

# Filled by views as rows come into `edits` and `reverts`.
DERIVED = ("names", "editor_blocks")
SAVED = ("ledger", "edits", *(table for table in (*RAW, *LONG_KEPT) if table not in ("ledger", "edits", *DERIVED)))

MIGRATED = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
COLUMNS = """
SELECT name
FROM system.columns
WHERE database = currentDatabase() AND table = {table:String} AND default_kind NOT IN ('ALIAS', 'MATERIALIZED')
ORDER BY position
"""

# What had been stored when the backup was made may not have been rolled up by then. Those hours once more; the days of
# all hours that are new, for a day is the sum of its hours.
ROLL_UP = (
    """
INSERT INTO fronts_hourly ({columns})
SELECT {columns}
FROM computed_fronts_hourly
WHERE (hour, source) IN
(
    SELECT toStartOfHour(timestamp), source FROM edits WHERE stored >= {{since:DateTime('UTC')}}
    UNION DISTINCT
    SELECT toStartOfHour(timestamp), source FROM reverts WHERE stored >= {{since:DateTime('UTC')}}
)
""",
    """
INSERT INTO fronts_daily ({columns})
SELECT {columns}
FROM computed_fronts_daily
WHERE (day, source) IN (SELECT toStartOfDay(hour), source FROM fronts_hourly WHERE stored >= {{since:DateTime('UTC')}})
""",
)


def migration_of(client: Client) -> int:
    """The newest migration that the tables have had; 0 where there are none."""
    exists = client.query(MIGRATED).result_rows[0][0]
    return int(client.query("SELECT max(number) FROM schema_migrations").result_rows[0][0]) if exists else 0


def columns_of(client: Client, table: str) -> list[str]:
    """Its columns, in order, without those that ClickHouse computes."""
    return [str(row[0]) for row in client.query(COLUMNS, {"table": table}).result_rows]


def rows_of(client: Client, table: str) -> int:
    """How many rows it has, of each key one."""
    return int(client.query(f"SELECT count() FROM {table}{final(table)}").result_rows[0][0])


def select(table: str, columns: list[str]) -> str:
    """The SELECT of what is saved of a table."""
    return f"SELECT {', '.join(columns)} FROM {table}{final(table)}"


def final(table: str) -> str:
    """FINAL, where a table keeps one row of each key."""
    return "" if table == "audits" else " FINAL"
