"""Rows into ClickHouse: between Quix's checkpoints and at each, before its offsets are committed.

A crash before they are replays the messages: every row has a natural key and a version, so that a replay changes
nothing.
"""

import time
from bisect import bisect
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Lock
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
    CONSEQUENCES,
    DEAD_LETTERS,
    DUPLICATES,
    EDITS,
    FRONTS,
    LEDGER,
    REVERTS,
    Table,
)

RETRY_AFTER = 3.0  # seconds that all partitions pause when ClickHouse is away or asks for time

# Rows are written between checkpoints when there are so many edits, which bounds the memory, or after so many seconds.
# Each insert costs ClickHouse 10 to 20 ms a table, however few its rows: pieces of 4,096 edits cost it twice as much a
# change as of 16,384. So where a piece takes long to write, the next one may grow for WRITE_REST times as long: several
# workers on few cores would else make ever smaller pieces the shorter the cores are.
WRITE_AHEAD = 16_384
WRITE_AFTER = 1.5  # by default; what a change waits while more come. The next checkpoint is the end of waiting else
WRITE_REST = 4
PIECES = 2  # that are being written at once; they bound the memory

# ClickHouse's codes for "not now": time-out, too many queries, network, memory limit, read-only for the moment,
# no space, too many parts. https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
PASSING_CODES = frozenset({159, 202, 209, 210, 241, 242, 243, 252, 425})

_SHARD, _SOURCE, _TIMESTAMP = (EDITS.columns.index(name) for name in ("shard", "source", "timestamp"))

_encode_lines = msgspec.json.Encoder().encode_lines

log = structlog.get_logger()


class ClickHouseSink(BaseSink):
    """Collects the rows of a checkpoint and writes each table with one insert, or with several of a full checkpoint.

    Threads write, beside the fold: a worker that catches up would else spend a third of its time waiting for
    ClickHouse. An insert mostly waits too, for the disk: so each table has a thread of its own, and a piece's
    `edits` are written while what follows from the next piece's already is:

        piece 1   fronts, reverts, battles ...   edits
        piece 2                                  fronts, reverts, battles ...   edits

    What was written ahead is no more than what a crash in the middle of a flush leaves behind.

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
        self._connecting = Lock()
        self._on_stored = on_stored
        self._on_refused = on_refused
        self._write_after = write_after
        self._rows = no_rows()
        # what is given to a table's thread is written in that order; the ledger follows in that of `edits`
        self._writers = {table: ThreadPoolExecutor(1, table.name) for table in (*CONSEQUENCES, EDITS)}
        self._ahead: deque[Future[None]] = deque()  # the newest pieces that were given to them before the checkpoint
        self._edits = 0  # in all such pieces
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
        pieces, edits = [*self._ahead, self._give(self._rows)], self._edits + len(self._rows.edits)
        self._begin()
        try:
            for piece in pieces:
                piece.result()
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
        self._rows, self._edits = no_rows(), 0
        self._ahead.clear()
        self._written = time.monotonic()

    def _write_ahead(self) -> None:
        """Give the writers what is there, without the ledger, when they have less than PIECES to write."""
        if len(self._ahead) == PIECES:
            if self._ahead[0].exception() is not None:
                return  # the flush will tell
            self._ahead.popleft()
        rows, self._rows = self._rows, no_rows()
        self._rows.ledger.extend(rows.ledger)
        self._edits += len(rows.edits)
        self._written = time.monotonic()
        self._ahead.append(self._give(rows._replace(ledger=[])))

    def _give(self, rows: Rows) -> "Future[None]":
        """Have a piece written; the end of that.

        Its edits wait for what follows from them, and for the piece before: where that failed, so do they, since
        later edits must not be stored without those before them.
        """
        by_table: dict[Table, list[tuple[Any, ...]]] = {
            FRONTS: list(rows.fronts.values()),
            REVERTS: rows.reverts,
            BATTLES: list(rows.battles.values()),
            ALERTS: rows.alerts,
            DUPLICATES: rows.duplicates,
            DEAD_LETTERS: rows.dead_letters,
        }
        before = [self._writers[table].submit(self._insert, table, of) for table, of in by_table.items() if of]
        before += list(self._ahead)[-1:]
        return self._writers[EDITS].submit(self._write_edits, rows, before, time.monotonic())

    def _write_edits(self, rows: Rows, before: "list[Future[None]]", began: float) -> None:
        for one in before:
            one.result()
        if rows.edits:
            for piece in in_order(rows.edits):
                self._insert(EDITS, piece)
        if rows.ledger:
            self._insert(LEDGER, rows.ledger)
        self._took = time.monotonic() - began

    def _insert(self, table: Table, rows: list[tuple[Any, ...]]) -> None:
        try:
            insert(self._connected(), table, rows)
        except OperationalError:
            self._client = None  # the next attempt connects anew
            raise

    def _connected(self) -> Client:
        with self._connecting:
            client = self._client = self._client or self._client_factory()
        return client

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
