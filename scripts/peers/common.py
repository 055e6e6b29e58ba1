"""What both peers share: the definition of a revert pair, and rows into ClickHouse."""

import json
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
        autogenerate_session_id=False,
    )


def insert(database: str, table: str, columns: tuple[str, ...], columnwise: list[Any]) -> None:
    """Columns of rows into one of the peer's tables."""
    if columnwise and columnwise[0]:
        _client().insert(
            table,
            columnwise,
            database=database,
            column_names=columns,
            column_oriented=True,
            settings={"async_insert": 0},
        )


# What a peer says to the benchmark that reads its standard output, a line each


def tell_changes(count: int) -> None:
    """So many changes have been taken."""
    print(f"changes {count}", flush=True)


def tell_offsets(query: str, offsets: dict[str, int]) -> None:
    """A query has come to these offsets, by partition."""
    print(f"offsets {json.dumps([query, offsets])}", flush=True)


def tell_pass(*queries: str) -> None:
    """A pass over the whole topic begins, shared by these queries."""
    print(f"pass {' '.join(queries)}", flush=True)


def tell_done() -> None:
    """All is written."""
    print("done", flush=True)
