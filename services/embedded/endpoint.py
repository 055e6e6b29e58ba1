"""`battlefield serve-clickhouse`: ClickHouse's HTTP interface on 127.0.0.1 over the engine in this process.

A request goes one way: `access` says whose it is, `parameters` what it asks for, `runner` runs it on the engine in
a worker thread, and the answer is sent as ClickHouse would send it. The event loop itself never waits for the engine.
"""

import asyncio
import json
import os
import secrets
import signal
import socket
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

import click
import structlog
from aiohttp import BodyPartReader, web
from aiohttp.typedefs import Middleware
from pydantic import SecretStr

from services.common.api import PREFIX, api_sql, find, listing, no_parameter, not_found, refusal, split_values
from services.common.clickhouse import writer_password_path
from services.common.heartbeat import beat
from services.common.logs import set_up_logs
from services.common.settings import Settings, get_settings
from services.embedded.access import (
    READER_LIMITS,
    READER_SETTINGS,
    Account,
    authenticate,
    credentials,
    ensure_writer_password,
    refuse_foreign,
)
from services.embedded.compression import choose_encoding, compressor, decompress
from services.embedded.engine import MIB, Engine, EngineInUse, EngineMissing, Summary, import_chdb
from services.embedded.errors import UNREADABLE, Code, QueryError
from services.embedded.parameters import parse_parameters
from services.embedded.ports import LOOPBACK
from services.embedded.runner import Answer, Call, Runner
from services.embedded.sessions import Sessions

ROLE = "clickhouse"
# The reader's statements are small. An insert is held in memory until it is whole, so that a writer that dies
# half-way leaves nothing behind; the sink's batches are some MiB.
MAX_BODY = {Account.READER: MIB, Account.WRITER: 256 * MIB}
MAX_URL = MIB  # as ClickHouse's http_max_uri_size
THREADS = 8  # statements that run at once, of each account: readers never keep the writer waiting
MAX_WAITING = 100  # requests of each account, running or waiting; more is a fault, and memory
DRAIN = 4.0  # seconds that running statements get at the end, and
CANCEL = 2.0  # seconds for those that are cancelled then; the supervisor kills after 10

_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8; header=present",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
}
_TEXT = "text/plain; charset=UTF-8"

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = structlog.get_logger()


@dataclass
class Endpoint:
    """What the handlers share."""

    settings: Settings
    engine: Engine
    runner: Runner
    password: SecretStr  # the writer's
    counts: Counter[str] = field(default_factory=Counter)
    waiting: Counter[Account] = field(default_factory=Counter)
    idle: asyncio.Event = field(default_factory=asyncio.Event)  # set while no statement runs or waits
    last_error: str = ""
    pools: dict[Account, ThreadPoolExecutor] = field(
        default_factory=lambda: {account: ThreadPoolExecutor(THREADS, account.value) for account in Account}
    )

    @contextmanager
    def place(self, account: Account) -> Iterator[None]:
        """A statement's place among those that run or wait. Raises QueryError where there are too many."""
        if self.waiting[account] >= MAX_WAITING:
            raise QueryError(
                Code.TOO_MANY_SIMULTANEOUS_QUERIES, f"Too many simultaneous queries. Maximum: {MAX_WAITING}. Try again."
            )
        self.waiting[account] += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.waiting[account] -= 1
            if not self.waiting.total():
                self.idle.set()

    async def in_thread(self, account: Account, work: Callable[..., T], *arguments: object) -> T:
        """Blocking work in one of the account's threads, to its end even where the request is cancelled.

        Closing a connection while another thread is still in it would take the process down.
        """
        step = asyncio.get_running_loop().run_in_executor(self.pools[account], work, *arguments)
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            await asyncio.wait([step])
            raise


ENDPOINT = web.AppKey("endpoint", Endpoint)


