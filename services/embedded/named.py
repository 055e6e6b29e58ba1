"""The JSON API: the queries of clickhouse/queries by name, as ClickHouse's predefined_query_handler serves them."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from clickhouse_connect.driver.binding import bind_query

from services.common.queries import BadParameter, NamedQuery, bind
from services.embedded.errors import Code, QueryError

PREFIX = "/api/v1/"


def listing(queries: Iterable[NamedQuery]) -> dict[str, Any]:
    """What `GET /api/v1/` answers: every query with its address and parameters."""
    return {
        "queries": [
            {
                "name": query.name,
                "description": query.description,
                "path": PREFIX + query.name,
                "parameters": [parameter._asdict() for parameter in query.parameters.values()],
            }
            for query in queries
        ]
    }


def split_values(query: NamedQuery, items: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """URL parameters that are the query's own, as `NAME` or `param_NAME`, and all others."""
    values: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    for name, value in items:
        plain = name.removeprefix("param_")
        if name in query.parameters or name != plain:
            values[plain] = value
        else:
            others.append((name, value))
    return values, others


def bound_parameters(query: NamedQuery, values: dict[str, str], now: Callable[[], datetime]) -> dict[str, str]:
    """The values of the query's parameters as the engine reads them, defaults filled in. Raises QueryError."""
    try:
        typed = bind(query, values, now)
    except BadParameter as error:
        raise QueryError(Code.BAD_ARGUMENTS, str(error)) from None
    _, bound = bind_query(query.sql, typed, UTC)
    return {name.removeprefix("param_"): value for name, value in bound.items()}
