"""Numbered migrations of ClickHouse: `clickhouse/migrations/NNNN_name.sql`, each applied once, in order.

After them the retention of the settings is applied, at each run.

A file is a list of statements that end in `;` at a line's end. Each statement must bear being run again
(`IF NOT EXISTS`): ClickHouse has no transactions over DDL, so a migration that was cut short runs again whole.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.common.clickhouse import refusal, wait_for_clickhouse, writer_client
from services.common.kafka import create_topics
from services.common.logs import set_up_logs
from services.common.retention import apply_retention
from services.common.settings import PROJECT_ROOT, Settings, get_settings

MIGRATIONS = PROJECT_ROOT / "clickhouse" / "migrations"

# Seconds that a statement may take: one that fills a new table reads what a month has left, 90 million edits.
LONGEST_STATEMENT = 3600

log = structlog.get_logger()


class Migration(NamedTuple):
    """One file."""

    number: int
    name: str
    statements: list[str]


class BadMigration(Exception):
    """The files do not form a sequence 1, 2, 3, ... ."""


def read_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """All migrations in order. Raises BadMigration on a gap, a twin or a name that is not NNNN_name.sql."""
    migrations = []
    for number, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = re.fullmatch(r"(\d{4})_([a-z0-9_]+)", path.stem)
        if not match or int(match[1]) != number:
            raise BadMigration(f"{path.name}: expected {number:04d}_some_name.sql")
        migrations.append(Migration(number, match[2], list(split_statements(path.read_text()))))
    return migrations


def split_statements(sql: str) -> Iterator[str]:
    """Statements of a file, without those that hold comments alone."""
    for statement in re.split(r";[ \t]*(?:--[^\n]*)?(?:\n|$)", sql):
        if re.sub(r"--[^\n]*", "", statement).strip():
            yield statement.strip()


def apply_migrations(settings: Settings, migrations: list[Migration] | None = None) -> list[int]:
    """Apply what is missing and return its numbers. Safe to run any number of times."""
    database = settings.clickhouse_database
    with writer_client(settings, database="") as client:
        client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
    with writer_client(settings, send_receive_timeout=LONGEST_STATEMENT) as client:
        client.command(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (number UInt32, name String, applied DateTime('UTC') DEFAULT now())"
            " ENGINE = ReplacingMergeTree ORDER BY number"
        )
        done = _applied(client)
        todo = [m for m in (read_migrations() if migrations is None else migrations) if m.number not in done]
        for migration in todo:
            log.info("migrating", number=migration.number, name=migration.name)
            for statement in migration.statements:
                client.command(statement)
            client.insert("schema_migrations", [[migration.number, migration.name]], ["number", "name"])
        for table, days in apply_retention(client, settings).items():
            log.info("retention", table=table, days=days)
        return [migration.number for migration in todo]


def _applied(client: Client) -> set[int]:
    return {row[0] for row in client.query("SELECT number FROM schema_migrations").result_rows}


@click.command("migrate")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for ClickHouse and the broker.")
def command(timeout: float) -> None:
    """Create or update ClickHouse's tables and create missing topics; does nothing where all is up to date."""
    settings = get_settings()
    set_up_logs(settings, "migrate")
    wait_for_clickhouse(settings, timeout)
    try:
        applied = apply_migrations(settings)
    except ClickHouseError as error:
        raise click.ClickException(str(refusal(settings, error))) from error
    create_topics(settings, timeout)
    log.info("up to date", applied=applied)
