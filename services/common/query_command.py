"""`battlefield query`: run a named query as the reader, and print a table or JSON."""

import json
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from clickhouse_connect.driver.exceptions import DatabaseError
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from services.common.clickhouse import reader_client, refusal
from services.common.queries import NamedQuery, QueryError, all_queries, load, run_query
from services.common.settings import running_settings


@click.command("query")
@click.argument("name", required=False)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter's value; repeat for more.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array with one object per row.")
def command(name: str | None, params: tuple[str, ...], as_json: bool) -> None:
    """Run the query NAME of clickhouse/queries; without NAME list what there is."""
    settings = running_settings()
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # it logs what it raises as well
    try:
        if name is None:
            click.echo(_as_json(_catalogue()) if as_json else "\n\n".join(map(_describe, all_queries())))
            return
        load(name)  # a wrong name is told before ClickHouse is asked for
        values = dict(_split(param) for param in params)
        with reader_client(settings) as client:
            result = run_query(client, name, **values)
    except QueryError as error:
        raise click.ClickException(str(error)) from error
    except DatabaseError as error:
        raise click.ClickException(str(refusal(settings, error, reader=True))) from error
    if as_json:
        click.echo(_as_json(list(result.named_results())))
    elif result.result_rows:
        _print(Console(), result.column_names, result.result_rows)
    else:  # ClickHouse's Native format has no columns then
        click.echo("No rows.", err=True)


def _print(console: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table where it fits, else row by row."""
    table = as_table(columns, rows)
    if Measurement.get(console, console.options, table).maximum < console.width:
        console.print(table)
        return
    width = max(map(len, columns))
    for number, row in enumerate(rows, start=1):
        console.print(Text(f"{number}.", style="bold"))
        for column, value in zip(columns, row, strict=True):
            console.print(Text(f"  {column:<{width}}  {_cell(value)}"), soft_wrap=True)


def _split(param: str) -> tuple[str, str]:
    name, separator, value = param.partition("=")
    if not separator:
        raise click.BadParameter(f"expected NAME=VALUE, got {param!r}", param_hint="--param")
    return name, value


def _describe(query: NamedQuery) -> str:
    lines = [f"{query.name}: {query.description}"]
    for parameter in query.parameters.values():
        default = "required" if parameter.default is None else f"default: {parameter.default or 'none'}"
        lines.append(f"  {parameter.name} {parameter.type}: {parameter.meaning} ({default})")
    return "\n".join(lines)


def _catalogue() -> list[dict[str, Any]]:
    return [
        {"name": q.name, "description": q.description, "parameters": [p._asdict() for p in q.parameters.values()]}
        for q in all_queries()
    ]


def _as_json(value: object) -> str:
    def other(item: object) -> str:
        return item.isoformat() if isinstance(item, datetime) else str(item)

    return json.dumps(value, default=other, ensure_ascii=False, indent=2)


def as_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Rows for a terminal: numbers to the right, times in UTC, nothing that a stranger's title could do to it."""
    table = Table(header_style="bold")
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in rows)
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    return table


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, float):
        return f"{value:,.2f}"
    # escape sequences could rewrite the terminal, and bidirectional marks reorder the cells beside them
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
