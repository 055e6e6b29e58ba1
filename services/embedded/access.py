"""Who may do what at the embedded endpoint, as pure functions over headers and URL parameters.

There are two accounts. A request without credentials is the reader's: SELECT and its kin, within limits that it
cannot raise. The writer's password is made at random for each data directory. The endpoint listens on 127.0.0.1
alone, but a web page that the user opens can send requests from there too: foreign Host and Origin are refused.
"""

import base64
import binascii
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from services.common.clickhouse import WRITER
from services.embedded.errors import Code, QueryError

LOCAL_NAMES = {"127.0.0.1", "localhost", "::1"}

# The limits of clickhouse/users.d, so that a query that works here works there. They bound what a mistaken
# query, or a page that guesses our port, can take from the machine.
READER_LIMITS = {
    "max_execution_time": 30,  # seconds
    "max_memory_usage": 500_000_000,  # bytes
    "max_bytes_before_external_group_by": 200_000_000,
    "max_bytes_before_external_sort": 200_000_000,
    "max_rows_to_read": 200_000_000,
    "max_result_rows": 1_000_000,
    "max_result_bytes": 256_000_000,  # a result is held in memory until it is sent
    "max_threads": 2,
}
# What the reader may set beside lowering its limits: how a result looks, and what clients send with each request.
# A list of names, not of prefixes: format_schema, format_template_* and output_format_schema name files.
READER_SETTINGS = {
    "cancel_http_readonly_queries_on_client_close",
    "date_time_output_format",
    "enable_http_compression",
    "extremes",
    "final",
    "http_headers_progress_interval_ms",
    "join_use_nulls",
    "log_comment",
    "max_block_size",
    "output_format_json_array_of_rows",
    "output_format_json_named_tuples_as_objects",
    "output_format_json_quote_64bit_integers",
    "output_format_json_quote_decimals",
    "output_format_json_quote_denormals",
    "output_format_write_statistics",
    "send_progress_in_http_headers",
    "session_timezone",
}
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


class Account(Enum):
    """Who is asking."""

    READER = "reader"
    WRITER = WRITER


class Credentials(NamedTuple):
    """What a request brought with it."""

    user: str
    password: str


def refuse_foreign(headers: Mapping[str, str]) -> None:
    """Refuse what did not come from this machine's own pages and programs. Raises QueryError.

    A foreign Host is DNS rebinding: a page's own name made to point to 127.0.0.1. A foreign Origin, or a
    cross-site request without one (an image, a script), is a page reaching for our port. Following a link is
    cross-site too, and welcome: a page cannot read what a navigation shows.
    """
    host = headers.get("Host", "")
    if _host_name(f"//{host}") not in LOCAL_NAMES:
        raise QueryError(
            Code.ACCESS_DENIED, f"Host {host!r} is not this machine: use http://127.0.0.1 or http://localhost."
        )
    origin = headers.get("Origin")
    if origin is not None and _host_name(origin) not in LOCAL_NAMES:
        raise QueryError(Code.ACCESS_DENIED, f"Requests of web pages from {origin!r} are refused.")
    if headers.get("Sec-Fetch-Site") == "cross-site" and headers.get("Sec-Fetch-Mode") != "navigate":
        raise QueryError(Code.ACCESS_DENIED, "Requests of web pages from other sites are refused.")


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def credentials(headers: Mapping[str, str], parameters: Mapping[str, str]) -> Credentials | None:
    """The credentials of a request: headers X-ClickHouse-*, basic authorization, or URL parameters.

    Raises QueryError where they cannot be read or where a request uses two ways at once, as ClickHouse does.
    """
    ways = []
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        ways.append(Credentials(headers.get("X-ClickHouse-User", "default"), headers.get("X-ClickHouse-Key", "")))
    if "Authorization" in headers:
        ways.append(_basic(headers["Authorization"]))
    if "user" in parameters or "password" in parameters:
        ways.append(Credentials(parameters.get("user", "default"), parameters.get("password", "")))
    if len(ways) > 1:
        raise QueryError(Code.AUTHENTICATION_FAILED, "Invalid authentication: use one way of authentication at a time.")
    return ways[0] if ways else None


def _basic(header: str) -> Credentials:
    scheme, _, encoded = header.partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user = colon = password = ""
    if scheme.lower() != "basic" or not colon:
        raise QueryError(Code.AUTHENTICATION_FAILED, "Invalid authentication: only basic authorization is known here.")
    return Credentials(user, password)


def authenticate(given: Credentials | None, writer_password: str) -> Account:
    """Whose credentials these are. Raises QueryError for a wrong password or user, without telling which.

    `default` without a password is what ClickHouse's clients send when they are told nothing: the reader.
    """
    if given is None or given == Credentials("default", ""):
        return Account.READER
    right = hmac.compare_digest(given.password.encode(), writer_password.encode())
    if given.user == Account.WRITER.value and right:
        return Account.WRITER
    raise QueryError(
        Code.AUTHENTICATION_FAILED,
        f"{given.user}: Authentication failed: password is incorrect, or there is no user with such name.",
    )


def reader_settings(asked: Mapping[str, str]) -> dict[str, str]:
    """The settings of a reader's statement: its limits, lowered where it asks for that. Raises QueryError."""
    settings = {name: str(limit) for name, limit in READER_LIMITS.items()}
    for name, value in asked.items():
        if name in READER_LIMITS:
            settings[name] = _lowered(name, value)
        elif name in READER_SETTINGS:
            settings[name] = value
        elif name != "readonly":  # the reader's is 1 whatever it asks for
            raise QueryError(Code.READONLY, f"Cannot modify '{name}' setting in readonly mode.")
    return settings


def split_plain(settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Settings whose values can stand in the engine's connection string as they are, and the others."""
    plain = {name: value for name, value in settings.items() if _PLAIN.fullmatch(value)}
    return plain, {name: value for name, value in settings.items() if name not in plain}


def _lowered(name: str, value: str) -> str:
    limit = READER_LIMITS[name]
    # 0 lifts a limit in ClickHouse
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= limit:
        raise QueryError(
            Code.SETTING_CONSTRAINT_VIOLATION,
            f"Setting {name} shouldn't be greater than {limit} nor less than 1 for the reader; got {value[:50]!r}.",
        )
    return value


def ensure_writer_password(path: Path) -> str:
    """The writer's password, made at the first start; only this user can read the file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if password := path.read_text(encoding="ascii").strip():
            return password
        path.unlink()  # a full disk or a kill between creating and writing
        return ensure_writer_password(path)
    password = secrets.token_urlsafe(24)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(password + "\n")
    return password
