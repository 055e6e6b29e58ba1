"""Rows into ClickHouse: between Quix's checkpoints and at each, before its offsets are committed.

A crash before they are replays the messages: every row has a natural key and a version, so that a replay changes
nothing.
"""

import time
from bisect import bisect
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from quixstreams.sinks import BaseSink, SinkBackpressureError

from services.worker.engage import Rows, no_rows
from services.worker.rows import (
    ALERTS,
    BATTLES,
    DEAD_LETTERS,
    DUPLICATES,
    EDITS,
    FRONTS,
    LEDGER,
    REVERTS,
    TABLES,
    Table,
)

RETRY_AFTER = 3.0  # seconds that all partitions pause when ClickHouse is away or asks for time

# Rows are written between checkpoints when there are so many edits, which bounds the memory, or after so many seconds.
# Each insert costs ClickHouse 10 to 20 ms a table, however few its rows: pieces of 4,096 edits cost it twice as much a
# change as of 16,384. So where a piece takes long to write, the next one may grow for WRITE_REST times as long: several
# workers on few cores would else make ever smaller pieces the shorter the cores are.
WRITE_AHEAD = 16_384
WRITE_AFTER = 1.0  # by default; what a change waits while more come. The next checkpoint is the end of waiting else
WRITE_REST = 4

# ClickHouse's codes for "not now": time-out, too many queries, network, memory limit, read-only for the moment,
# no space, too many parts. https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
PASSING_CODES = frozenset({159, 202, 209, 210, 241, 242, 243, 252, 425})

_SHARD, _SOURCE, _TIMESTAMP = (EDITS.columns.index(name) for name in ("shard", "source", "timestamp"))

_encode_lines = msgspec.json.Encoder().encode_lines

log = structlog.get_logger()


class ClickHouseSink(BaseSink):
    """Collects the rows of a checkpoint and writes each table with one insert, or with several of a full checkpoint.

    A thread of its own writes, beside the fold: a worker that catches up would else spend a third of its time waiting
    for ClickHouse. What was written ahead is no more than what a crash in the middle of a flush leaves behind.

    `on_stored` is told after a flush that the rows so far are in ClickHouse, `on_refused` that they were dropped and
    their messages will come again.
    """

    def __init__(
        self,
        client_factory: Callable[[], Client],
        on_stored: Callable[[int], None],
        on_refused: Callable[[str], None],
        write_after: float = WRITE_AFTER,
    ) -> None:
        super().__init__()
        self._client_factory = client_factory
        self._client: Client | None = None
        self._on_stored = on_stored
        self._on_refused = on_refused
        self._write_after = write_after
        self._rows = no_rows()
        # one thread: what is given to it is written in that order, and nothing else uses the client
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sink")
        self._ahead: Future[None] | None = None  # the newest piece that was written before the checkpoint
        self._edits = 0  # in such pieces
        self._written = time.monotonic()
        self._took = 0.0  # seconds, to write the newest piece

    def add(self, value: Rows, *_: Any, **__: Any) -> None:
        """Collect what follows from one message."""
        self._rows.merge(value)
        waited = time.monotonic() - self._written
        if len(self._rows.edits) >= WRITE_AHEAD or waited > max(self._write_after, WRITE_REST * self._took):
            self._write_ahead()

    def flush(self) -> None:
        """Write all that was collected. Raises SinkBackpressureError when ClickHouse is away or overloaded."""
        rows, ahead, edits = self._rows, self._ahead, self._edits + len(self._rows.edits)
        self._begin()
        try:
            if ahead is not None:
                ahead.result()
            self._writer.submit(self._write, rows).result()
        except OperationalError as error:
            self._refuse(f"ClickHouse is away: {error}", error)
        except DatabaseError as error:
            if error.code not in PASSING_CODES:
                raise
            self._refuse(f"ClickHouse asks for time: {error}", error)
        self._on_stored(edits)

    def on_paused(self) -> None:
        """Another sink asked for time; what was collected comes again."""
        self._begin()

    def _begin(self) -> None:
        self._rows, self._ahead, self._edits = no_rows(), None, 0
        self._written = time.monotonic()

    def _write_ahead(self) -> None:
        """Give the writer what is there, without the ledger. One piece at a time: it bounds the memory.

        After a piece that failed nothing more is written: later edits must not be stored without those before them.
        """
        if self._ahead is not None and self._ahead.exception() is not None:
            return  # the flush will tell
        rows, self._rows = self._rows, no_rows()
        self._rows.ledger.extend(rows.ledger)
        self._edits += len(rows.edits)
        self._written = time.monotonic()
        self._ahead = self._writer.submit(self._write, rows._replace(ledger=[]))

    def _write(self, rows: Rows) -> None:
        began = time.monotonic()
        by_table: dict[Table, list[tuple[Any, ...]]] = {
            FRONTS: list(rows.fronts.values()),
            REVERTS: rows.reverts,
            BATTLES: list(rows.battles.values()),
            ALERTS: rows.alerts,
            DUPLICATES: rows.duplicates,
            DEAD_LETTERS: rows.dead_letters,
            EDITS: rows.edits,
            LEDGER: rows.ledger,
        }
        try:
            for table in TABLES:
                if rows_of_table := by_table[table]:
                    for piece in in_order(rows_of_table) if table is EDITS else [rows_of_table]:
                        insert(self._connected(), table, piece)
        except OperationalError:
            self._client = None  # the next attempt connects anew
            raise
        self._took = time.monotonic() - began

    def _connected(self) -> Client:
        if self._client is None:
            self._client = self._client_factory()
        return self._client

    def _refuse(self, reason: str, error: Exception) -> None:
        self._on_refused(reason)
        log.warning("pausing", reason=reason, seconds=RETRY_AFTER)
        raise SinkBackpressureError(retry_after=RETRY_AFTER) from error


