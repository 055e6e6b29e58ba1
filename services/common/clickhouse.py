"""Clients for ClickHouse: the writer's and the reader's. Server or embedded endpoint, they cannot tell."""

from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from services.common.settings import Settings


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


def writer_client(settings: Settings, *, database: str | None = None, **options: Any) -> Client:
    """The services' client. `database=""` before the first migration has made it."""
    return _client(
        settings,
        settings.clickhouse_user,
        settings.clickhouse_password.get_secret_value(),
        settings.clickhouse_database if database is None else database,
        **options,
    )


def reader_client(settings: Settings, **options: Any) -> Client:
    """The dashboard's client: an account that can only SELECT."""
    return _client(
        settings,
        settings.clickhouse_reader_user,
        settings.clickhouse_reader_password.get_secret_value(),
        settings.clickhouse_database,
        **options,
    )
