"""What both peers share: the definition of a revert pair, and rows into ClickHouse."""

import os
from functools import cache
from typing import Any

import clickhouse_connect

from services.common.clickhouse import do_without_pandas
from services.worker.summaries import parse_summary

WINDOW = 10  # seconds
# How far apart in event time the partitions may be read; the same for both. Their watermarks are of all partitions.
WAIT_DAYS = 2
FRONTS = ("window_start", "wiki", "actor", "edits", "creations", "bytes_added", "bytes_removed", "part")
PAIRS = ("wiki", "title", "rev_id", "reverter", "reverted")


def reverted_by(wiki: str, comment: str, user: str) -> str:
    """Whom an edit's summary names as reverted, where that is another; else ""."""
    claim = parse_summary(wiki, comment)
    return claim.user if claim and claim.user != user else ""


@cache
def _client() -> Any:
    do_without_pandas()
    return clickhouse_connect.get_client(
        host="127.0.0.1",
        port=int(os.environ["CLICKHOUSE_PORT"]),
        username="writer",
        password=os.environ["CLICKHOUSE_PASSWORD"],
        database=os.environ["PEER_DATABASE"],
        autogenerate_session_id=False,
    )


def insert(table: str, columns: tuple[str, ...], rows: list[Any]) -> None:
    """Rows into the peer's table."""
    if rows:
        columnwise = list(zip(*rows, strict=True))
        _client().insert(table, columnwise, column_names=columns, column_oriented=True, settings={"async_insert": 0})


def tell(changes: int) -> None:
    """How many changes have been taken so far, for the benchmark that reads this."""
    print(f"progress {changes}", flush=True)
