"""Moments around noon, and a query's rows."""

from datetime import datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

from services.common.queries import run_query
from tests.dashboards.rows import NOON

HOUR = {"since": NOON - timedelta(hours=1), "until": NOON + timedelta(seconds=1)}


def at(minutes: float) -> datetime:
    """So many minutes before noon."""
    return NOON - timedelta(minutes=minutes)


def found(client: Client, name: str, **params: object) -> list[dict[str, Any]]:
    """A query's rows."""
    return list(run_query(client, name, **params).named_results())
