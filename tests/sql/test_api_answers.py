"""The JSON API answers what `battlefield query` answers: defaults and values mean the same in SQL and in Python."""

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from clickhouse_connect.driver.client import Client

from services.common.queries import all_queries, bind, board_now, load
from services.common.settings import Settings
from tests.dashboards.rows import NOON, insert
from tests.sql.ask import at

MOVING = {"quiet_seconds", "seconds_since_stored"}  # what the clock changes between two answers


@pytest.fixture(scope="module")
def filled(database_of_queries: Settings) -> Settings:
    """One row or more of all that the board asks for, around noon of 2024."""
    tables = database_of_queries
    wikis = ("enwiki", "dewiki")
    insert(tables, "edits", *({"source_offset": n, "timestamp": at(n), "wiki": w} for n, w in enumerate(wikis)))
    insert(tables, "fronts", *({"window_start": at(n), "wiki": w} for n in (1, 70) for w in wikis))
    insert(tables, "reverts", *({"timestamp": at(n), "rev_id": n, "namespace": n % 2} for n in range(9)))
    insert(tables, "battles", {})
    insert(tables, "alerts", {})
    insert(tables, "ledger", {})
    return tables


def asked(settings: Settings, name: str, **params: str) -> tuple[int, Any]:
    """What the API answers: its status, and rows or words."""
    connection = HTTPConnection("127.0.0.1", settings.clickhouse_port, timeout=30)
    try:
        address = urlencode({"database": settings.clickhouse_database} | params, quote_via=quote)
        connection.request("GET", f"/api/v1/{name}?{address}")
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    return answer.status, json.loads(body)["data"] if answer.status == 200 else body.decode()


def bound(client: Client, name: str, **params: object) -> Any:
    """The same with typed parameters, as the board and `battlefield query` ask."""
    query = load(name)
    values = bind(query, params, lambda: board_now(client))
    return json.loads(client.raw_query(query.sql, parameters=values, fmt="JSON"))["data"]


def settled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in MOVING} for row in rows]


def test_every_default_means_the_same(filled: Settings, reader: Client) -> None:
    found = 0
    for query in all_queries():
        status, rows = asked(filled, query.name)
        assert status == 200, (query.name, rows)
        assert settled(rows) == settled(bound(reader, query.name)), query.name
        found += bool(rows)
    assert found > 20, "rows that are the same because there are none would show little"


@pytest.mark.parametrize(
    "since", ["now-90m", "now-2h", "now-1d", "2024-12-07T10:45:00Z", "2024-12-07 10:45:00", "2024-12-07T11:45:00+01:00"]
)
def test_times_mean_the_same(filled: Settings, reader: Client, since: str) -> None:
    status, rows = asked(filled, "totals", since=since, until="now")
    assert status == 200
    assert rows == bound(reader, "totals", since=since, until="now")
    assert rows[0]["edits"] == 4


def test_seconds_since_1970_are_a_time_too(filled: Settings, reader: Client) -> None:
    rows = asked(filled, "totals", since=str(int(NOON.timestamp()) - 7200))[1]
    assert rows == bound(reader, "totals", since="now-2h")


def test_numbers_and_lists_mean_the_same(filled: Settings, reader: Client) -> None:
    assert asked(filled, "wikis", wikis=" dewiki, frwiki ,")[1] == bound(reader, "wikis", wikis="dewiki,frwiki")
    assert len(asked(filled, "newest_reverts", limit="3")[1]) == 3
    odd = asked(filled, "newest_reverts", namespaces="1, 14")[1]
    assert len(odd) == 4
    assert odd == bound(reader, "newest_reverts", namespaces="1,14")


@pytest.mark.parametrize(
    "params",
    [
        *({"limit": text} for text in ("many", "-1", "4294967296")),
        *({"since": text} for text in ("yesterday-ish", "now-5y")),
        {"namespaces": "x"},
    ],
)
def test_what_cannot_be_read_is_the_callers_mistake(filled: Settings, params: dict[str, str]) -> None:
    status, words = asked(filled, "newest_reverts", **params)
    assert status == 400, words
