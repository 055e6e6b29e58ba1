"""What the embedded endpoint's reader must not be able to do, tried against the real engine."""

import os
import stat
from http.client import HTTPConnection

import psutil
import pytest

from services.common.clickhouse import writer_client, writer_password_path
from tests.integration.test_endpoint import Http

# Each must be refused; `{outside}` is a file on this machine with the text SECRET.
FORBIDDEN = [
    # changes
    "INSERT INTO edits (wiki) VALUES ('x')",
    "INSERT INTO edits (wiki) FORMAT TSV\nx\n",
    "CREATE TABLE mine (n UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE mine (n UInt8)",
    "CREATE DATABASE mine",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE FUNCTION mine AS x -> x",
    "CREATE USER mine",
    "DROP TABLE edits",
    "TRUNCATE TABLE edits",
    "ALTER TABLE edits DELETE WHERE 1",
    "DELETE FROM edits WHERE 1",
    "OPTIMIZE TABLE edits",
    "RENAME TABLE edits TO gone",
    "DETACH TABLE edits",
    "GRANT ALL ON *.* TO default",
    "KILL QUERY WHERE 1",
    "SYSTEM STOP MERGES",
    "SYSTEM SHUTDOWN",
    "BACKUP DATABASE battlefield TO File('{outside}.zip')",
    # several statements, a forbidden one hidden behind another, or behind one that cannot be parsed
    "SELECT 1; KILL QUERY WHERE 1",
    "SELECT 1; KILL QUERY WHERE 1; ((",
    "EXPLAIN SELECT 1; DROP TABLE edits",
    # settings
    "SET max_execution_time = 0",
    "SET readonly = 0",
    "SET ROLE x",
    "USE system",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_execution_time = 0",
    "SELECT 1 SETTINGS max_memory_usage = 0",
    "SELECT 1 FORMAT Template SETTINGS format_template_resultset = '{outside}'",
    # files
    "SELECT * FROM file('{outside}', 'LineAsString')",
    "SELECT * FROM file('{outside}')",
    "DESCRIBE TABLE file('{outside}', 'LineAsString')",
    "SELECT file('{outside}')",
    "SELECT file('{outside}', 'x')",
    "SELECT arrayMap(file, ['{outside}'])",
    "SELECT * APPLY(file) FROM (SELECT '{outside}')",
    "WITH (p -> file(p)) AS read SELECT read('{outside}')",
    "EXPLAIN SYNTAX run_query_tree_passes = 1 SELECT file('{outside}')",
    "SELECT * FROM values('x String', file('{outside}'))",
    "SELECT * FROM '{outside}'",
    "SELECT * FROM `{outside}`",
    "SELECT * FROM default.`{outside}`",
    "DESCRIBE default.`{outside}`",
    "SELECT * FROM merge('default', 'outside')",
    "SELECT * FROM fileCluster('default', '{outside}', 'LineAsString')",
    "SELECT * FROM filesystem('/')",
    "SELECT * FROM sqlite('{outside}', 'x')",
    "SELECT * FROM icebergLocal('/')",
    "SELECT * FROM deltaLakeLocal('/')",
    "SELECT * FROM executable('cat {outside}', 'LineAsString', 'x String')",
    "SELECT * FROM dictionary('x')",
    "SELECT * FROM Python(endpoint)",
    "SELECT * FROM eval('SELECT 1')",
    "SELECT 1 INTO OUTFILE '{outside}.out'",
    "SELECT 1 INTO/**/OUTFILE '{outside}.out' FORMAT CSV",
    "INSERT INTO dead_letters (raw) FROM INFILE '{outside}' FORMAT LineAsString",
    "INSERT INTO FUNCTION file('{outside}.out', 'CSV') SELECT 1",
    # other machines
    "SELECT * FROM url('http://127.0.0.1:{port}/ping', 'LineAsString')",
    "SELECT * FROM urlCluster('default', 'http://127.0.0.1:{port}/ping', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1:{port}', system.one)",
    "SELECT * FROM remoteSecure('127.0.0.1:{port}', system.one)",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM s3('http://127.0.0.1:{port}/bucket/key', 'CSV')",
    "SELECT * FROM gcs('http://127.0.0.1:{port}/bucket/key', 'CSV')",
    "SELECT * FROM hdfs('hdfs://127.0.0.1:{port}/x', 'CSV', 'x String')",
    "SELECT * FROM azureBlobStorage('http://127.0.0.1:{port}/', 'c', 'b', 'a', 'a2V5')",
    "SELECT * FROM mysql('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
    "SELECT * FROM postgresql('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
    "SELECT * FROM mongodb('127.0.0.1:{port}', 'a', 'b', 'c', 'd', 'x String')",
    "SELECT * FROM redis('127.0.0.1:{port}', 'x', 'x String')",
    "SELECT * FROM jdbc('x', 'y')",
    "SELECT aiGenerate('x')",
]


@pytest.fixture
def http(clickhouse):
    return Http(clickhouse)


@pytest.fixture
def outside(tmp_path):
    path = tmp_path / "outside"
    path.write_text("SECRET\n")
    return path


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_the_reader_cannot(http, outside, sql):
    reply = http(body=sql.format(outside=outside, port=http.port).encode())
    assert reply.status >= 400
    assert reply.code
    assert b"SECRET" not in reply.body
    assert os.listdir(outside.parent) == ["outside"]


