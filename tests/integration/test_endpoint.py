"""The embedded endpoint through clickhouse-connect, as every other part meets it, and in raw HTTP, as curl does."""

import gzip
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlencode
from uuid import UUID

import clickhouse_connect
import lz4.frame
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from services.common.clickhouse import reader_client, writer_client, writer_credentials
from services.common.migrations import apply_migrations, read_migrations
from services.common.queries import all_queries, run_query

HOSTILE = [
    "",
    "'",
    "\\",
    "a'; DROP TABLE edits; --",
    "tab\tline\nzero\0",
    "日本語 😀 \u202e",
    "{x:String}",
    "\\N",
    "%s&a=b#+",
]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        return self.headers.get("X-ClickHouse-Exception-Code")


class Http:
    """Raw requests to an endpoint."""

    def __init__(self, settings):
        self.port = settings.clickhouse_port
        self.credentials = dict(
            zip(("X-ClickHouse-User", "X-ClickHouse-Key"), writer_credentials(settings), strict=True)
        )

    def __call__(self, path="/", body=None, method=None, headers=None, writer=False, **parameters) -> Reply:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        if parameters:
            path = f"{path}?{urlencode(parameters)}"
        try:
            connection.request(
                method or ("GET" if body is None else "POST"),
                path,
                body,
                {**(self.credentials if writer else {}), **(headers or {})},
            )
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.headers), answer.read())
        finally:
            connection.close()


@pytest.fixture
def http(clickhouse):
    return Http(clickhouse)


@pytest.fixture
def writer(database):
    with writer_client(database) as client:
        yield client


@pytest.fixture
def reader(database):
    with reader_client(database) as client:
        yield client


# --- through clickhouse-connect ---------------------------------------------------------------------------------


def test_migrations_are_applied_once(database, reader):
    assert apply_migrations(database) == []
    applied = reader.query("SELECT number FROM schema_migrations ORDER BY number").result_columns[0]
    assert list(applied) == [migration.number for migration in read_migrations()]


