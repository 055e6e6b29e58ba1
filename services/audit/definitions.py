"""What can be recomputed: each table with its key, its figures, and the query of clickhouse/queries that defines it."""

# ruff: noqa: S608 - names of tables and columns are the project's own, values go as parameters

from typing import Literal, NamedTuple

from clickhouse_connect.driver.client import Client

from services.audit.spans import Span
from services.common.queries import load
from services.worker.rows import ALERTS, BATTLES, FRONTS, REVERTS, Table

EXAMPLES = 20  # differing rows that are shown of each table


class Definition(NamedTuple):
    """One table; the query `recomputed_<table>` gives its rows for a span of event time and a source."""

    table: Table
    time: str  # the column that a span is of
    key: dict[str, str]  # name -> expression
    carried: tuple[str, ...] = ()  # columns that are written by a rebuild, and not compared
    end: str = ""  # the column of a row's end, where it may lie behind that of its begin, `time`; both are in the span

    @property
    def query(self) -> str:
        """The SELECT of its rows."""
        return load(f"recomputed_{self.table.name}").sql

    @property
    def figures(self) -> tuple[str, ...]:
        """The columns beside the key."""
        return tuple(column for column in self.table.columns if column not in self.key.values())

    @property
    def in_span(self) -> str:
        """The condition for the stored rows of a span."""
        return (
            f"{self.time} >= {{since:DateTime('UTC')}} AND {self.end or self.time} < {{until:DateTime('UTC')}}"
            " AND {source:String} IN ('', source)"
        )


def _rollup(name: str, time: str, **more: str) -> Table:
    figures = ("edits", "late", "creations", "reverts", "reverted")
    columns = {time: "DateTime('UTC')", "wiki": "String", **more, "actor": "String", "source": "String"}
    columns |= dict.fromkeys(figures, "UInt32") | dict.fromkeys(("bytes_added", "bytes_removed", "version"), "UInt64")
    return Table(name, tuple(columns), tuple(columns.values()))


def _columns(*names: str) -> dict[str, str]:
    return dict(zip(names, names, strict=True))


FRONTS_DEFINED = Definition(FRONTS, "window_start", _columns("window_start", "wiki", "shard", "actor", "source"))
REVERTS_DEFINED = Definition(
    REVERTS,
    "timestamp",
    # `reverts` is sorted by the hour; the second is a figure of the row
    {"hour": "toStartOfHour(timestamp)"} | _columns("wiki", "title", "rev_id", "source"),
)
# These two are made of reverts, which are few: a span is taken in one piece. What crossed a cut could not be compared.
BATTLES_DEFINED = Definition(BATTLES, "opened", _columns("wiki", "title", "battle_id"), end="updated")
ALERTS_DEFINED = Definition(ALERTS, "raised", {"hour": "toStartOfHour(raised)"} | _columns("wiki", "title", "alert_id"))
# a replay stores the same rows again, later
_CARRIED = ("raw_since",)
HOURLY_DEFINED = Definition(
    _rollup("fronts_hourly", "hour", namespace="Int32"),
    "hour",
    _columns("hour", "wiki", "namespace", "actor", "source"),
    carried=_CARRIED,
)
DAILY_DEFINED = Definition(
    _rollup("fronts_daily", "day"), "day", _columns("day", "wiki", "actor", "source"), carried=_CARRIED
)


class Mismatch(NamedTuple):
    """One row that is not as it should be."""

    kind: Literal["missing", "extra", "different"]  # missing: recomputed but not stored; extra: the other way round
    key: dict[str, str]
    figures: dict[str, list[str]]  # those that differ: what is stored, what it should be


class Comparison(NamedTuple):
    """A table, compared row for row over a span."""

    table: str
    rows: int  # keys on either side
    missing: int
    extra: int
    different: int
    examples: list[Mismatch]

    @property
    def mismatches(self) -> int:
        """Rows that are not as they should be."""
        return self.missing + self.extra + self.different

    def plus(self, other: "Comparison") -> "Comparison":
        """Both spans' figures in one, with the first examples of them."""
        return Comparison(
            self.table,
            self.rows + other.rows,
            self.missing + other.missing,
            self.extra + other.extra,
            self.different + other.different,
            (self.examples + other.examples)[:EXAMPLES],
        )


