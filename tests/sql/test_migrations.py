"""Migrations keep what is stored, from the first to the last; retention follows the settings."""

import uuid
from collections.abc import Callable, Iterator

import pytest
from clickhouse_connect.driver.client import Client

from services.common.clickhouse import writer_client
from services.common.migrations import apply_migrations, read_migrations
from services.common.retention import LONG_KEPT, RAW, apply_retention
from services.common.settings import Settings
from services.worker.engage import Rows, no_rows
from services.worker.rows import ALERTS, BATTLES, DUPLICATES, EDITS, FRONTS, REVERTS, Table
from services.worker.sink import insert
from tests.sql.stream import fold, random_changes


@pytest.fixture
def unmigrated(clickhouse: Settings) -> Iterator[Settings]:
    """A database of one test's own, without tables."""
    settings = clickhouse.model_copy(update={"clickhouse_database": f"test_{uuid.uuid4().hex[:12]}"})
    yield settings
    with writer_client(settings, database="") as client:
        client.command(f"DROP DATABASE IF EXISTS {settings.clickhouse_database} SYNC")


def filling() -> dict[Table, list[tuple]]:
    """Rows of a stream, by table."""
    rows: Rows = no_rows()
    for more in fold(random_changes(1, 800, seconds=3_000)):
        rows.merge(more)
    fronts, battles = list(rows.fronts.values()), list(rows.battles.values())
    return dict(
        zip(
            (EDITS, FRONTS, REVERTS, BATTLES, ALERTS, DUPLICATES),
            (rows.edits, fronts, rows.reverts, battles, rows.alerts, rows.duplicates),
            strict=True,
        )
    )


def fill(client: Client, table: Table, rows: list[tuple]) -> int:
    """Insert rows into the columns that a table has by now; returns how many it then holds."""
    present = {row[0] for row in client.query(f"DESCRIBE TABLE {table.name}").result_rows}
    columns = [n for n, name in enumerate(table.columns) if name in present]
    kept = Table(table.name, *(tuple(names[n] for n in columns) for names in (table.columns, table.types)))
    insert(client, kept, [tuple(row[n] for n in columns) for row in rows])
    return count(client, table.name)


def count(client: Client, table: str) -> int:
    """A table's rows."""
    return int(client.command(f"SELECT count() FROM {table} FINAL"))


def test_no_migration_loses_a_row_of_a_filled_database(unmigrated: Settings) -> None:
    migrations = read_migrations()
    rows = filling()
    filled: dict[str, int] = {}
    for number in range(1, len(migrations) + 1):
        assert apply_migrations(unmigrated, migrations[:number]) == [number]
        with writer_client(unmigrated) as client:
            assert {table: count(client, table) for table in filled} == filled
            tables = {row[0] for row in client.query("SHOW TABLES").result_rows}
            for table in rows:
                if table.name in tables - filled.keys() and rows[table]:
                    filled[table.name] = fill(client, table, rows[table])
    assert {"edits", "fronts", "reverts", "battles"} <= filled.keys()
    assert min(filled.values()) > 0
    assert apply_migrations(unmigrated) == []


def test_a_migration_that_was_cut_short_runs_again(database: Settings) -> None:
    with writer_client(database) as client:
        for migration in read_migrations():
            for statement in migration.statements:
                client.command(statement)


def test_retention_follows_the_settings_and_touches_nothing_else(
    database: Settings, settings_factory: Callable[..., Settings]
) -> None:
    with writer_client(database) as client:
        assert apply_retention(client, database) == {}
        other = database.model_copy(update={"retention_raw_days": 7, "retention_long_days": 90})

        changed = apply_retention(client, other)

        assert changed == dict.fromkeys(RAW, 7) | dict.fromkeys(LONG_KEPT, 90)
        assert apply_retention(client, other) == {}
        created = client.command("SHOW CREATE TABLE edits")
        assert "TTL stored + toIntervalDay(7)" in str(created)


def test_every_table_that_grows_has_a_retention(database: Settings) -> None:
    with writer_client(database) as client:
        kept = client.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
        ).result_rows
    assert {row[0] for row in kept} == {*RAW, *LONG_KEPT, "schema_migrations"}
