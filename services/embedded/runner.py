"""One statement from call to answer, in one worker thread: connection, permission, engine."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import chain

from services.embedded.access import Account, reader_settings
from services.embedded.engine import Connection, Engine, Kind, Result, Summary
from services.embedded.errors import Code, QueryError
from services.embedded.parameters import Parameters
from services.embedded.sessions import Sessions
from services.embedded.statements import has_outfile, is_select, output_format, split_insert

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
    inserted: bool
    resources: ExitStack

    def next_piece(self) -> bytes | memoryview | None:
        """The next piece, None at the end. Raises QueryError."""
        return next(self.pieces, None)

    def close(self) -> None:
        """Cancel what still runs and give the connection back."""
        self.resources.close()


class Runner:
    """Runs calls on the engine. Its method blocks; call it in a worker thread."""

    def __init__(self, engine: Engine, sessions: Sessions) -> None:
        self._engine = engine
        self._sessions = sessions

    def run(self, call: Call) -> Answer:
        """Run a statement, streamed ones up to their first piece. Raises QueryError."""
        with ExitStack() as resources:
            connection = resources.enter_context(self._connection(call))
            self._prepare(connection, call)
            answer = _insert(connection, call, resources) or _execute(connection, call, resources)
            # from here on the answer's close() gives back what the stack holds
            answer.resources = resources.pop_all()
            return answer

    def close(self) -> None:
        """Close the sessions that no statement uses."""
        self._sessions.close()

    def _connection(self, call: Call) -> AbstractContextManager[Connection]:
        session = call.parameters.session
        if session is None or call.account is Account.READER:
            return self._engine.connection()
        return self._sessions.connection(session)

    def _prepare(self, connection: Connection, call: Call) -> None:
        """Database and settings of the request; a session keeps the settings that its requests send along."""
        asked = call.parameters.settings
        reader = call.account is Account.READER
        in_session = call.parameters.session is not None and not reader
        # a session's database changes only where a request names one; and its readonly could not be taken back,
        # so there a GET is held to reading by `permit` alone
        database = call.parameters.database or ("" if in_session else self._engine.database)
        settings = reader_settings(asked) if reader else asked
        connection.prepare(database, settings, readonly=reader or (call.readonly and not in_session))


def permit(call: Call, kind: Kind) -> None:
    """Refuse what the account or the method does not allow. Raises QueryError."""
    if kind is Kind.CONTROL and has_outfile(call.sql):
        raise QueryError(Code.INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed")
    if kind is Kind.READ:
        return
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


def _insert(connection: Connection, call: Call, resources: ExitStack) -> Answer | None:
    """Run an INSERT whose data follow it; None where the statement is another."""
    insert = split_insert(call.sql)
    if insert is None:
        return None
    permit(call, Kind.WRITE)
    summary = connection.insert(insert.statement, insert.format, insert.data)
    return Answer(iter(()), summary, "", True, resources)


def _execute(connection: Connection, call: Call, resources: ExitStack) -> Answer:
    kind = connection.kind(call.sql)
    permit(call, kind)
    default_format = call.parameters.default_format or DEFAULT_FORMAT
    bound = call.parameters.bound
    format_name = output_format(call.sql, default_format) if kind is Kind.READ else ""
    if format_name in STREAMED and not call.parameters.whole and is_select(call.sql):
        stream = connection.stream(call.sql, default_format, bound)
        resources.callback(stream.close)
        first = next(stream, b"")  # an error before the first piece can still become a status
        return Answer(chain([first], stream), Summary(), format_name, False, resources)
    result = connection.run(call.sql, default_format, bound)
    format_name = format_name or (default_format if result.body else "")
    return Answer(_pieces(result), result.summary, format_name, result.summary.written_rows > 0, resources)


def _pieces(result: Result) -> Iterator[memoryview]:
    for begin in range(0, len(result.body), PIECE):
        yield result.body[begin : begin + PIECE]