def test_the_reader_cannot_by_parameters_either(http, outside):
    for reply in [
        http(query="SELECT * FROM {t:Identifier}", param_t=str(outside)),
        http(query="SELECT * FROM default.{t:Identifier}", param_t=str(outside)),
        http(query="SELECT * FROM file({t:String}, 'LineAsString')", param_t=str(outside)),
        http(query="SELECT 1", readonly=0, format_template_resultset=outside),
        http(query="SELECT 1", database="default`; SYSTEM SHUTDOWN; --"),
        http(query="SELECT 1", database=str(outside)),
        http(query="SELECT 1", log_comment="'; KILL QUERY WHERE 1; --", max_rows_to_read="0"),
    ]:
        assert reply.status >= 400
        assert b"SECRET" not in reply.body
    assert http(query="SELECT getSetting('log_comment')", log_comment="'x\\y").body == b"\\'x\\\\y\n"


def test_the_reader_reads_tables_and_the_catalogue(http):
    for sql in [
        "SELECT count() FROM edits",
        "WITH 1 AS x SELECT x",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "SHOW TABLES",
        "SHOW CREATE TABLE edits",
        "DESCRIBE TABLE edits",
        "EXPLAIN SELECT 1",
        "EXISTS TABLE edits",
        "SELECT * FROM numbers(3)",
        "SELECT name FROM system.tables LIMIT 1",
        "/* a comment */ SELECT 1 -- and another",
    ]:
        assert http(body=sql.encode()).status == 200, sql


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT count() FROM numbers(300000000)", "158"),
        ("SELECT groupArray(toString(number)) FROM numbers(60000000)", "241"),
        ("SELECT number FROM numbers(1000001) FORMAT JSON", "396"),
        ("SELECT sleepEachRow(1) FROM numbers(5) SETTINGS max_block_size = 1", "164"),
    ],
)
def test_the_reader_has_limits(http, sql, code):
    assert http(body=sql.encode(), wait_end_of_query=1).code == code


def test_the_reader_may_ask_for_less_time(http):
    reply = http(query="SELECT sleep(3)", max_execution_time=1, wait_end_of_query=1)
    assert (reply.status, reply.code) == (408, "159")


def test_get_reads_only_even_for_the_writer(http):
    query = "CREATE TABLE got (n UInt8) ENGINE = Memory"
    for more in ({}, {"session_id": "get"}):
        assert http(query=query, writer=True, **more).code == "164"
    assert http(query="SELECT 1", writer=True).body == b"1\n"


def test_not_even_the_writer_reaches_files_and_other_machines(http, outside):
    for sql in [
        f"SELECT file('{outside}')",
        f"SELECT * FROM file('{outside}', 'LineAsString')",
        f"CREATE TABLE leak (x String) ENGINE = File(LineAsString, '{outside}')",
        f"SELECT * FROM url('http://127.0.0.1:{http.port}/ping', 'LineAsString')",
        f"SELECT 1 INTO OUTFILE '{outside}.out'",
        f"INSERT INTO dead_letters (raw) FROM INFILE '{outside}' FORMAT LineAsString",
        f"INSERT INTO dead_letters (raw) FROM INFILE '{outside}'",
        "SYSTEM SHUTDOWN",
    ]:
        reply = http(body=sql.encode(), writer=True)
        assert reply.status >= 400, sql
        assert b"SECRET" not in reply.body
    assert os.listdir(outside.parent) == ["outside"]


def test_wrong_credentials_are_refused_before_anything_runs(http, clickhouse):
    for arguments in [
        {"headers": {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": "wrong"}},
        {"headers": {"Authorization": "Basic d3JpdGVyOndyb25n"}},
        {"user": "writer", "password": "wrong"},
        {"user": "admin", "password": "x"},
        {"user": "writer"},
    ]:
        reply = http(query="SELECT 1", **arguments)
        assert (reply.status, reply.code) == (403, "516")
        assert reply.body.startswith(b"Code: 516. DB::Exception: ")
    path = writer_password_path(clickhouse.data_dir)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert http(query="SELECT 1", user="writer", password=path.read_text().strip()).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8123"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_foreign_pages_are_refused(http, headers):
    for path in ("/?query=SELECT+1", "/ping", "/api/v1/"):
        assert http(path, headers=headers).status == 403
        assert http(path, headers=headers, writer=True).status == 403


def test_it_listens_on_the_loopback_address_alone(http):
    listening = [
        c.laddr.ip for c in psutil.net_connections("tcp4") if c.laddr.port == http.port and c.status == "LISTEN"
    ]
    assert listening == ["127.0.0.1"]
    connection = HTTPConnection("127.0.0.2", http.port, timeout=2)
    with pytest.raises(OSError, match="refused"):
        connection.connect()


def test_the_reader_does_not_see_the_writers_password(http, clickhouse):
    password = writer_password_path(clickhouse.data_dir).read_text().strip()
    with writer_client(clickhouse) as client:
        client.command("SELECT 1")
    for table in ("processes", "settings", "server_settings", "users", "query_log"):
        assert password.encode() not in http(query=f"SELECT * FROM system.{table}").body