def make_app(endpoint: Endpoint, door: Middleware | None = None) -> web.Application:
    """The HTTP application; a `door` sees each request before the endpoint's own guard does."""
    app = web.Application(middlewares=[_answer_errors, *([door] if door else []), _guard])
    app[ENDPOINT] = endpoint
    app.router.add_get("/ping", _ping)
    app.router.add_get("/replicas_status", _ping)
    app.router.add_get(PREFIX, _list_queries)
    app.router.add_get(PREFIX.rstrip("/"), _list_queries)
    app.router.add_get(PREFIX + "{name}", _named_query)
    app.router.add_get("/", _query)
    app.router.add_post("/", _query)
    return app


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    refuse_foreign(request.headers)
    return await handler(request)


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what went wrong into ClickHouse's form of it."""
    endpoint = request.app[ENDPOINT]
    try:
        return await handler(request)
    except QueryError as error:
        return _error_response(endpoint, error)
    except web.HTTPNotFound:
        text = (
            f"There is no handle {request.path[:200]}\n\nUse / or /ping for health checks.\n{PREFIX} lists queries.\n"
        )
        return web.Response(status=404, text=text)


def _error_response(endpoint: Endpoint, error: QueryError) -> web.Response:
    endpoint.counts["errors"] += 1
    text = error.text(endpoint.engine.version)
    # what a caller did wrong is the caller's to log; what went wrong here is ours
    if error.status >= 500 and error.code != Code.READONLY:
        endpoint.last_error = text.strip()[:500]
        log.warning("statement failed", code=int(error.code), error=endpoint.last_error)
    headers = {"X-ClickHouse-Exception-Code": str(error.code)}
    return web.Response(status=error.status, text=text, headers=headers)