def test_every_type_of_the_tables_comes_back_as_it_went(writer, reader):
    writer.command(
        "CREATE TABLE kinds (id UUID, low LowCardinality(String), small UInt8, medium UInt16, signed Int32,"
        " large Int64, huge UInt64, text String, at DateTime('UTC'), fine DateTime64(3, 'UTC'),"
        " maybe Nullable(UInt32), yes Bool, counts Map(LowCardinality(String), UInt64)) ENGINE = MergeTree ORDER BY id"
    )
    at, fine = datetime(2024, 12, 7, 12, tzinfo=UTC), datetime(2024, 12, 7, 12, 0, 0, 123_000, tzinfo=UTC)
    columns = [
        [UUID(int=n) for n in range(len(HOSTILE))],
        HOSTILE,
        [255] * len(HOSTILE),
        [65535] * len(HOSTILE),
        [-(2**31)] * len(HOSTILE),
        [-(2**63)] * len(HOSTILE),
        [2**64 - 1] * len(HOSTILE),
        HOSTILE,
        [at] * len(HOSTILE),
        [fine] * len(HOSTILE),
        [None, 2**32 - 1] * (len(HOSTILE) // 2) + [7] * (len(HOSTILE) % 2),
        [n % 2 == 0 for n in range(len(HOSTILE))],
        [{name: n} for n, name in enumerate(HOSTILE)],
    ]
    summary = writer.insert("kinds", columns, column_oriented=True)
    assert summary.written_rows == len(HOSTILE)
    result = reader.query("SELECT * FROM kinds ORDER BY id", tz_mode="aware")
    assert [list(column) for column in result.result_columns] == columns


def test_hostile_texts_stay_values(reader):
    for text in HOSTILE:
        rows = reader.query(
            "SELECT {text:String}, {texts:Array(String)}", parameters={"text": text, "texts": [text, "x"]}
        ).result_rows
        assert rows == [(text, [text, "x"])]


def test_parameters_too_long_for_an_address_come_as_a_form(database):
    with reader_client(database, form_encode_query_params=True) as client:
        text = "'\\\t😀" * 50_000
        assert client.query("SELECT {text:String}, length({text:String})", parameters={"text": text}).result_rows == [
            (text, len(text.encode()))
        ]


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_bodies_are_compressed_as_asked(database, compress):
    with writer_client(database, compress=compress) as client:
        client.command("CREATE TABLE big (n UInt64, text String) ENGINE = MergeTree ORDER BY n")
        client.insert("big", [list(range(200_000)), ["x" * 50] * 200_000], column_oriented=True)
        assert client.query("SELECT count(), sum(n), sum(length(text)) FROM big").result_rows == [
            (200_000, 19_999_900_000, 10_000_000)
        ]
        assert len(client.query("SELECT * FROM big").result_columns[0]) == 200_000
        with client.query_row_block_stream("SELECT * FROM big") as blocks:
            assert sum(len(block) for block in blocks) == 200_000


def test_inserts_in_other_formats(writer, http, database):
    writer.command("CREATE TABLE lines (n UInt64, text String) ENGINE = MergeTree ORDER BY n")
    writer.raw_insert("lines", ["n", "text"], b'{"n": 1, "text": "a"}\n', fmt="JSONEachRow")
    name = database.clickhouse_database
    assert http(body=b"2\tb\n", writer=True, database=name, query="INSERT INTO lines FORMAT TSV").status == 200
    assert http(body=b"INSERT INTO lines VALUES (3, 'c'), (4, 'd')", writer=True, database=name).status == 200
    assert http(body=b"(5, 'e')", writer=True, database=name, query="INSERT INTO lines VALUES").status == 200
    assert http(body=b"INSERT INTO lines SELECT 6, 'f'", writer=True, database=name).status == 200
    packed = gzip.compress(b"7,g\n")
    encoding = {"Content-Encoding": "gzip"}
    query = "INSERT INTO lines FORMAT CSV"
    assert http(body=packed, headers=encoding, writer=True, database=name, query=query).status == 200
    assert writer.query("SELECT n, text FROM lines ORDER BY n").result_rows == list(enumerate("abcdefg", start=1))


def test_data_may_say_anything(writer, http, database):
    writer.command("CREATE TABLE said (text String) ENGINE = MergeTree ORDER BY text")
    lines = [
        "FROM INFILE 'x'",
        "SELECT 1 INTO OUTFILE 'x'",
        "; DROP TABLE said;",
        "FORMAT CSV",
        "",
        "'",
        "SETTINGS x = 1",
    ]
    body = "INSERT INTO said FORMAT LineAsString\n" + "\n".join(lines) + "\n"
    assert http(body=body.encode(), writer=True, database=database.clickhouse_database).status == 200
    writer.insert("said", [lines], column_oriented=True)
    assert writer.query("SELECT text, count() FROM said GROUP BY text ORDER BY text").result_rows == [
        (line, 2) for line in sorted(lines)
    ]


def test_a_bad_row_is_refused_with_its_code_and_nothing_of_it_stays(writer, http, database):
    writer.command("CREATE TABLE strict (n UInt64) ENGINE = MergeTree ORDER BY n")
    reply = http(
        body=b"1\n2\nthree\n", writer=True, database=database.clickhouse_database, query="INSERT INTO strict FORMAT TSV"
    )
    assert (reply.status, reply.code) == (400, "27")
    assert writer.query("SELECT count() FROM strict").result_rows == [(0,)]


def test_errors_carry_clickhouses_codes(reader):
    for sql, code in [("SELECT nope", 47), ("SELECT * FROM nope", 60), ("SELEC 1", 62), ("SELECT 1; SELECT 2", 62)]:
        with pytest.raises(DatabaseError, match=f"code: {code}") as caught:
            reader.query(sql)
        assert f"Code: {code}. DB::Exception: " in str(caught.value)


def test_an_error_in_the_middle_of_a_result_reaches_the_client(reader):
    sql = "SELECT throwIf(number = 900000, 'too far') FROM numbers(1000000)"
    with (
        pytest.raises(Exception, match="too far"),
        reader.query_row_block_stream(sql) as blocks,
    ):
        for _ in blocks:
            pass


def test_an_unchanged_client_has_sessions(database):
    user, password = writer_credentials(database)
    address = {"host": "127.0.0.1", "port": database.clickhouse_port, "database": database.clickhouse_database}
    with clickhouse_connect.get_client(**address, username=user, password=password) as client:
        client.command("CREATE TEMPORARY TABLE mine (n UInt8)")
        client.insert("mine", [[1], [2]])
        assert client.query("SELECT sum(n) FROM mine").result_rows == [(3,)]
        with (
            clickhouse_connect.get_client(**address, username=user, password=password) as other,
            pytest.raises(DatabaseError, match="code: 60"),
        ):
            other.query("SELECT sum(n) FROM mine")
    with clickhouse_connect.get_client(**address) as nobody:
        assert nobody.query("SELECT currentDatabase()").result_rows == [(database.clickhouse_database,)]


def test_named_queries_run_on_it(reader):
    for query in all_queries():
        if all(parameter.default is not None for parameter in query.parameters.values()):
            run_query(reader, query.name)


def test_a_query_reads_with_two_threads_however_little_memory_there_is(database, writer, reader):
    writer.command("CREATE TABLE many (n UInt64) ENGINE = MergeTree ORDER BY n")
    writer.command("INSERT INTO many SELECT number FROM numbers(1_000_000)")
    pipeline = reader.query("EXPLAIN PIPELINE SELECT sum(cityHash64(n)) FROM many").result_rows
    assert any("MergeTreeSelect" in line and "× 2" in line for (line,) in pipeline), pipeline


def test_readers_read_while_the_writer_writes(database, writer):
    writer.command("CREATE TABLE busy (n UInt64) ENGINE = MergeTree ORDER BY n")
    done = threading.Event()

    def read(_):
        seen = []
        with reader_client(database) as client:
            while not done.is_set():
                seen.append(client.query("SELECT count() FROM busy").result_rows[0][0])
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, n) for n in range(4)]
        for _ in range(20):
            writer.insert("busy", [list(range(1000))], column_oriented=True)
        done.set()
        for seen in (reader.result() for reader in readers):
            assert seen == sorted(seen)
            assert all(count % 1000 == 0 for count in seen), "an insert is there as a whole or not at all"
            assert len(seen) > 1
    assert writer.query("SELECT count() FROM busy").result_rows == [(20_000,)]