def in_order(edits: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of EDITS, cut so that each piece has of each shard and source rows of one month alone; mostly one piece.

    An insert makes one part in each month that it touches, and a crash may fall between two of them. How far a shard
    has come is told by its newest row in `edits` (seed.py, the producer's positions.py), so that one must never be
    there without those before it.
    """
    times = [row[_TIMESTAMP] for row in edits]
    begins = _begins_of_months(min(times), max(times))
    while begins and edits:
        piece, rest = [], []
        month_of: dict[tuple[Any, ...], int | None] = {}  # of each shard and source in this piece; None: ends here
        for row in edits:
            line, month = (row[_SHARD], row[_SOURCE]), bisect(begins, row[_TIMESTAMP])
            if month_of.setdefault(line, month) == month:
                piece.append(row)
            else:
                month_of[line] = None
                rest.append(row)
        yield piece
        edits = rest
    if edits:
        yield edits


def _begins_of_months(oldest: int, newest: int) -> list[int]:
    """The begins of months after `oldest` and up to `newest`; all in seconds since 1970."""
    begins = []
    month = datetime.fromtimestamp(oldest, UTC).replace(day=1, hour=0, minute=0, second=0)
    while (month := (month + timedelta(days=31)).replace(day=1)).timestamp() <= newest:
        begins.append(int(month.timestamp()))
    return begins


def insert(client: Client, table: Table, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows as JSON lines.

    That takes a tenth of this process's time that ClickHouse's own columns take through this client, and costs
    ClickHouse half as much again. Dead letters hold raw bytes, which JSON cannot say: they go as columns.
    """
    # async inserts are on by default since 26.3; a checkpoint may only be committed over rows that are really written
    settings = {"async_insert": 0}
    if table is DEAD_LETTERS:
        client.insert(
            table.name,
            list(zip(*rows, strict=True)),
            column_names=table.columns,
            column_type_names=table.types,
            column_oriented=True,
            settings=settings,
        )
        return
    settings["input_format_json_named_tuples_as_objects"] = 0  # as lists, like the lines themselves
    client.raw_insert(table.name, table.columns, _encode_lines(rows), settings, fmt="JSONCompactEachRow")
