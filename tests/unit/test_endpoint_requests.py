"""What a request asks: URL parameters, statements, bodies, and the errors it can get."""

import gzip
import zlib

import lz4.frame
import pytest

from services.embedded.compression import ENCODINGS, choose_encoding, compressor, decompress
from services.embedded.endpoint import exception_notice, summary_header
from services.embedded.engine import Summary, escape_parameter
from services.embedded.errors import QueryError, from_engine
from services.embedded.parameters import Session, parse_parameters
from services.embedded.statements import is_select, names_file, output_format, split_insert


def code_of(call, *arguments):
    with pytest.raises(QueryError) as caught:
        call(*arguments)
    return caught.value.code


def test_parameters_are_sorted_by_what_they_mean():
    parsed = parse_parameters(
        [
            ("query", "SELECT 1"),
            ("database", "system"),
            ("user", "writer"),
            ("password", "p"),
            ("param_title", "a&b"),
            ("max_threads", "2"),
            ("max_threads", "1"),
            ("wait_end_of_query", "1"),
            ("client_protocol_version", "54405"),
            ("session_id", "s"),
            ("session_timeout", "10"),
        ]
    )
    assert (parsed.query, parsed.database, parsed.whole) == ("SELECT 1", "system", True)
    assert parsed.bound == {"title": "a&b"}
    assert parsed.settings == {"max_threads": "1"}
    assert parsed.session == Session("s", 10, False)


def test_faulty_parameters_have_clickhouses_codes():
    assert code_of(parse_parameters, [("session_id", "s"), ("session_timeout", "4000")]) == 374
    assert code_of(parse_parameters, [("session_id", "s"), ("session_timeout", "1s")]) == 374
    assert code_of(parse_parameters, [("decompress", "1")]) == 48
    assert code_of(parse_parameters, [("a b", "1")]) == 36
    assert code_of(parse_parameters, [("x`=1,`readonly", "0")]) == 36


@pytest.mark.parametrize(
    ("sql", "target", "settings", "data_format", "data"),
    [
        (b"INSERT INTO t FORMAT Native\n\x00\n1", b"INSERT INTO t", b"", b"Native", b"\x00\n1"),
        (b"insert into t (a, format) format TSV \t\r\n1\t2", b"insert into t (a, format)", b"", b"TSV", b"1\t2"),
        (b"INSERT INTO format FORMAT CSV\n1", b"INSERT INTO format", b"", b"CSV", b"1"),
        (b"INSERT INTO db.format FORMAT CSV\n1", b"INSERT INTO db.format", b"", b"CSV", b"1"),
        (
            b"/* FORMAT x */ INSERT INTO `FORMAT y` FORMAT CSV\n",
            b"/* FORMAT x */ INSERT INTO `FORMAT y`",
            b"",
            b"CSV",
            b"",
        ),
        (
            b"INSERT INTO t SETTINGS a=0, b=1 FORMAT JSONEachRow {}",
            b"INSERT INTO t",
            b"SETTINGS a=0, b=1",
            b"JSONEachRow",
            b"{}",
        ),
        (b"INSERT INTO settings FORMAT TSV", b"INSERT INTO settings", b"", b"TSV", b""),
        (b"INSERT INTO t FORMAT TSV\n\n1", b"INSERT INTO t", b"", b"TSV", b"\n1"),
    ],
)
def test_data_begin_after_the_format(sql, target, settings, data_format, data):
    insert = split_insert(sql)
    assert insert is not None
    assert (insert.target, insert.settings, insert.format, bytes(insert.data)) == (target, settings, data_format, data)


@pytest.mark.parametrize(
    "sql",
    [
        b"",
        b"SELECT 1 FORMAT TSV\n",
        b"INSERT INTO t VALUES (1) FORMAT TSV",
        b"INSERT INTO t SELECT 1 FORMAT TSV",
        b"INSERT INTO t (a) WITH 1 AS x SELECT x FORMAT TSV",
        b"INSERT INTO t FORMAT",
        b"INSERT INTO t FORMAT 'x'",
        b"INSERT INTO t 'FORMAT TSV",
    ],
)
def test_other_statements_go_to_the_engine_as_they_are(sql):
    assert split_insert(sql) is None


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"SELECT 1", "TSV"),
        (b"SELECT 1 FORMAT JSON", "JSON"),
        (b"SELECT 1\n format JSONCompact ;", "JSONCompact"),
        (b"SELECT 1 FORMAT CSV SETTINGS max_threads = 1", "CSV"),
        (b"SELECT 'x FORMAT JSON'", "TSV"),
        (b"SELECT 1 -- FORMAT JSON", "TSV"),
        (b"SELECT $a$ FORMAT JSON $a$", "TSV"),
        (b"SELECT format FROM t", "TSV"),
    ],
)
def test_the_format_of_a_result_is_read_from_its_clause(sql, expected):
    assert output_format(sql, "TSV") == expected


