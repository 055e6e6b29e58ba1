"""Clients for ClickHouse: the writer's and the reader's. Server or embedded endpoint, they cannot tell."""

from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver import options as driver_options
from clickhouse_connect.driver.client import Client

from services.common.settings import Settings

WRITER = "writer"  # the embedded endpoint's account for the services


def writer_password_path(data_dir: Path) -> Path:
    """Where the embedded endpoint keeps the password of its account WRITER, for programs of the same user."""
    return data_dir / "clickhouse" / "writer-password"


def writer_credentials(settings: Settings) -> tuple[str, str]:
    """The services' user and password: from the settings, else those of an embedded run over the same DATA_DIR."""
    # the embedded endpoint listens on this machine alone; its password must not travel to another
    if not settings.clickhouse_user and settings.clickhouse_host in ("127.0.0.1", "localhost"):
        try:
            return WRITER, writer_password_path(settings.data_dir).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            pass  # no embedded run here: ClickHouse will say what it thinks of no credentials
    return settings.clickhouse_user, settings.clickhouse_password.get_secret_value()


def _client(settings: Settings, user: str, password: str, database: str, **options: Any) -> Client:
    return clickhouse_connect.get_client(
        host=settings.clickhouse_host,
        port=settings.clickhouse_port,
        username=user or None,
        password=password,
        database=database,
        secure=settings.clickhouse_secure,
        ca_cert=settings.clickhouse_ca_location or None,
        # threads share a client here and there; ClickHouse refuses two queries at once in one session
        autogenerate_session_id=False,
        **options,
    )


def do_without_pandas() -> None:
    """Keep clickhouse-connect from importing pandas at the first insert, to see whether the data is a DataFrame.

    For processes that insert lists only: it costs each a second and 60 MB. Call it at the process's start.
    """
    driver_options.pd = driver_options.pd_time_test = None


def writer_client(settings: Settings, *, database: str | None = None, **options: Any) -> Client:
    """The services' client. `database=""` before the first migration has made it."""
    user, password = writer_credentials(settings)
    return _client(settings, user, password, settings.clickhouse_database if database is None else database, **options)


def reader_client(settings: Settings, **options: Any) -> Client:
    """The dashboard's client: an account that can only SELECT."""
    return _client(
        settings,
        settings.clickhouse_reader_user,
        settings.clickhouse_reader_password.get_secret_value(),
        settings.clickhouse_database,
        **options,
    )
