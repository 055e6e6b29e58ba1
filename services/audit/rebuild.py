"""Write what SQL computes over what is stored, for a span of event time. All of it happens in ClickHouse.

A row that is wrong may have the right version, or a higher one, so writing over it is not enough: the span's rows are
deleted first. They are computed before that, into a table of their own, so a failure in computing leaves everything as
it was, and the board misses the rows only for the moment between deleting and copying. A rebuild that is cut short
there is repeated: it gives the same rows each time.

The running stream may go on. A rebuilt window has the version that the worker would give it (edits + reverted), so
the worker's next upsert of an open window has a higher one and stands. What the worker has written to `fronts` but not
yet to `edits` must not be deleted: the span ends where `audit`'s does.
"""

# ruff: noqa: S608 - names of tables and columns are the project's own, values go as parameters

from secrets import token_hex

from clickhouse_connect.driver.client import Client

from services.audit.definitions import Definition
from services.audit.spans import Span


def rebuild(client: Client, definition: Definition, span: Span, source: str) -> int:
    """Rebuild a table's rows; returns how many there are now. `client` is the writer's. Raises ClickHouse's errors."""
    table = definition.table.name
    columns = ", ".join((*definition.table.columns, *definition.carried))
    computed = f"rebuilt_{table}_{token_hex(4)}"
    parameters = {**span._asdict(), "source": source}
    client.command(f"CREATE TABLE {computed} AS {table}")
    try:
        client.command(f"INSERT INTO {computed} ({columns}) SELECT {columns} FROM (\n{definition.query}\n)", parameters)
        client.command(f"DELETE FROM {table} WHERE {definition.in_span}", parameters)
        client.command(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {computed}")
        return int(client.command(f"SELECT count() FROM {computed}"))  # type: ignore[arg-type] # one number
    finally:
        client.command(f"DROP TABLE {computed}")