def test_a_select_is_known_by_its_first_word():
    assert all(map(is_select, [b"SELECT 1", b"/* x */ ((select 1))", b"WITH 1 AS x SELECT x"]))
    assert not any(map(is_select, [b"", b"SHOW TABLES", b"EXPLAIN SELECT 1", b"DESCRIBE (SELECT 1)"]))


def test_files_are_seen_where_a_statement_names_them():
    assert names_file(b"SELECT 1 INTO/**/outfile 'x'") == b"OUTFILE"
    assert names_file(b"INSERT INTO t FROM INFILE 'x'") == b"INFILE"
    assert names_file(b"SELECT 'INTO OUTFILE', outfile FROM `INFILE`") is None


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_compressed_comes_back(encoding):
    pack = compressor(encoding)
    body = pack.compress(b"a" * 100_000) + pack.compress(memoryview(b"b")) + pack.flush()
    assert len(body) < 10_000
    assert decompress(body, encoding, 100_001) == b"a" * 100_000 + b"b"
    assert decompress(body + body, encoding, 300_000) == (b"a" * 100_000 + b"b") * 2, "clients send several frames"
    empty = compressor(encoding)
    assert decompress(empty.flush(), encoding, 10) == b""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_body_that_grows_too_large_is_refused(encoding):
    pack = compressor(encoding)
    bomb = pack.compress(b"\0" * 20_000_000) + pack.flush()
    assert code_of(decompress, bomb, encoding, 1_000_000) == 229


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("damage", [lambda b: b"garbage" + b, lambda b: b[:-9], lambda b: b + b"tail"])
def test_a_damaged_body_is_refused(encoding, damage):
    pack = compressor(encoding)
    body = pack.compress(bytes(range(256)) * 100) + pack.flush()
    assert code_of(decompress, damage(body), encoding, 1_000_000) == 271


def test_unknown_encodings_are_named():
    assert code_of(decompress, b"x", "snappy", 10) == 89
    assert decompress(b"x", "identity", 10) == b"x"


def test_other_programs_read_our_streams():
    def packed(encoding):
        pack = compressor(encoding)
        return pack.compress(b"x" * 1000) + pack.flush()

    assert gzip.decompress(packed("gzip")) == b"x" * 1000
    assert zlib.decompress(packed("deflate")) == b"x" * 1000
    assert lz4.frame.decompress(packed("lz4")) == b"x" * 1000


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [("", None), ("br", None), ("gzip;q=0.5, br", "gzip"), ("zstd, lz4", "lz4"), ("GZIP", "gzip"), ("identity", None)],
)
def test_the_answers_encoding_is_one_that_the_client_takes(accepted, expected):
    assert choose_encoding(accepted) == expected


def test_engine_errors_keep_code_and_text():
    error = from_engine("Streaming query failed: Code: 60. DB::Exception: Unknown table x. (UNKNOWN_TABLE)", {})
    assert (error.code, error.status) == (60, 404)
    assert error.text("26.9") == "Code: 60. DB::Exception: Unknown table x. (UNKNOWN_TABLE) (version 26.9 (chDB))\n"
    assert from_engine("nothing known", {}).code == 1002
    assert from_engine("Code: 800. DB::Exception: Python ... At: /home/me/x.py", {}).text("1").count("/home") == 0


def test_errors_that_come_without_a_code_are_known_by_name():
    error = from_engine("Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)", {"NOT_ENOUGH_SPACE": 243})
    assert error.code == 243
    assert error.text("1").endswith("not enough space. (NOT_ENOUGH_SPACE) (version 1 (chDB))\n")
    assert from_engine("(NEVER_HEARD_OF)", {}).code == 1002


@pytest.mark.parametrize(
    ("code", "status"), [(62, 400), (516, 403), (497, 403), (60, 404), (159, 408), (48, 501), (241, 500), (164, 500)]
)
def test_codes_have_clickhouses_status(code, status):
    assert QueryError(code, "").status == status


def test_our_own_errors_are_named_as_the_engines_are():
    assert QueryError(164, "No.").text("1") == "Code: 164. DB::Exception: No. (READONLY) (version 1 (chDB))\n"


def test_a_late_error_stands_between_tags():
    notice = exception_notice("Code: 1. é\n", "tag")
    assert notice == b"\r\n__exception__\r\ntag\r\nCode: 1. \xc3\xa9\n12 tag\r\n__exception__\r\n"


def test_the_summary_holds_numbers_as_texts():
    assert '"written_rows":"3"' in summary_header(Summary(written_rows=3))


def test_parameters_of_our_own_are_escaped_as_tabseparated():
    assert escape_parameter("a\\b\tc\nd\0'") == "a\\\\b\\tc\\nd\\0'"
