"""The ClickHouse engine in this process (chDB): start, statements, end. Everything here blocks its thread.

One engine per process and data directory; each statement gets a connection of its own, which costs 0.4 ms and
means that no setting, database or temporary table of one request is there in the next.
"""

import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any, NamedTuple
from xml.sax.saxutils import escape

from services.embedded.errors import Code, QueryError, from_engine
from services.embedded.statements import Insert

MIB = 1024**2
CACHE = 32 * MIB  # of marks, of indexes and of compiled expressions each; a laptop's tables have marks of some MiB

# The engine's defaults are a server's: 5 GiB of marks, 16 threads that merge. `{memory}` is in bytes.
_SERVER_CONFIG = """<clickhouse>
    <users_config>{users}</users_config>
    <timezone>UTC</timezone>
    <max_server_memory_usage>{memory}</max_server_memory_usage>
    <mark_cache_size>{cache}</mark_cache_size>
    <index_mark_cache_size>{cache}</index_mark_cache_size>
    <primary_index_cache_size>{cache}</primary_index_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <mmap_cache_size>0</mmap_cache_size>
    <compiled_expression_cache_size>{cache}</compiled_expression_cache_size>
    <background_pool_size>2</background_pool_size>
    <background_merges_mutations_concurrency_ratio>1</background_merges_mutations_concurrency_ratio>
    <background_move_pool_size>1</background_move_pool_size>
    <background_fetches_pool_size>1</background_fetches_pool_size>
    <background_common_pool_size>1</background_common_pool_size>
    <background_buffer_flush_schedule_pool_size>1</background_buffer_flush_schedule_pool_size>
    <background_schedule_pool_size>2</background_schedule_pool_size>
    <background_message_broker_schedule_pool_size>1</background_message_broker_schedule_pool_size>
    <background_distributed_schedule_pool_size>1</background_distributed_schedule_pool_size>
    <merge_tree>
        <!-- Nothing else keeps what was acknowledged here: the broker beside us lives in memory. So a power cut must
             not take it; that costs an insert some 7 ms on an SSD. -->
        <fsync_after_insert>1</fsync_after_insert>
        <fsync_part_directory>1</fsync_part_directory>
        <!-- their defaults are larger than a pool of two, with which the engine would refuse to start -->
        <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
        <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
        <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    </merge_tree>
</clickhouse>
"""

# chDB knows one user. These grants leave out every source but tables: no statement of anyone reads files, URLs or
# other servers, or makes a table that would. What is the reader's alone comes with its connections.
_USERS_CONFIG = """<clickhouse>
    <profiles><default>
        <async_insert>0</async_insert>
        <implicit_select>0</implicit_select>
        <allow_introspection_functions>0</allow_introspection_functions>
        <!-- else a query gets a second thread only where 2 GiB are free, which is more than all the engine may have -->
        <max_threads_min_free_memory_per_thread>0</max_threads_min_free_memory_per_thread>
    </default></profiles>
    <quotas><default/></quotas>
    <users><default>
        <password/>
        <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
        <profile>default</profile>
        <quota>default</quota>
        <grants>
            <query>GRANT SELECT, SHOW, INSERT, ALTER, CREATE, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY,
                SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM VIEWS, SYSTEM DROP CACHE ON *.*</query>
            <query>GRANT TABLE ENGINE ON Atomic, TABLE ENGINE ON MergeTree, TABLE ENGINE ON ReplacingMergeTree,
                TABLE ENGINE ON AggregatingMergeTree, TABLE ENGINE ON SummingMergeTree, TABLE ENGINE ON Memory</query>
            <query>GRANT SET DEFINER ON *</query>
        </grants>
    </default></users>
</clickhouse>
"""


class EngineMissing(Exception):
    """chDB is not installed; the message says what to do."""


class EngineInUse(Exception):
    """Another process has the data directory; the message says what to do."""


