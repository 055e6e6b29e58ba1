"""Named queries: `clickhouse/queries/NAME.sql`, the only SQL that the board, the command and the API read with.

A file says what it answers, then names its parameters, then holds one SELECT with server-side parameters:

    -- The pages with the most reverts.
    -- param since: begin of the range, included [default now-1h]
    -- param limit: at most this many pages [default 20]
    SELECT ... WHERE timestamp >= {since:DateTime('UTC')} ... LIMIT {limit:UInt32}

The type stands in the SELECT alone. A time may be relative to `now`, the board's now: the clock while what plays is
live, else the end of the newest event's second (see `source.sql`).

What several queries build on has a file of its own: a line `-- uses NAME` puts that one's SELECT in front, as a common
table expression of its name, and its parameters with it.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.query import QueryResult

from services.common.settings import PROJECT_ROOT

QUERIES = PROJECT_ROOT / "clickhouse" / "queries"

NAME = r"[a-z0-9_]+"  # of a query, as a regular expression

_DESCRIPTION = re.compile(r"-- (?!param |uses )(.+)")
_USES = re.compile(r"-- uses (\w+)")
_PARAMETER = re.compile(r"-- param (\w+): (.+?)(?: \[default (.*)\])?")
_PLACEHOLDER = re.compile(r"\{(\w+):([^}]+)\}")
_RELATIVE = re.compile(r"now(?:-(\d+)([smhd]))?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class QueryError(Exception):
    """Base of what can be wrong with a query by name; the message says what to do."""


class UnknownQuery(QueryError):
    """No file of that name."""


class BadQueryFile(QueryError):
    """A file does not keep to the format."""


class BadParameter(QueryError):
    """A parameter is missing, unknown, or has a value that its type cannot hold."""


class Parameter(NamedTuple):
    """One parameter; `default` is None where a value must be given."""

    name: str
    type: str  # a key of PARSERS
    meaning: str
    default: str | None


class NamedQuery(NamedTuple):
    """One file."""

    name: str
    description: str
    sql: str
    parameters: dict[str, Parameter]
    uses: str = ""  # the query that it builds on


def _time(value: object, now: Callable[[], datetime]) -> datetime:
    if isinstance(value, str) and (match := _RELATIVE.fullmatch(value)):
        amount, unit = match.groups()
        return now() - timedelta(**{_UNITS[unit]: int(amount)}) if amount else now()
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise ValueError("not a time")
    # ClickHouse keeps UTC, and so does everyone who leaves the zone out
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _unsigned(value: object, _now: Callable[[], datetime]) -> int:
    number = int(str(value))
    if not 0 <= number < 2**32:
        raise ValueError("out of range")
    return number


def _text(value: object, _now: Callable[[], datetime]) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _texts(value: object, now: Callable[[], datetime]) -> list[str]:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return [_text(item, now) for item in _items(value)]


def _integers(value: object, now: Callable[[], datetime]) -> list[int]:
    numbers = [int(item) for item in (_texts(value, now) if isinstance(value, str) else _items(value))]
    if not all(-(2**31) <= number < 2**31 for number in numbers):
        raise ValueError("out of range")
    return numbers


def _items(value: object) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError("not a list")
    return list(value)


class _Parser(NamedTuple):
    parse: Callable[[object, Callable[[], datetime]], Any]
    expected: str


PARSERS = {
    "DateTime('UTC')": _Parser(_time, "a time such as 2024-12-07T12:00:00Z, now or now-90m (s, m, h, d)"),
    "UInt32": _Parser(_unsigned, "a whole number from 0 to 4294967295"),
    "String": _Parser(_text, "a text"),
    "Array(String)": _Parser(_texts, "texts, separated by commas"),
    "Array(Int32)": _Parser(_integers, "whole numbers, separated by commas"),
}


def parse_query(name: str, text: str) -> NamedQuery:
    """A file's text as a query. Raises BadQueryFile."""
    lines = text.splitlines()
    header = [line for line in lines if line.startswith("--")]
    description = _DESCRIPTION.fullmatch(header[0]) if header else None
    if lines[: len(header)] != header or description is None:
        raise BadQueryFile(f"{name}.sql: begin with one line `-- What it answers.`, then its `-- param` lines.")
    sql = "\n".join(lines[len(header) :]).strip()
    types: dict[str, str] = {}
    for placeholder, kind in _PLACEHOLDER.findall(sql):
        if types.setdefault(placeholder, kind) != kind or kind not in PARSERS:
            raise BadQueryFile(f"{name}.sql: {{{placeholder}:{kind}}}: use one type of {', '.join(PARSERS)}.")
    parameters = {}
    uses = ""
    for line in header[1:]:
        if match := _USES.fullmatch(line):
            uses = match[1]
            continue
        match = _PARAMETER.fullmatch(line)
        if match is None or match[1] not in types:
            raise BadQueryFile(f"{name}.sql: {line!r} is no `-- param NAME: meaning` of a {{NAME:Type}} in the SELECT.")
        parameters[match[1]] = Parameter(match[1], types[match[1]], match[2], match[3])
    if missing := types.keys() - parameters.keys():
        raise BadQueryFile(f"{name}.sql: add a `-- param` line for {', '.join(sorted(missing))}.")
    if ";" in sql or not re.match(r"(WITH|SELECT)\b", sql):
        raise BadQueryFile(f"{name}.sql: write one SELECT without a semicolon.")
    return NamedQuery(name, description[1], sql, parameters, uses)