def compare(client: Client, definition: Definition, span: Span, source: str) -> Comparison:
    """Compare what is stored with what is recomputed; the rows of both sides meet in one GROUP BY of the key."""
    parameters = {**span._asdict(), "source": source}
    ((rows, missing, extra, different),) = client.query(_counting(definition), parameters).result_rows
    comparison = Comparison(definition.table.name, rows, missing, extra, different, [])
    if not comparison.mismatches:
        return comparison
    examples = client.query(_showing(definition), parameters).result_rows
    return comparison._replace(examples=[_mismatch(definition, *row) for row in examples])


def _keys(definition: Definition) -> str:
    return ", ".join(f"key_{n}" for n in range(len(definition.key)))


def _sides(definition: Definition, figures: str) -> str:
    """Both sides' rows: key, figures, and which side it is."""
    keys = ", ".join(f"{key} AS key_{n}" for n, key in enumerate(definition.key.values()))
    return (
        f"SELECT {keys}, {figures} AS figures, true AS is_stored"
        f" FROM (SELECT * FROM {definition.table.name} FINAL WHERE {definition.in_span})"
        f" UNION ALL SELECT {keys}, {figures} AS figures, false AS is_stored FROM (\n{definition.query}\n)"
    )


def _casts(definition: Definition) -> list[str]:
    """The figures in their columns' types: a sum is wider than the column that it is stored in."""
    types = dict(zip(definition.table.columns, definition.table.types, strict=True))
    return [f"CAST({name} AS {types[name]})" for name in definition.figures]


def _hash(definition: Definition) -> str:
    # as a text where it may be NULL: the hash of a NULL is NULL
    casts = [f"ifNull(toString({cast}), '')" if "Nullable" in cast else cast for cast in _casts(definition)]
    return f"cityHash64({', '.join(casts)})"


def _texts(definition: Definition) -> str:
    texts = [f"ifNull(toString({cast}), 'NULL')" for cast in _casts(definition)]
    return f"[{', '.join(texts)}]"


def _differences(definition: Definition) -> str:
    """Each key with how many rows each side has of it, and whether the sides differ.

    Sums of hashes instead of the rows themselves: memory for a key stays small, whatever its figures.
    """
    return (
        f"SELECT {_keys(definition)}, countIf(is_stored) AS stored, countIf(NOT is_stored) AS recomputed,"
        " sumIf(figures, is_stored) != sumIf(figures, NOT is_stored) OR stored != recomputed AS differs"
        f" FROM (\n{_sides(definition, _hash(definition))}\n) GROUP BY {_keys(definition)}"
    )


def _counting(definition: Definition) -> str:
    return (
        "SELECT count(), countIf(stored < recomputed), countIf(stored > recomputed),"
        f" countIf(differs AND stored = recomputed) FROM (\n{_differences(definition)}\n)"
    )


def _showing(definition: Definition) -> str:
    keys = _keys(definition)
    texts = ", ".join(f"toString(key_{n})" for n in range(len(definition.key)))
    shown = f"SELECT {keys} FROM (\n{_differences(definition)}\n) WHERE differs ORDER BY {keys} LIMIT {EXAMPLES}"
    return (
        f"SELECT [{texts}], groupArrayIf(figures, is_stored), groupArrayIf(figures, NOT is_stored)"
        f" FROM (\n{_sides(definition, _texts(definition))}\n)"
        f" WHERE ({keys}) IN (\n{shown}\n) GROUP BY {keys} ORDER BY {keys}"
    )


def _mismatch(definition: Definition, key: list[str], stored: list[list[str]], recomputed: list[list[str]]) -> Mismatch:
    names = dict(zip(definition.key, key, strict=True))
    if len(stored) != len(recomputed):
        return Mismatch("missing" if len(stored) < len(recomputed) else "extra", names, {})
    pairs = zip(definition.figures, stored[0], recomputed[0], strict=True)
    return Mismatch("different", names, {name: [is_, ought] for name, is_, ought in pairs if is_ != ought})
