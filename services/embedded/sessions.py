"""Sessions of the writer: requests with one `session_id` share a connection, and so SET, USE and temporary tables.

clickhouse-connect makes a session for each client unless told otherwise. The reader has none: nothing that it may
do would be there in the next request.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from services.embedded.engine import Connection, Engine
from services.embedded.errors import Code, QueryError
from services.embedded.parameters import Session

MAX_SESSIONS = 200  # each keeps a connection and its temporary tables; the longest idle one makes room


@dataclass
class _Open:
    connection: Connection
    resources: ExitStack
    timeout: int  # seconds
    busy: bool
    used: float  # monotonic seconds


class Sessions:
    """The open sessions. Methods are safe to call from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()

    @contextmanager
    def connection(self, session: Session) -> Iterator[Connection]:
        """The session's connection, for one statement at a time. Raises QueryError where it is busy or missing."""
        entry = self._take(session)
        try:
            yield entry.connection
        finally:
            with self._lock:
                entry.busy, entry.used = False, time.monotonic()

    def close(self) -> None:
        """Close every session that no statement uses."""
        with self._lock:
            self._forget([name for name, entry in self._open.items() if not entry.busy])

    def _take(self, session: Session) -> _Open:
        with self._lock:
            now = time.monotonic()
            self._forget([n for n, e in self._open.items() if not e.busy and now - e.used > e.timeout])
            entry = self._open.get(session.name)
            if entry is None:
                if session.must_exist:
                    raise QueryError(Code.SESSION_NOT_FOUND, f"Session {session.name[:100]!r} not found")
                idle = sorted((e.used, n) for n, e in self._open.items() if not e.busy)
                self._forget([name for _, name in idle[: max(0, len(self._open) + 1 - MAX_SESSIONS)]])
                resources = ExitStack()
                connection = resources.enter_context(self._engine.connection())
                entry = self._open[session.name] = _Open(connection, resources, session.timeout, False, now)
            elif entry.busy:
                raise QueryError(
                    Code.SESSION_IS_LOCKED, f"Session {session.name[:100]!r} is locked by a concurrent client"
                )
            entry.busy, entry.timeout = True, session.timeout
            return entry

    def _forget(self, names: list[str]) -> None:
        for name in names:
            self._open.pop(name).resources.close()