class Kind(Enum):
    """What a statement does, by the engine's own parser."""

    READ = "read"  # SELECT, SHOW, DESCRIBE, EXPLAIN, EXISTS
    WRITE = "write"  # INSERT, CREATE, ALTER, DROP, ...
    CONTROL = "control"  # SET, USE, KILL, SYSTEM, ...; and SELECT ... INTO OUTFILE


_KINDS = {
    "READ_ONLY": Kind.READ,
    "MUTATING": Kind.WRITE,
    "MUTATING_GLOBAL": Kind.WRITE,
    "CONTROL": Kind.CONTROL,
}


class Summary(NamedTuple):
    """What a statement did, for the header X-ClickHouse-Summary."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_ns: int = 0


class Result(NamedTuple):
    """A statement's whole answer. `body` lives as long as `owner`, the engine's own buffer."""

    body: memoryview
    summary: Summary
    owner: Any


class Connection:
    """One connection to the engine; not for two threads at once. Every method raises QueryError."""

    def __init__(self, raw: Any, codes: Mapping[str, int]) -> None:
        self._raw = raw
        self._codes = codes

    def close(self) -> None:
        """Give it back; a result that is still being read is cancelled."""
        self._raw.close()

    def prepare(self, database: str, settings: Mapping[str, str]) -> None:
        """Set database and settings, where given; after `readonly`, to be given last, nothing can be set."""
        if database:
            self._run(f"USE {_quoted(database, '`')}")
        if settings:
            values = ", ".join(f"{_quoted(name, '`')} = {_quoted(value, chr(39))}" for name, value in settings.items())
            self._run(f"SET {values}")

    def kind(self, sql: bytes) -> Kind:
        """What one statement would do, without running it; QueryError for none, several, or bad syntax."""
        report = self._raw._conn.classify_query(sql)
        kind = _KINDS.get(report["query_class"].name)
        if kind is None or report["statement_count"] != 1:
            # has the server's own words for an empty query, several statements and bad syntax
            self._run("SELECT formatQuery({sql:String})", {"sql": escape_parameter(sql.decode(errors="replace"))})
            raise QueryError(Code.SYNTAX_ERROR, "Syntax error: this is not one statement that the engine knows.")
        return kind

    def run(self, sql: bytes, default_format: str, parameters: Mapping[str, str] | None = None) -> Result:
        """Run a statement to its end."""
        raw = self._run(sql, parameters, default_format)
        body = raw.get_memview().view() if raw.size() else memoryview(b"")
        summary = Summary(
            read_rows=raw.storage_rows_read(),
            read_bytes=raw.storage_bytes_read(),
            written_rows=raw.rows_written(),
            written_bytes=raw.bytes_written(),
            result_rows=raw.rows_read(),
            result_bytes=raw.size(),
            elapsed_ns=int(raw.elapsed() * 1e9),
        )
        return Result(body, summary, raw)

    def stream(self, sql: bytes, default_format: str, parameters: Mapping[str, str]) -> Generator[bytes, None, None]:
        """Run a SELECT and give its result block by block, so that memory holds one of them at a time.

        Only for formats whose blocks can simply follow each other. Closing the iterator cancels the query.
        """
        try:
            with self._raw.send_query(sql, default_format, params=dict(parameters)) as blocks:
                for block in blocks:
                    yield block.bytes()
        except RuntimeError as error:
            raise from_engine(str(error), self._codes) from None

    def insert(self, insert: Insert, folder: Path) -> Summary:
        """Insert rows given in a format; where one of them cannot be read, none is stored.

        They go through a file in `folder`, since chDB reads binary data from files only. Its own streaming insert
        must not be used: it reports success where rows could not be stored, on a full disk for instance.
        """
        try:
            with NamedTemporaryFile(dir=folder, buffering=0) as file:
                rest = insert.data
                while rest:
                    rest = rest[file.write(rest) :]
                source = f" FROM INFILE {_quoted(file.name, chr(39))} COMPRESSION 'none' ".encode()
                return self.run(insert.target + source + insert.settings + b" FORMAT " + insert.format, "TSV").summary
        except OSError as error:
            raise QueryError(Code.NOT_ENOUGH_SPACE, f"Cannot write the inserted rows: {error.strerror}.") from error

    def _run(self, sql: str | bytes, parameters: Mapping[str, str] | None = None, default_format: str = "TSV") -> Any:
        try:
            return self._raw.query(sql, default_format, params=dict(parameters or {}))
        except RuntimeError as error:
            raise from_engine(str(error), self._codes) from None


class Engine:
    """The engine over one data directory. Raises EngineMissing, EngineInUse, QueryError at start."""

    def __init__(self, folder: Path, database: str, memory: int) -> None:
        chdb = import_chdb()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder / "lock")
        self.incoming = folder / "incoming"  # rows on their way in; what a kill left there was never acknowledged
        shutil.rmtree(self.incoming, ignore_errors=True)
        self.incoming.mkdir()
        config = folder / "config.xml"
        users = folder / "users.xml"
        users.write_text(_USERS_CONFIG)
        config.write_text(_SERVER_CONFIG.format(users=escape(str(users)), memory=memory, cache=CACHE))
        # file() reads any file of the machine in a local engine, and no grant holds it back
        chdb.create_function("file", _refuse_file, ["String"], "String")
        self._connect = chdb.connect
        self._path = str(folder / "engine")
        self._codes: dict[str, int] = {}
        try:
            # stays open: the engine ends with its last connection
            self._keeper = Connection(chdb.connect(f"{self._path}?config-file={config}"), self._codes)
        except RuntimeError as error:
            raise from_engine(str(error), {}) from None
        self._codes.update(_error_codes(self._keeper))
        self._keeper.run(f"CREATE DATABASE IF NOT EXISTS {_quoted(database, '`')}".encode(), "TSV")
        self.database = database
        self.version = bytes(self._keeper.run(b"SELECT version()", "TSV").body).decode().strip()

    @contextmanager
    def connection(self, settings: Mapping[str, str] | None = None) -> Iterator[Connection]:
        """A connection in the default database.

        Settings given here cost nothing, while each `prepare` is a statement of its own. But they stand in a string
        that is not escaped, where other names are options of the engine: only for known names with plain values.
        """
        options = {"database": self.database, **(settings or {})}
        raw = self._connect(f"{self._path}?" + "&".join(f"{name}={value}" for name, value in options.items()))
        connection = Connection(raw, self._codes)
        try:
            yield connection
        finally:
            connection.close()

    def cancel_statements(self) -> None:
        """Have every running statement end with an error, soon."""
        self._keeper.run(b"KILL QUERY WHERE 1 ASYNC", "TSV")

    def close(self) -> None:
        """End the engine: merges stop, and every file is closed. All other connections must be closed before."""
        self._keeper.close()
        self._lock.close()


def escape_parameter(value: str) -> str:
    """A text as the value of a `{name:String}`: these come escaped as in TabSeparated."""
    for character, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\0", "\\0")):
        value = value.replace(character, escaped)
    return value


def _error_codes(connection: Connection) -> dict[str, int]:
    sql = b"SELECT errorCodeToName(toInt32(number)) AS name, number FROM numbers(2000) WHERE name != ''"
    lines = bytes(connection.run(sql, "TSV").body).decode().splitlines()
    return {name: int(code) for name, code in (line.split("\t") for line in lines)}


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def _refuse_file(_path: str) -> str:
    raise PermissionError("file() is switched off")


def import_chdb() -> Any:
    """The chDB module; it takes a second. Raises EngineMissing."""
    try:
        import chdb
    except ImportError as error:
        raise EngineMissing(
            f"The embedded ClickHouse (chDB) is not installed ({error}). It has wheels for Linux and macOS: there, run "
            "`make install`; on Windows use WSL 2, or `docker compose up`."
        ) from error
    return chdb


def _lock(path: Path) -> IO[str]:
    """Hold a lock that ends with this process, however it ends: two engines would destroy one another's files."""
    import fcntl  # not on Windows, where chDB's absence has been told by now

    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise EngineInUse(
            f"Another ClickHouse endpoint uses {path.parent}: end it, or set DATA_DIR to another folder."
        ) from None
    return file