async def _ping(_request: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


async def _list_queries(_request: web.Request) -> web.Response:
    return web.json_response(listing())


async def _named_query(request: web.Request) -> web.StreamResponse:
    endpoint = request.app[ENDPOINT]
    found = find(request.match_info["name"])
    if found is None:
        return web.Response(status=404, text=not_found())
    query, format_name = found
    values, others = split_values(query, request.query.items())
    account = authenticate(credentials(request.headers, request.query), endpoint.password.get_secret_value())
    if unknown := values.keys() - query.parameters.keys():
        return _bad_request(endpoint, Code.BAD_ARGUMENTS, no_parameter(query, unknown))
    parameters = replace(parse_parameters(others), bound=values, whole=True)
    try:
        return await _run(request, Call(account, api_sql(query, format_name).encode(), parameters, readonly=True))
    except QueryError as error:
        # the statement is ours, so what cannot be read in it is a value of the request
        if error.code in UNREADABLE and values:
            return _bad_request(endpoint, error.code, refusal(query, values))
        if error.code == Code.READONLY:  # ClickHouse takes any other name for a setting
            strange = parameters.settings.keys() - READER_LIMITS.keys() - READER_SETTINGS
            return _bad_request(endpoint, error.code, no_parameter(query, strange))
        raise


def _bad_request(endpoint: Endpoint, code: int, text: str) -> web.Response:
    """What a program or person can mend, in one line, without the statement that it went into."""
    endpoint.counts["errors"] += 1
    return web.Response(status=400, text=f"{text}\n", headers={"X-ClickHouse-Exception-Code": str(int(code))})


async def _query(request: web.Request) -> web.StreamResponse:
    endpoint = request.app[ENDPOINT]
    account = authenticate(credentials(request.headers, request.query), endpoint.password.get_secret_value())
    items = _header_parameters(request.headers) + list(request.query.items())
    body = b""
    if request.content_type == "multipart/form-data":
        items += await _read_form(request, MAX_BODY[account])
    else:
        body = await _read_body(request, MAX_BODY[account])
    parameters = parse_parameters(items)
    url_query = parameters.query.encode(errors="surrogateescape")
    # the statement may stand in the URL with the data in the body; ClickHouse reads one after the other
    sql = url_query + b"\n" + body if url_query and body else url_query or body
    if not sql.strip() and request.method == "GET":
        return web.Response(text="Ok.\n")  # as ClickHouse answers a health check at /
    return await _run(request, Call(account, sql, parameters, readonly=request.method != "POST"))


def _header_parameters(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    names = {"X-ClickHouse-Database": "database", "X-ClickHouse-Format": "default_format"}
    return [(parameter, headers[name]) for name, parameter in names.items() if name in headers]


async def _read_form(request: web.Request, limit: int) -> list[tuple[str, str]]:
    """Parameters sent as form fields, as clients do where they are too long for a URL. Raises QueryError."""
    fields = []
    size = 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.filename is not None:
            raise QueryError(Code.NOT_IMPLEMENTED, "External data (files in a form) are not known here.")
        value = bytearray()
        while piece := await part.read_chunk():
            value += piece
            size += len(piece)
            if size > limit:
                raise QueryError(Code.QUERY_IS_TOO_LARGE, f"The form is longer than {limit} bytes: send less at once.")
        fields.append((part.name or "", value.decode(errors="surrogateescape")))
    return fields


async def _read_body(request: web.Request, limit: int) -> bytes:
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > limit:
            raise QueryError(Code.QUERY_IS_TOO_LARGE, f"The body is longer than {limit} bytes: send less at once.")
    encoding = request.headers.get("Content-Encoding", "").lower()
    if not encoding:
        return bytes(body)
    return await asyncio.to_thread(decompress, bytes(body), encoding, limit)


async def _run(request: web.Request, call: Call) -> web.StreamResponse:
    """Run a call and send its answer."""
    endpoint = request.app[ENDPOINT]
    with endpoint.place(call.account):
        answer = await endpoint.in_thread(call.account, endpoint.runner.run, call)
        endpoint.counts["inserts" if answer.inserted else "queries"] += 1
        try:
            return await _send(request, call, answer)
        finally:
            if answer.running:
                await endpoint.in_thread(call.account, answer.close)


async def _send(request: web.Request, call: Call, answer: Answer) -> web.StreamResponse:
    """Send an answer piece by piece: no more than two are held, and a slow client slows the query down."""
    endpoint = request.app[ENDPOINT]
    tag = secrets.token_hex(8)
    response = web.StreamResponse(headers=_headers(call, answer, tag))
    compress = _compression(request, call)
    if compress:
        response.headers["Content-Encoding"] = compress
    pack = compressor(compress) if compress else None
    await response.prepare(request)
    try:
        while (piece := await _next_piece(endpoint, call, answer)) is not None:
            if packed := pack.compress(piece) if pack else piece:
                await response.write(packed)
    except ConnectionResetError:
        return response  # the client hung up: closing the answer cancels what is left of its query
    except QueryError as error:
        # the status is long sent: ClickHouse puts the error at the end of the data, between tags, and hangs up
        endpoint.counts["errors"] += 1
        notice = exception_notice(error.text(endpoint.engine.version), tag)
        await response.write(pack.compress(notice) + pack.flush() if pack else notice)
        if request.transport:
            request.transport.close()
        return response
    if pack:
        await response.write(pack.flush())
    await response.write_eof()
    return response


async def _next_piece(endpoint: Endpoint, call: Call, answer: Answer) -> bytes | memoryview | None:
    return await endpoint.in_thread(call.account, answer.next_piece) if answer.running else answer.next_piece()


def exception_notice(text: str, tag: str) -> bytes:
    """An error at the end of a result that has begun, in the form that clients look for."""
    message = text.encode()
    return b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (
        tag.encode(),
        message,
        len(message),
        tag.encode(),
    )


def _compression(request: web.Request, call: Call) -> str | None:
    if call.parameters.settings.get("enable_http_compression", "").lower() not in ("1", "true"):
        return None
    return choose_encoding(request.headers.get("Accept-Encoding", ""))


def _headers(call: Call, answer: Answer, tag: str) -> dict[str, str]:
    headers = {
        "Content-Type": _CONTENT_TYPES.get(answer.format, _TEXT),
        "X-ClickHouse-Server-Display-Name": "embedded",
        "X-ClickHouse-Query-Id": call.parameters.query_id or str(uuid.uuid4()),
        "X-ClickHouse-Timezone": "UTC",
        "X-ClickHouse-Summary": summary_header(answer.summary),
        "X-ClickHouse-Exception-Tag": tag,
    }
    if answer.format:
        headers["X-ClickHouse-Format"] = answer.format
    return headers


def summary_header(summary: Summary) -> str:
    """The header X-ClickHouse-Summary: a JSON object whose values are numbers as texts."""
    return json.dumps({name: str(value) for name, value in summary._asdict().items()}, separators=(",", ":"))


class StartError(Exception):
    """The endpoint cannot start; the message says what to do."""


async def serve(settings: Settings, *, address: str = LOOPBACK, door: Middleware | None = None) -> None:
    """Serve until SIGTERM or SIGINT; then finish what runs and close the engine. Raises StartError.

    Another address than this machine's own needs a `door` that lets in nobody without a password: the endpoint takes
    who asks from this machine for the reader.
    """
    if address != LOOPBACK and door is None:
        raise ValueError(f"{address} is open to others, and nothing asks for passwords")
    try:
        await asyncio.to_thread(import_chdb)  # first: where it is missing, so is much of what follows
    except EngineMissing as error:
        raise StartError(str(error)) from None
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listener = _reserve(address, settings.clickhouse_port)
    endpoint = await asyncio.to_thread(_open, settings)
    runner = web.AppRunner(
        make_app(endpoint, door),
        access_log=None,
        auto_decompress=False,  # lz4 is not known to aiohttp, and none of it would be bounded
        shutdown_timeout=0.5,  # for idle connections; statements have been waited for by then
        max_line_size=MAX_URL,
        max_field_size=MAX_URL,
    )
    await runner.setup()
    site = web.SockSite(runner, listener)
    await site.start()
    log.info("listening", address=f"http://{address}:{settings.clickhouse_port}", version=endpoint.engine.version)
    beats = asyncio.create_task(_beat(endpoint))
    await stop.wait()
    log.info("stopping")
    beats.cancel()
    await site.stop()
    await _drain(endpoint)
    await runner.cleanup()
    await asyncio.to_thread(_close, endpoint)


def _reserve(address: str, port: int) -> socket.socket:
    """The port, before the engine is started for it: a taken one is told at once. Raises StartError."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise StartError(
            f"Port {port} of {address} cannot be had ({error.strerror}): end what listens there (another run?), "
            "or set CLICKHOUSE_PORT."
        ) from None
    return listener


async def _drain(endpoint: Endpoint) -> None:
    """Wait for the statements that run, then cancel them, then leave them: the engine bears being killed."""
    if await _idle(endpoint, DRAIN):
        return
    log.warning("cancelling statements", count=endpoint.waiting.total())
    await asyncio.to_thread(endpoint.engine.cancel_statements)
    if not await _idle(endpoint, CANCEL):
        log.warning("statements would not end; what they did not finish is lost", count=endpoint.waiting.total())
        os._exit(0)


async def _idle(endpoint: Endpoint, seconds: float) -> bool:
    """Whether no statement runs any more, within so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await endpoint.idle.wait()
    return endpoint.idle.is_set()


def _open(settings: Settings) -> Endpoint:
    path = writer_password_path(settings.data_dir)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = ensure_writer_password(path)
        engine = Engine(path.parent.resolve(), settings.clickhouse_database, settings.embedded_memory_mb * MIB)
    except OSError as error:
        raise StartError(f"Cannot write to {path.parent}: {error.strerror}. Free space or set DATA_DIR.") from error
    except EngineInUse as error:
        raise StartError(str(error)) from None
    except QueryError as error:
        raise StartError(f"The ClickHouse engine does not start over {path.parent}: {error}") from error
    endpoint = Endpoint(settings, engine, Runner(engine, Sessions(engine)), SecretStr(password))
    endpoint.idle.set()
    return endpoint


async def _beat(endpoint: Endpoint) -> None:
    import psutil  # comes with chDB, without which we are not here

    process = psutil.Process()
    while True:
        figures = {name: endpoint.counts[name] for name in ("queries", "inserts", "errors")}
        figures["memory_mb"] = process.memory_info().rss // MIB
        with suppress(OSError):  # a full disk must not end the endpoint; statements say it
            beat(endpoint.settings.data_dir, ROLE, "running", figures, endpoint.last_error)
        await asyncio.sleep(1)


def _close(endpoint: Endpoint) -> None:
    for pool in endpoint.pools.values():
        pool.shutdown()
    endpoint.runner.close()
    endpoint.engine.close()


@click.command("serve-clickhouse")
def command() -> None:
    """Serve the embedded ClickHouse on 127.0.0.1 at CLICKHOUSE_PORT; ends on SIGTERM or Ctrl-C."""
    settings = get_settings()
    set_up_logs(settings, ROLE)
    try:
        asyncio.run(serve(settings))
    except StartError as error:
        raise click.ClickException(str(error)) from None
