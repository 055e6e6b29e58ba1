"""ClickHouse's errors as its HTTP interface tells them: a code, a text, and an HTTP status."""

import re
from collections.abc import Mapping
from enum import IntEnum


class Code(IntEnum):
    """The error codes that this endpoint raises itself; the engine raises hundreds more."""

    BAD_ARGUMENTS = 36
    NOT_IMPLEMENTED = 48
    SYNTAX_ERROR = 62
    UNKNOWN_TYPE_OF_QUERY = 78
    UNKNOWN_COMPRESSION_METHOD = 89
    READONLY = 164
    TOO_MANY_SIMULTANEOUS_QUERIES = 202
    QUERY_IS_TOO_LARGE = 229
    NOT_ENOUGH_SPACE = 243
    CANNOT_DECOMPRESS = 271
    INTO_OUTFILE_NOT_ALLOWED = 358
    SESSION_NOT_FOUND = 372
    SESSION_IS_LOCKED = 373
    INVALID_SESSION_TIMEOUT = 374
    SETTING_CONSTRAINT_VIOLATION = 452
    ACCESS_DENIED = 497
    AUTHENTICATION_FAILED = 516
    PY_EXCEPTION_OCCURED = 800  # chDB's own, spelled as there
    UNKNOWN_EXCEPTION = 1002


# What the engine raises where a text is no number, time or escaped text: CANNOT_PARSE_TEXT, _ESCAPE_SEQUENCE,
# _QUOTED_STRING, _INPUT_ASSERTION_FAILED, _DATE, _DATETIME, _NUMBER.
UNREADABLE = {6, 25, 26, 27, 38, 41, 72}

# As in ClickHouse's src/Server/HTTP/exceptionCodeToHTTPStatus.cpp; every other code is a 500.
_BAD_REQUEST = [6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441]
_STATUS = {
    **dict.fromkeys([*_BAD_REQUEST, 675, 676], 400),
    194: 401,
    **dict.fromkeys([192, 193, 497, 512, 516], 403),
    **dict.fromkeys([46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511], 404),
    159: 408,
    381: 411,
    229: 413,
    779: 415,
    48: 501,
    **dict.fromkeys([76, 209, 439], 503),
}
_ENGINE_ERROR = re.compile(r"Code: (\d+)\. DB::\w*Exception: (.*)", re.DOTALL)
_NAME_AT_END = re.compile(r"\(([A-Z][A-Z_0-9]+)\)[.\s]*(?:\(version [^)]*\)[.\s]*)?$")


class QueryError(Exception):
    """A request that ClickHouse would answer with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status that ClickHouse gives this code."""
        return _STATUS.get(self.code, 500)

    def text(self, version: str) -> str:
        """The body of the answer, one line as from a server of that version."""
        named = bool(_NAME_AT_END.search(self.message)) or self.code not in Code._value2member_map_
        name = "" if named else f" ({Code(self.code).name})"
        about = "" if "(version " in self.message else f" (version {version} (chDB))"
        return f"Code: {self.code}. DB::Exception: {self.message.strip()}{name}{about}\n"


def from_engine(text: str, codes: Mapping[str, int]) -> QueryError:
    """The error that chDB reports as text alone: `Code: N. DB::Exception: ...`, at times with words before it, at
    times only as `... (NAME)`. `codes` are the engine's, by name."""
    match = _ENGINE_ERROR.search(text)
    if match is None:
        name = _NAME_AT_END.search(text)
        return QueryError(codes.get(name[1], Code.UNKNOWN_EXCEPTION) if name else Code.UNKNOWN_EXCEPTION, text)
    if int(match[1]) == Code.PY_EXCEPTION_OCCURED:
        # The one Python function in the engine is the one that stands in for file(), see engine.py. Its error
        # carries a Python stack that is nobody's business.
        return QueryError(Code.ACCESS_DENIED, "The function file() is switched off.")
    return QueryError(int(match[1]), match[2])
