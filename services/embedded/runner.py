"""One statement from call to answer, in one worker thread: connection, permission, engine."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice

from services.embedded.access import Account, reader_settings, split_plain
from services.embedded.engine import Connection, Engine, Kind, Result, Summary
from services.embedded.errors import Code, QueryError
from services.embedded.parameters import Parameters
from services.embedded.sessions import Sessions
from services.embedded.statements import is_select, names_file, output_format, split_insert

DEFAULT_FORMAT = "TabSeparated"
PIECE = 1024 * 1024  # bytes of a result handed on at once
# Formats without a head or tail, whose blocks can simply follow each other
STREAMED = {"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"}


@dataclass(frozen=True)
class Call:
    """A statement that somebody wants run."""

    account: Account
    sql: bytes
    parameters: Parameters
    readonly: bool  # asked for with GET, which changes nothing


@dataclass
class Answer:
    """A statement's result, whose pieces may still be computed while they are taken. Close it in any case."""

    pieces: Iterator[bytes | memoryview]
    summary: Summary  # of zeros where the result is still being computed
    format: str  # "" where the statement has no result
    inserted: bool = False
    running: ExitStack | None = None  # what a result that is still being computed holds; None: all is in memory

    def next_piece(self) -> bytes | memoryview | None:
        """The next piece, None at the end; it may wait for the engine while `running`. Raises QueryError."""
        return next(self.pieces, None)

    def close(self) -> None:
        """Cancel what still runs and give the connection back."""
        if self.running:
            self.running.close()


class Runner:
    """Runs calls on the engine. Its method blocks; call it in a worker thread."""

    def __init__(self, engine: Engine, sessions: Sessions) -> None:
        self._engine = engine
        self._sessions = sessions

    def run(self, call: Call) -> Answer:
        """Run a statement, a long result only as far as its first pieces. Raises QueryError."""
        with ExitStack() as resources:
            connection = self._connection(call, resources)
            insert = split_insert(call.sql)
            if insert:
                permit(call, Kind.WRITE, insert.target)  # without the data, which may say anything
                summary = connection.insert(insert, self._engine.incoming)
                return Answer(iter(()), summary, "", inserted=True)
            kind = connection.kind(call.sql)
            permit(call, kind, call.sql)
            answer = _execute(connection, call, kind, resources)
            if answer.running:
                answer.running = resources.pop_all()  # from here on the answer's close() gives it back
            return answer

    def close(self) -> None:
        """Close the sessions that no statement uses."""
        self._sessions.close()

    def _connection(self, call: Call, resources: ExitStack) -> Connection:
        """A connection with the request's database and settings."""
        asked = call.parameters
        if call.account is Account.READER:
            plain, other = split_plain(reader_settings(asked.settings))
            if not asked.database and not other:  # as nearly always: all of it in one step
                return resources.enter_context(self._engine.connection({**plain, "readonly": "1"}))
            connection = resources.enter_context(self._engine.connection(plain))
            connection.prepare(asked.database, {**other, "readonly": "1"})
            return connection
        if asked.session:
            # The settings that come along stay in the session, as clients send the same with each request. Readonly
            # could not be taken back: there, a GET is held to reading by `permit` alone.
            connection = resources.enter_context(self._sessions.connection(asked.session))
            connection.prepare(asked.database, asked.settings)
            return connection
        connection = resources.enter_context(self._engine.connection())
        connection.prepare(asked.database, {**asked.settings, **({"readonly": "1"} if call.readonly else {})})
        return connection


def permit(call: Call, kind: Kind, statement: bytes) -> None:
    """Refuse what the account or the method does not allow. Raises QueryError."""
    if kind is Kind.READ:
        return
    named = names_file(statement)
    if named == b"OUTFILE":
        raise QueryError(Code.INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed")
    if named == b"INFILE":
        raise QueryError(Code.UNKNOWN_TYPE_OF_QUERY, "Query has infile and was sent directly to the server")
    if call.account is Account.READER:
        raise QueryError(
            Code.READONLY,
            "Cannot execute query in readonly mode. A request without credentials can only read; "
            "the user `writer` has its password in DATA_DIR/clickhouse/writer-password.",
        )
    if call.readonly:
        raise QueryError(
            Code.READONLY,
            "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
            "You should use method POST for modifying queries.",
        )


def _execute(connection: Connection, call: Call, kind: Kind, resources: ExitStack) -> Answer:
    default_format = call.parameters.default_format or DEFAULT_FORMAT
    bound = call.parameters.bound
    format_name = output_format(call.sql, default_format) if kind is Kind.READ else ""
    if format_name in STREAMED and not call.parameters.whole and is_select(call.sql):
        stream = connection.stream(call.sql, default_format, bound)
        resources.callback(stream.close)
        # an error before the second piece can still become a status, and most results have one piece
        begin = list(islice(stream, 2))
        return Answer(chain(begin, stream), Summary(), format_name, running=resources if len(begin) == 2 else None)
    result = connection.run(call.sql, default_format, bound)
    format_name = format_name or (default_format if result.body else "")
    return Answer(_pieces(result), result.summary, format_name, inserted=result.summary.written_rows > 0)


def _pieces(result: Result) -> Iterator[memoryview]:
    """The body in pieces; it keeps the result, whose memory they are, alive."""
    for begin in range(0, len(result.body), PIECE):
        yield result.body[begin : begin + PIECE]
