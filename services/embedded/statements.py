"""What the endpoint must know of a statement before the engine gets it: where inserted data begin, which format.

Everything else about SQL is asked of the engine's own parser (`Engine.kind`). The scan stops where data begin, so
it never reads binary data.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

_TOKEN = re.compile(
    rb"""
      (?P<blank>   \s+ | --[^\n]* | \#[!\ ][^\n]* | /\*.*?\*/ )
    | (?P<quoted>  '(?:[^'\\]|\\.|'')*+' | "(?:[^"\\]|\\.|"")*+" | `(?:[^`\\]|\\.|``)*+` )
    | (?P<heredoc> \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
    | (?P<word>    \w+ )
    | (?P<open>    ['"`].* )
    | (?P<sign>    . )
    """,
    re.VERBOSE | re.DOTALL,
)
# after these words an INSERT has no FORMAT with data: they are rows as SQL text, or another query's result
_NO_DATA = {b"VALUES", b"SELECT", b"WITH", b"WATCH"}

_FILES = {(b"INTO", b"OUTFILE"), (b"FROM", b"INFILE")}


class Token(NamedTuple):
    """One word, quoted text or sign; `word` is in capitals, and empty for the others."""

    word: bytes
    start: int
    end: int


class Insert(NamedTuple):
    """An INSERT whose rows follow it in some format."""

    target: bytes  # INSERT INTO table (columns)
    settings: bytes  # its SETTINGS clause, or nothing
    format: bytes
    data: memoryview


def tokens(sql: bytes) -> Iterator[Token]:
    """What a statement consists of, without blanks and comments; a quote left open reaches to the end."""
    for match in _TOKEN.finditer(sql):
        if match.lastgroup != "blank":
            word = match["word"]
            yield Token(word.upper() if word else b"", match.start(), match.end())


def split_insert(sql: bytes) -> Insert | None:
    """The parts of `INSERT INTO table ... FORMAT name<data>`; None for every other statement."""
    scan = tokens(sql)
    if next(scan, Token(b"", 0, 0)).word != b"INSERT":
        return None
    depth = 0
    before = b"INSERT"
    settings: int | None = None
    for token in scan:
        sign = sql[token.start : token.end]
        depth += (sign == b"(") - (sign == b")")
        named = before in (b"INTO", b"TABLE", b".")  # a table may well be called format
        if depth == 0 and not named:
            if token.word in _NO_DATA:
                return None
            if token.word == b"SETTINGS":
                settings = token.start
            if token.word == b"FORMAT":
                name = next(scan, None)
                if name is None or not name.word:
                    return None
                end = token.start if settings is None else settings
                return Insert(
                    target=sql[:end].strip(),
                    settings=sql[end : token.start].strip(),
                    format=sql[name.start : name.end],
                    data=memoryview(sql)[_data_begin(sql, name.end) :],
                )
        before = token.word or sign
    return None


def is_select(sql: bytes) -> bool:
    """Whether a reading statement is a SELECT, the only kind whose result the engine gives block by block."""
    first = next((token.word for token in tokens(sql) if token.word), b"")
    return first in (b"SELECT", b"WITH")


def names_file(sql: bytes) -> bytes | None:
    """INFILE or OUTFILE, where a statement has one: a local engine would read or write that file."""
    pairs = pairwise(token.word for token in tokens(sql))
    return next((pair[1] for pair in pairs if pair in _FILES), None)


def _data_begin(sql: bytes, position: int) -> int:
    """As ClickHouse's parser has it: blanks, then at most one line break, belong to the statement."""
    match = re.compile(rb"[ \t\f]*\r?\n?").match(sql, position)
    return match.end() if match else position


def output_format(sql: bytes, default: str) -> str:
    """The format of a statement's result: its own FORMAT clause, else the default."""
    found = default
    last = list(tokens(sql))
    for clause, name, after in zip(last, last[1:], [*last[2:], None], strict=False):
        ends = after is None or after.word == b"SETTINGS" or sql[after.start : after.end] == b";"
        if clause.word == b"FORMAT" and name.word and ends:
            found = sql[name.start : name.end].decode()
    return found
