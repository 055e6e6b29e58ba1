"""The URL parameters of ClickHouse's HTTP interface, sorted into what they mean."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.embedded.errors import Code, QueryError

MAX_SESSION_TIMEOUT = 3600  # seconds, as in ClickHouse

# Neither settings of the engine nor needed here: credentials are read before, the others steer what only a server
# has (progress in headers, quotas, roles) or what every answer here is anyway.
_IGNORED = {"buffer_size", "client_protocol_version", "close_session", "password", "quota_key", "role", "user"}
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Session:
    """A session that a request asks for."""

    name: str
    timeout: int = 60  # seconds without a request after which it is forgotten
    must_exist: bool = False


@dataclass(frozen=True)
class Parameters:
    """What the URL of a request says. `settings` holds all names that are not the interface's own."""

    query: str = ""
    database: str = ""
    default_format: str = ""
    query_id: str = ""
    session: Session | None = None
    whole: bool = False  # wait_end_of_query: the answer starts when the statement is done
    bound: dict[str, str] = field(default_factory=dict)  # of param_NAME
    settings: dict[str, str] = field(default_factory=dict)


def parse_parameters(items: Iterable[tuple[str, str]]) -> Parameters:
    """Parameters in URL order; a name given twice counts as it was given last. Raises QueryError."""
    own: dict[str, str] = {}
    bound: dict[str, str] = {}
    settings: dict[str, str] = {}
    for name, value in items:
        if name.startswith("param_"):
            bound[name.removeprefix("param_")] = value
        elif name in _OWN:
            own[name] = value
        elif name not in _IGNORED:
            if not _SETTING_NAME.fullmatch(name):
                raise QueryError(Code.BAD_ARGUMENTS, f"{name[:100]!r} is no name of a setting.")
            settings[name] = value
    for name in ("compress", "decompress"):
        if _is_on(own.get(name, "")):
            raise QueryError(
                Code.NOT_IMPLEMENTED,
                f"{name}=1 (ClickHouse's own block compression) is not known here: use Content-Encoding and "
                "Accept-Encoding.",
            )
    return Parameters(
        query=own.get("query", ""),
        database=own.get("database", ""),
        default_format=own.get("default_format", ""),
        query_id=own.get("query_id", ""),
        session=_session(own),
        whole=_is_on(own.get("wait_end_of_query", "")),
        bound=bound,
        settings=settings,
    )


_OWN = {
    "compress",
    "database",
    "decompress",
    "default_format",
    "query",
    "query_id",
    "session_check",
    "session_id",
    "session_timeout",
    "wait_end_of_query",
}


def _is_on(value: str) -> bool:
    return value.lower() in ("1", "true")


def _session(own: dict[str, str]) -> Session | None:
    name = own.get("session_id", "")
    if not name:
        return None
    timeout = own.get("session_timeout", "60")
    if not timeout.isascii() or not timeout.isdigit() or int(timeout) > MAX_SESSION_TIMEOUT:
        raise QueryError(
            Code.INVALID_SESSION_TIMEOUT,
            f"Invalid session timeout {timeout[:20]!r}: give seconds, {MAX_SESSION_TIMEOUT} at most.",
        )
    return Session(name, int(timeout), _is_on(own.get("session_check", "")))
