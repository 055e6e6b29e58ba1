"""`battlefield backup`: every table that cannot be computed again, into a folder, while everything runs."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, cast

import click
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from services.audit.audit_command import CANNOT_RUN
from services.backup.archive import (
    FORMAT,
    PIECE,
    BadBackup,
    Manifest,
    TableFile,
    new_folder,
    write_manifest,
    write_table,
)
from services.backup.progress import Progress, shown
from services.backup.tables import SAVED, columns_of, migration_of, rows_of, select
from services.common.clickhouse import refusal, writer_client
from services.common.settings import running_settings

LONGEST_PAUSE = 600  # seconds without one byte, after which a query has failed
TORN = b"\r\n__exception__\r\n"  # ClickHouse's own mark, where a query fails after its answer has begun


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--quiet", is_flag=True, help="Show no progress.")
def command(folder: Path, quiet: bool) -> None:
    """Save ClickHouse's tables into FOLDER, which must not be there yet. Everything may go on running meanwhile."""
    settings = running_settings()
    try:
        with (
            # as the writer: the reader's limits are made for questions, not for whole tables
            writer_client(settings, send_receive_timeout=LONGEST_PAUSE) as client,
            new_folder(folder) as aside,
            shown(quiet) as progress,
        ):
            began = time.monotonic()
            manifest = backup(client, aside, progress)
    except ClickHouseError as error:
        click.echo(f"Error: {refusal(settings, error)}", err=True)
        sys.exit(CANNOT_RUN)
    except (BadBackup, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(CANNOT_RUN)
    size = sum(table.bytes for table in manifest.tables)
    click.echo(f"{folder}: {manifest.rows:,} rows, {size / 1e6:,.1f} MB, {time.monotonic() - began:.1f} s")


def backup(client: Client, folder: Path, progress: Progress) -> Manifest:
    """Write the tables and the manifest. Raises BadBackup, OSError and the client's errors."""
    migration = migration_of(client)
    if migration == 0:
        raise BadBackup("There are no tables: `battlefield migrate` makes them. Is CLICKHOUSE_DATABASE right?")
    clickhouse, seconds = client.query("SELECT version(), toUnixTimestamp(now())").result_rows[0]
    tables = [_save(client, table, folder, progress) for table in SAVED]
    if migration_of(client) != migration:
        raise BadBackup("The tables were migrated meanwhile: run it again.")
    made = datetime.fromtimestamp(seconds, UTC)
    manifest = Manifest(FORMAT, made, version("wiki-battlefield"), migration, clickhouse, client.database or "", tables)
    write_manifest(folder, manifest)
    return manifest


def _save(client: Client, table: str, folder: Path, progress: Progress) -> TableFile:
    of = rows_of(client, table)
    columns = columns_of(client, table)
    progress(table, 0, of)
    pieces = _pieces(client, select(table, columns))
    return write_table(folder, table, columns, pieces, lambda rows: progress(table, rows, of))


def _pieces(client: Client, sql: str) -> Iterator[bytes]:
    """A query's answer as it comes. Raises BadBackup where it broke off."""
    # a response of urllib3; the client's type says less of it
    stream = cast("BinaryIO", client.raw_stream(sql, fmt="TabSeparatedWithNames"))
    tail = b""
    try:
        while piece := stream.read(PIECE):
            tail = tail[-64 * 1024 :] + piece
            if TORN in tail:
                raise BadBackup(f"ClickHouse broke off: {tail.partition(TORN)[2][:500].decode(errors='replace')}")
            yield piece
    except HTTPError as error:
        raise BadBackup(f"ClickHouse broke off: {error}") from error
    finally:
        stream.close()