# --- as curl does ---------------------------------------------------------------------------------------------


def test_ping_and_a_bare_address_answer_ok(http):
    assert http("/ping")[::2] == (200, b"Ok.\n")
    assert http("/")[::2] == (200, b"Ok.\n")
    assert http("/nothing").status == 404


def test_an_answer_has_clickhouses_headers(http):
    reply = http(query="SELECT number FROM numbers(3)", query_id="mine", wait_end_of_query=1)
    assert (reply.status, reply.body) == (200, b"0\n1\n2\n")
    assert reply.headers["X-ClickHouse-Query-Id"] == "mine"
    assert reply.headers["X-ClickHouse-Format"] == "TabSeparated"
    assert reply.headers["X-ClickHouse-Timezone"] == "UTC"
    assert reply.headers["X-ClickHouse-Server-Display-Name"]
    assert json.loads(reply.headers["X-ClickHouse-Summary"])["read_rows"] == "3"
    assert reply.headers["Content-Type"] == "text/tab-separated-values; charset=UTF-8"


def test_statement_and_parameters_come_by_address_body_or_both(http):
    assert http(body=b"SELECT 1").body == b"1\n"
    assert http(query="SELECT", body=b"2").body == b"2\n"
    assert http(query="SELECT {x:UInt8} + {y:UInt8}", param_x=1, param_y=2).body == b"3\n"
    assert http(query="SELECT 1", default_format="JSONEachRow").body == b'{"1":1}\n'
    assert http(query="SELECT 1 FORMAT CSV", default_format="JSON").headers["X-ClickHouse-Format"] == "CSV"
    assert http(query="SELECT currentDatabase()", database="system").body == b"system\n"
    assert http(query="SELECT currentDatabase()", headers={"X-ClickHouse-Database": "system"}).body == b"system\n"
    assert http(query="SELECT getSetting('max_block_size')", max_block_size=77).body == b"77\n"
    assert http(query="SELECT 1", method="HEAD")[::2] == (200, b"")


def test_answers_are_compressed_only_when_asked(http):
    accept = {"Accept-Encoding": "lz4"}
    assert "Content-Encoding" not in http(query="SELECT 1", headers=accept).headers
    reply = http(query="SELECT number FROM numbers(100000)", enable_http_compression=1, headers=accept)
    assert reply.headers["Content-Encoding"] == "lz4"
    assert lz4.frame.decompress(reply.body).count(b"\n") == 100_000


