"""Clients for ClickHouse: the writer's and the reader's. Server or embedded endpoint, they cannot tell."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import clickhouse_connect
from clickhouse_connect.driver import options as driver_options
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.common.reach import NotConnected, hindrance
from services.common.settings import Settings

CONNECT_TIMEOUT = 3  # seconds, where the answer decides whether to start
WRITER = "writer"  # the embedded endpoint's account for the services

# ClickHouse's codes. https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
_ACCOUNT_REFUSED = {192, 193, 194, 516}  # UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED
_MAY_NOT = {164, 497}  # READONLY, ACCESS_DENIED
_TABLES_MISSING = {47, 60, 81}  # UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, UNKNOWN_DATABASE


def writer_password_path(data_dir: Path) -> Path:
    """Where the embedded endpoint keeps the password of its account WRITER, for programs of the same user."""
    return data_dir / "clickhouse" / "writer-password"


def writer_credentials(settings: Settings) -> tuple[str, str]:
    """The services' user and password: from the settings, else those of an embedded run over the same DATA_DIR."""
    # the embedded endpoint listens on this machine alone; its password must not travel to another
    if not settings.clickhouse_user and settings.clickhouse_host in ("127.0.0.1", "localhost"):
        try:
            return WRITER, writer_password_path(settings.data_dir).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            pass  # no embedded run here: ClickHouse will say what it thinks of no credentials
    return settings.clickhouse_user, settings.clickhouse_password.get_secret_value()


def _client(settings: Settings, user: str, password: str, database: str, **options: Any) -> Client:
    return clickhouse_connect.get_client(
        host=settings.clickhouse_host,
        port=settings.clickhouse_port,
        username=user or None,
        password=password,
        database=database,
        secure=settings.clickhouse_secure,
        ca_cert=settings.clickhouse_ca_location or None,
        # threads share a client here and there; ClickHouse refuses two queries at once in one session
        autogenerate_session_id=False,
        **options,
    )


def do_without_pandas() -> None:
    """Keep clickhouse-connect from importing pandas at the first insert, to see whether the data is a DataFrame.

    For processes that insert lists only: it costs each a second and 60 MB. Call it at the process's start.
    """
    driver_options.pd = driver_options.pd_time_test = None


def writer_client(settings: Settings, *, database: str | None = None, **options: Any) -> Client:
    """The services' client. `database=""` before the first migration has made it."""
    user, password = writer_credentials(settings)
    return _client(settings, user, password, settings.clickhouse_database if database is None else database, **options)


def reader_client(settings: Settings, **options: Any) -> Client:
    """The dashboard's client: an account that can only SELECT."""
    return _client(
        settings,
        settings.clickhouse_reader_user,
        settings.clickhouse_reader_password.get_secret_value(),
        settings.clickhouse_database,
        **options,
    )


class Refusal(NamedTuple):
    """Why ClickHouse did not do what was asked, and what to do."""

    what: str
    remedy: str
    is_lasting: bool  # waiting does not help
    detail: str = ""  # in ClickHouse's own words, where ours leave something open

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}" + (f"\n{self.detail}" if self.detail else "")


def refusal(settings: Settings, error: ClickHouseError, *, reader: bool = False) -> Refusal:
    """What an error of the client means. Where it names no cause, the server is asked once more: seconds at most."""
    server = f"ClickHouse at {settings.clickhouse_host}:{settings.clickhouse_port}"
    user = settings.clickhouse_reader_user if reader else writer_credentials(settings)[0]
    prefix = "CLICKHOUSE_READER_" if reader else "CLICKHOUSE_"
    code = getattr(error, "code", None)  # of ClickHouse itself; what the connection is about has none
    if code is None:
        return _unconnected(settings, server, error)
    if code in _ACCOUNT_REFUSED:
        return Refusal(f"{server} refuses the account {user!r}.", f"Correct {prefix}USER and {prefix}PASSWORD.", True)
    if code in _MAY_NOT:
        remedy = 'Give it the grants of docs/operations.md, "Managed parts".'
        return Refusal(f"{server} does not let the account {user!r} do this.", remedy, True, str(error))
    if code in _TABLES_MISSING:
        what = f"{server} answers, but tables are missing or older than this program."
        return Refusal(what, "Run `battlefield migrate`.", True)
    remedy = "Compare its version with the one in compose.yaml, and report what it says."
    return Refusal(f"{server} refused (code {code}).", remedy, True, str(error))


def _unconnected(settings: Settings, server: str, error: ClickHouseError) -> Refusal:
    found = hindrance(
        settings.clickhouse_host,
        settings.clickhouse_port,
        tls=settings.clickhouse_secure,
        ca_file=settings.clickhouse_ca_location,
    )
    address = "CLICKHOUSE_HOST and _PORT"
    if found is None:
        remedy = f"Look into its log, or correct {address}."
        return Refusal(f"{server} gives no answer that ClickHouse would give.", remedy, False, str(error))
    what, remedy = found.advice(
        server,
        address=address,
        plain="CLICKHOUSE_SECURE=false",
        tls="CLICKHOUSE_SECURE=true",
        authority="CLICKHOUSE_CA_LOCATION",
    )
    return Refusal(what, remedy, found.is_lasting)


def wait_for_clickhouse(settings: Settings, timeout: float = 60.0) -> None:
    """Return when ClickHouse answers the writer.

    Raises NotConnected after `timeout` seconds, and at once where waiting would not help.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            with writer_client(settings, database="", connect_timeout=CONNECT_TIMEOUT) as client:
                client.command("SELECT 1")
            return
        except ClickHouseError as error:
            why = refusal(settings, error)
            if why.is_lasting or time.monotonic() > deadline:
                raise NotConnected(str(why), is_lasting=why.is_lasting) from error
            time.sleep(0.2)