def build_on(query: NamedQuery, base: NamedQuery) -> NamedQuery:
    """`query` with `base` as a common table expression in front; its parameters come along. Raises BadQueryFile."""
    for parameter in base.parameters.values():
        if query.parameters.get(parameter.name, parameter).type != parameter.type:
            raise BadQueryFile(
                f"{query.name}.sql: {parameter.name} is {parameter.type} in {base.name}.sql: use one type."
            )
    sql = prepend(f"WITH\n{base.name} AS\n(\n{base.sql}\n)", query.sql)
    return query._replace(sql=sql, parameters=base.parameters | query.parameters)


def prepend(head: str, sql: str) -> str:
    """A SELECT with more in its WITH clause: `head` begins with WITH, and comes before what is there."""
    return head + (re.sub(r"^WITH\b", ",", sql) if sql.startswith("WITH") else f"\n{sql}")


@lru_cache
def load(name: str) -> NamedQuery:
    """The query of that name. Raises UnknownQuery, BadQueryFile."""
    path = QUERIES / f"{name}.sql"
    # a name is a file's stem and nothing else: `../migrations/0001_edits` is none
    if not re.fullmatch(NAME, name) or not path.is_file():
        raise UnknownQuery(f"There is no query {name!r}; there are: {', '.join(query_names())}.")
    query = parse_query(name, path.read_text(encoding="utf-8"))
    return build_on(query, load(query.uses)) if query.uses else query


def query_names() -> list[str]:
    """The names of all queries, in order."""
    return sorted(path.stem for path in QUERIES.glob("*.sql"))


def all_queries() -> list[NamedQuery]:
    """All queries, by name. Raises BadQueryFile."""
    return [load(name) for name in query_names()]


def bind(query: NamedQuery, values: Mapping[str, object], now: Callable[[], datetime]) -> dict[str, Any]:
    """Every parameter's value, typed, with defaults filled in. Raises BadParameter.

    `now` is called only where a time is relative to it.
    """
    if unknown := values.keys() - query.parameters.keys():
        known = ", ".join(query.parameters) or "none"
        raise BadParameter(f"{query.name} has no parameter {', '.join(sorted(unknown))}; it has: {known}.")
    bound = {}
    for parameter in query.parameters.values():
        value = values.get(parameter.name, parameter.default)
        if value is None:
            raise BadParameter(f"{query.name} needs {parameter.name}: {parameter.meaning}.")
        parser = PARSERS[parameter.type]
        try:
            bound[parameter.name] = parser.parse(value, now)
        except (ValueError, OverflowError):
            raise BadParameter(f"{parameter.name}: expected {parser.expected}; got {value!r}.") from None
    return bound


def board_now(client: Client) -> datetime:
    """The board's now: the clock while what plays is live (or nothing is stored), else the newest event's end."""
    rows = client.query(load("source").sql, tz_mode="aware").named_results()
    return next((row["now"] for row in rows), datetime.now(UTC))


def run_query(client: Client, name: str, **params: object) -> QueryResult:
    """Run a query by name; times in the result are aware, in UTC.

    Raises QueryError, and clickhouse-connect's DatabaseError where ClickHouse refuses or is away.
    """
    query = load(name)
    bound = bind(query, params, lambda: board_now(client))
    return client.query(query.sql, parameters=bound, tz_mode="aware")