def test_mistakes_have_clickhouses_status_and_code(http):
    for status, code, call in [
        (404, "81", {"query": "SELECT 1", "database": "nope"}),
        (404, "115", {"query": "SELECT 1", "nope": "1", "writer": True}),
        (400, "62", {"body": b""}),
        (400, "62", {"body": b"  -- nothing\n"}),
        (400, "36", {"query": "SELECT 1", "max threads": "1"}),
        (501, "48", {"query": "SELECT 1", "compress": "1"}),
        (500, "271", {"body": b"SELECT 1", "headers": {"Content-Encoding": "gzip"}}),
        (413, "229", {"body": b"SELECT '" + b"x" * 2_000_000 + b"'"}),
        (500, "456", {"query": "SELECT {x:UInt8}"}),
        (500, "372", {"query": "SELECT 1", "session_id": "never", "session_check": "1", "writer": True}),
    ]:
        reply = http(**call)
        assert (reply.status, reply.code) == (status, code), call
        assert reply.body.startswith(f"Code: {code}. DB::Exception: ".encode())


def test_one_session_runs_one_statement_at_a_time(http):
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(http, query="SELECT sleep(1)", session_id="one", writer=True)
        time.sleep(0.4)
        assert http(query="SELECT 1", session_id="one", writer=True).code == "373"
        assert slow.result().status == 200


def test_a_client_that_hangs_up_frees_its_place(http):
    for _ in range(12):  # more than there are threads
        connection = HTTPConnection("127.0.0.1", http.port)
        connection.request("GET", "/?" + urlencode({"query": "SELECT * FROM system.numbers FORMAT Native"}))
        connection.getresponse().read(1000)
        connection.sock.close()
        connection.close()
    begin = time.monotonic()
    assert http(query="SELECT 1").body == b"1\n"
    assert time.monotonic() - begin < 5


# --- the JSON API ---------------------------------------------------------------------------------------------


def test_the_api_lists_every_query(http):
    for path in ("/api/v1/", "/api/v1"):
        listed = json.loads(http(path).body)["queries"]
        assert [query["name"] for query in listed] == [query.name for query in all_queries()]
    assert {"name", "description", "path", "csv", "parameters"} <= listed[0].keys()


def test_the_api_answers_each_query_as_json(http):
    for query in json.loads(http("/api/v1/").body)["queries"]:
        needed = {p["name"]: "enwiki" for p in query["parameters"] if p["default"] is None}
        reply = http(query["path"], **needed)
        assert reply.status == 200, reply.body
        assert reply.headers["Content-Type"] == "application/json; charset=UTF-8"
        assert {"meta", "data", "rows"} <= json.loads(reply.body).keys()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"limit": "many"}, "limit: expected a whole number from 0 to 4294967295; got 'many'."),
        ({"limit": "-1", "since": "now-1h"}, "limit: expected a whole number from 0 to 4294967295; got '-1'."),
        ({"limit": "5000000000"}, "limit: expected a whole number from 0 to 4294967295; got '5000000000'."),
        ({"namespaces": "0,talk"}, "namespaces: expected whole numbers, separated by commas; got '0,talk'."),
        (
            {"since": "yesterday", "limit": "3"},
            "since: expected a time such as 2024-12-07T12:00:00Z, now or now-90m (s, m, h, d); got 'yesterday'.",
        ),
        ({"wikis": "\\"}, "wikis: expected texts, separated by commas; got '\\\\'."),
    ],
)
def test_the_api_tells_in_one_line_which_value_it_cannot_read(http, given, said):
    for ending in ("", ".csv"):
        reply = http(f"/api/v1/wikis{ending}", **given)
        assert (reply.status, reply.body.decode()) == (400, f"{said}\n")
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_the_api_names_its_parameters_where_it_has_no_such_one(http):
    for name in ("nonsense", "param_nonsense"):
        reply = http("/api/v1/totals", **{name: "1"})
        assert reply.status == 400
        assert reply.body.decode().startswith("totals has no parameter nonsense; it has: ")
        assert reply.body.count(b"\n") == 1


def test_api_parameters_are_checked_and_stay_values(http):
    name = next(q.name for q in all_queries() if "wikis" in q.parameters and "limit" in q.parameters)
    for text in HOSTILE:
        # as ClickHouse reads a parameter's value: like a field of TSV
        escaped = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
        assert http(f"/api/v1/{name}", wikis=escaped, param_limit=3).status == 200
    assert http(f"/api/v1/{name}.csv").headers["X-ClickHouse-Format"] == "CSVWithNames"
    assert http("/api/v1/nothing").status == 404
    assert http("/api/v1/..%2fmigrations%2f0001_edits").status == 404
