"""`battlefield restore`: a backup's rows into empty tables; the stream goes on from them.

A worker's place on the broker belongs to the database (services/worker/command.py: consumer_group). So workers over a
database that was made anew read again whatever the broker still has, from what was restored on, and nothing else.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.audit.audit_command import CANNOT_RUN
from services.backup.archive import BadBackup, Manifest, TableFile, check, read_chunks, read_manifest
from services.backup.progress import Progress, shown
from services.backup.tables import ROLL_UP, SAVED, columns_of, migration_of, rows_of
from services.common.clickhouse import refusal, writer_client
from services.common.kafka import KEEP_MS
from services.common.settings import Settings, running_settings

LONGEST_INSERT = 600  # seconds
ROLLED_UP_AFTER = timedelta(minutes=5)  # the roll-ups are refreshed every minute


@click.command("restore")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--again", is_flag=True, help="Go on after a restore of the same backup that broke off.")
@click.option("--check-only", is_flag=True, help="Only see whether the backup is whole.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def command(folder: Path, again: bool, check_only: bool, quiet: bool) -> None:
    """Write the backup in FOLDER into the database's tables, which must be migrated and empty.

    Stop producer and workers before; when they start again they go on from what was restored.
    """
    settings = running_settings()
    began = time.monotonic()
    try:
        manifest = read_manifest(folder)
        with shown(quiet) as progress:
            check_files(folder, manifest, progress)
            if check_only:
                click.echo(f"{folder} is whole: {manifest.rows:,} rows, made {manifest.made:%Y-%m-%d %H:%M:%S} UTC")
                return
            with writer_client(settings, send_receive_timeout=LONGEST_INSERT) as client:
                notes = restore(client, settings, folder, manifest, progress, again=again)
    except ClickHouseError as error:
        click.echo(f"Error: {refusal(settings, error)}\nAfter that: `battlefield restore --again {folder}`", err=True)
        sys.exit(CANNOT_RUN)
    except (BadBackup, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(CANNOT_RUN)
    for note in notes:
        click.echo(note)
    click.echo(f"{manifest.rows:,} rows restored, {time.monotonic() - began:.1f} s. Start producer and worker.")


def restore(
    client: Client, settings: Settings, folder: Path, manifest: Manifest, progress: Progress, *, again: bool
) -> list[str]:
    """Write all tables; returns what is worth knowing. Raises BadBackup and ClickHouse's errors."""
    _check_target(client, manifest, again=again)
    for table in reversed(manifest.tables):
        if table.table == "audits" and rows_of(client, "audits"):
            continue  # the one table in which the same row twice is two
        done = 0
        for chunk in read_chunks(folder, table):
            client.raw_insert(table.table, table.columns, chunk, {"async_insert": 0}, "TabSeparated")
            done += chunk.count(b"\n")
            progress(f"writing {table.table}", done, table.rows)
    began = datetime.now(UTC) - timedelta(minutes=1)  # ClickHouse's clock may be another
    for statement, name, since in zip(
        ROLL_UP, ("fronts_hourly", "fronts_daily"), (manifest.made - ROLLED_UP_AFTER, began), strict=True
    ):
        columns = ", ".join(column for column in columns_of(client, name) if column != "stored")
        client.command(statement.format(columns=columns), {"since": since})
    notes = [note for table in manifest.tables if (note := _compare(client, settings, table, manifest))]
    if datetime.now(UTC) - manifest.made > timedelta(milliseconds=KEEP_MS):
        notes.append(
            "The backup is older than what the broker keeps. Empty the broker before producer and workers start, so "
            'that the producer reads on from the backup: docs/operations.md, "A volume is lost".'
        )
    return notes


def check_files(folder: Path, manifest: Manifest, progress: Progress) -> None:
    """Hold the files against the manifest. Raises BadBackup."""
    if unknown := {table.table for table in manifest.tables} ^ set(SAVED):
        raise BadBackup(f"{folder} has not the tables that it should: {', '.join(sorted(unknown))}")
    for number, table in enumerate(manifest.tables, start=1):
        check(folder, table)
        progress("checking the files", number, len(manifest.tables))


def _check_target(client: Client, manifest: Manifest, *, again: bool) -> None:
    migration = migration_of(client)
    if migration == 0:
        raise BadBackup("There are no tables yet: run `battlefield migrate` first.")
    if migration != manifest.migration:
        raise BadBackup(
            f"The backup's tables are of migration {manifest.migration}, the database's of {migration}. Restore it "
            f"with the version that made it ({manifest.version}) into an empty database, then upgrade."
        )
    for table in manifest.tables:
        if unknown := set(table.columns) ^ set(columns_of(client, table.table)):
            raise BadBackup(f"The table {table.table} has other columns than the backup: {', '.join(sorted(unknown))}")
    filled = {name: rows for name in SAVED if (rows := rows_of(client, name))}
    if filled and not again:
        found = ", ".join(f"{name} {rows:,}" for name, rows in filled.items())
        raise BadBackup(
            f"The database {client.database} is not empty ({found} rows). Stop producer and workers, empty it (docs/"
            "operations.md), run `battlefield migrate`; or give --again after a restore that broke off."
        )


def _compare(client: Client, settings: Settings, table: TableFile, manifest: Manifest) -> str:
    """What is to be said of a restored table's number of rows. Raises BadBackup where some are missing."""
    missing = table.rows - rows_of(client, table.table)
    if missing <= 0:
        return ""
    if datetime.now(UTC) - manifest.made > timedelta(days=1):
        return (
            f"{table.table}: {missing:,} rows of {table.rows:,} are not there; "
            f"they are older than RETENTION_RAW_DAYS ({settings.retention_raw_days}) or RETENTION_LONG_DAYS."
        )
    raise BadBackup(f"{table.table}: {missing:,} rows of {table.rows:,} are missing after writing all of them.")
