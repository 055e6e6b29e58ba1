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

from collections.abc import Callable, Sequence
from secrets import token_hex

from clickhouse_connect.driver.client import Client

from services.audit.definitions import Definition
from services.audit.spans import Span


def rebuild(
    client: Client, definition: Definition, pieces: Sequence[Span], source: str, on_computed: Callable[[Span], None]
) -> int:
    """Rebuild a table's rows; returns how many there are now.

    `pieces` follow each other without a gap; each is computed by a query of its own, and `on_computed` is told of it.
    All are replaced at once: a delete waits for ClickHouse's background work, a second or more whatever its size.
    `client` is the writer's. Raises ClickHouse's errors.
    """
    table = definition.table.name
    columns = ", ".join((*definition.table.columns, *definition.carried))
    computed = f"rebuilt_{table}_{token_hex(4)}"
    whole = {"since": pieces[0].since, "until": pieces[-1].until, "source": source}
    client.command(f"CREATE TABLE {computed} AS {table}")
    try:
        for piece in pieces:
            select = f"SELECT {columns} FROM (\n{definition.query}\n)"
            client.command(f"INSERT INTO {computed} ({columns}) {select}", {**piece._asdict(), "source": source})
            on_computed(piece)
        client.command(f"DELETE FROM {table} WHERE {definition.in_span}", whole)
        client.command(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {computed}")
        return int(client.command(f"SELECT count() FROM {computed}"))  # type: ignore[arg-type] # one number
    finally:
        client.command(f"DROP TABLE {computed}")
