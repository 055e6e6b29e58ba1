"""The JSON API: named queries as `GET /api/v1/NAME`, the same in both ways to run. Pure.

ClickHouse server takes the statements of `api_sql` out of its configuration (clickhouse/config.d/api.xml, made by
`make docs`), the embedded endpoint out of here. A URL has texts only and may leave parameters out, and the server knows
neither defaults nor `now-1h`; so the statement itself reads the texts, in SQL. Then nothing can differ.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from services.common.queries import NAME, PARSERS, NamedQuery, Parameter, all_queries, load, prepend

PREFIX = "/api/v1/"
FORMATS = {"": "JSON", ".csv": "CSVWithNames"}  # by what stands behind the name

_PLACEHOLDER = re.compile(r"\{(\w+):[^}]+\}")
# `now`, and whole seconds, minutes, hours or days before it
_RELATIVE = r"^now(-[0-9]+[smhd])?$"


def api_sql(query: NamedQuery, format_name: str) -> str:
    """The statement that answers a request: every parameter may be missing, and comes as text."""
    parameters = list(query.parameters.values())
    times = [parameter for parameter in parameters if parameter.type == "DateTime('UTC')"]
    # a constant for each, so that conditions on it reach the primary key
    lines = [f"(SELECT now FROM\n(\n{load('source').sql}\n)) AS api_newest"] if times else []
    lines += [_time(parameter) for parameter in times]
    values = {parameter.name: f"api_{parameter.name}" for parameter in times} | {
        parameter.name: _inline(parameter) for parameter in parameters if parameter not in times
    }
    sql = _PLACEHOLDER.sub(lambda match: values[match[1]], query.sql)
    if lines:
        sql = prepend("WITH\n" + ",\n".join(lines), sql)
    return f"{sql}\nFORMAT {format_name}"


def _text(parameter: Parameter) -> str:
    """What the request says, or else the default, as text."""
    default = (parameter.default or "").replace("\\", "\\\\").replace("'", "\\'")
    if parameter.default is None:
        return f"{{{parameter.name}:String}}"
    # ClickHouse takes a missing Nullable parameter for NULL since 26.2
    return f"ifNull({{{parameter.name}:Nullable(String)}}, '{default}')"


def _time(parameter: Parameter) -> str:
    # a query of its own, so that it is a constant to the one around it
    text = _text(parameter)
    return f"""assumeNotNull((
    WITH
        {text} AS given,
        match(given, '{_RELATIVE}') AS relative,
        toUInt32OrZero(extract(given, '[0-9]+')) AS count,
        transform(right(given, 1), ['s', 'm', 'h', 'd'], [1, 60, 3600, 86400], 0) AS unit
    SELECT if(
        relative,
        ifNull(api_newest, now('UTC')) - count * unit,
        parseDateTimeBestEffort(if(relative, '2000-01-01', given), 'UTC')) -- both branches are computed
)) AS api_{parameter.name}"""


def _inline(parameter: Parameter) -> str:
    text = _text(parameter)
    texts = f"arrayFilter(item -> item != '', arrayMap(item -> trimBoth(item), splitByChar(',', {text})))"
    match parameter.type:
        case "UInt32":
            return f"accurateCast({text}, 'UInt32')"
        case "Array(String)":
            return texts
        case "Array(Int32)":
            return f"arrayMap(item -> accurateCast(item, 'Int32'), {texts})"
        case _:
            return text


def listing() -> dict[str, Any]:
    """What `GET /api/v1/` answers: every query with its addresses and parameters."""
    return {"queries": [_describe(query) for query in all_queries()]}


def _describe(query: NamedQuery) -> dict[str, Any]:
    return {
        "name": query.name,
        "description": query.description,
        "path": PREFIX + query.name,
        "csv": f"{PREFIX}{query.name}.csv",
        "parameters": [
            parameter._asdict() | {"expected": PARSERS[parameter.type].expected}
            for parameter in query.parameters.values()
        ],
    }


def find(path: str) -> tuple[NamedQuery, str] | None:
    """The query and the format behind an address below PREFIX; None where there is none."""
    match = re.fullmatch(rf"({NAME})(\.csv)?", path)
    names = {query.name: query for query in all_queries()}
    return (names[match[1]], FORMATS[match[2] or ""]) if match and match[1] in names else None


def not_found() -> str:
    """What any other address below PREFIX answers, with status 404."""
    return f"There is no such query. {PREFIX} lists them.\n"


def refusal(query: NamedQuery, values: Mapping[str, str]) -> str:
    """One line for a request with status 400: which values cannot be read, and what is expected.

    Where each looks well (ClickHouse reads a few ways of writing a time, and we know others), any may be the cause.
    """
    given = {name: parameter for name, parameter in query.parameters.items() if name in values}
    wrong = [name for name, parameter in given.items() if not _readable(parameter.type, values[name])]
    suspects = wrong or [name for name in given if given[name].type not in _TEXTS] or list(given)
    return " ".join(
        f"{name}: expected {PARSERS[given[name].type].expected}; got {values[name][:100]!r}." for name in suspects
    )


_TEXTS = ("String", "Array(String)")
_WHOLE = re.compile(r"[+-]?[0-9]+")


def _readable(type_name: str, text: str) -> bool:
    """Whether the statement can surely read a value."""
    match type_name:
        case "UInt32":
            return bool(_WHOLE.fullmatch(text)) and 0 <= int(text) < 2**32
        case "Array(Int32)":
            items = [item.strip() for item in text.split(",") if item.strip()]
            return all(_WHOLE.fullmatch(item) and -(2**31) <= int(item) < 2**31 for item in items)
        case "DateTime('UTC')":
            return bool(re.fullmatch(rf"{_RELATIVE}|[0-9]+", text)) or _is_iso(text)
        case _:
            return text.count("\\") % 2 == 0  # one backslash alone begins a sign like `\\t`, mostly none that there is


def _is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def no_parameter(query: NamedQuery, names: Iterable[str]) -> str:
    """One line for a request that names what the query does not have."""
    known = ", ".join(query.parameters) or "none"
    return f"{query.name} has no parameter {', '.join(sorted(names))[:100]}; it has: {known}."


def split_values(query: NamedQuery, items: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """URL parameters that are the query's own, as `NAME` or `param_NAME`, and all others. As ClickHouse does it."""
    values: dict[str, str] = {}
    others: list[tuple[str, str]] = []
    for name, value in items:
        plain = name.removeprefix("param_")
        if name in query.parameters or name != plain:
            values[plain] = value
        else:
            others.append((name, value))
    return values, others
