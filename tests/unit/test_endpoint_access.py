"""Who is asking, and what may they: pure functions of the embedded endpoint."""

import stat

import pytest

from services.embedded.access import (
    READER_LIMITS,
    Account,
    Credentials,
    authenticate,
    credentials,
    ensure_writer_password,
    reader_settings,
    refuse_foreign,
)
from services.embedded.errors import QueryError

BASIC = "Basic d3JpdGVyOnNlc2Ftw6k6MQ=="  # writer:sesamé:1


def code_of(call, *arguments):
    with pytest.raises(QueryError) as caught:
        call(*arguments)
    return caught.value.code


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:8123"},
        {"Host": "localhost"},
        {"Host": "[::1]:8123"},
        {"Host": "LOCALHOST:1", "Origin": "http://127.0.0.1:8501"},
        {"Host": "localhost", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Host": "localhost", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_this_machine_is_let_in(headers):
    refuse_foreign(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": ""},
        {"Host": "evil.example:8123"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "evil.example#@127.0.0.1"},
        {"Host": "[::1"},
        {"Host": "localhost", "Origin": "https://evil.example"},
        {"Host": "localhost", "Origin": "null"},
        {"Host": "localhost", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_what_is_foreign_is_refused(headers):
    assert code_of(refuse_foreign, headers) == 497


@pytest.mark.parametrize(
    ("headers", "parameters", "expected"),
    [
        ({}, {}, None),
        ({"Authorization": BASIC}, {}, Credentials("writer", "sesamé:1")),
        ({"X-ClickHouse-User": "writer", "X-ClickHouse-Key": "k"}, {}, Credentials("writer", "k")),
        ({"X-ClickHouse-Key": "k"}, {}, Credentials("default", "k")),
        ({}, {"user": "writer", "password": "p"}, Credentials("writer", "p")),
        ({}, {"user": "writer"}, Credentials("writer", "")),
    ],
)
def test_credentials_come_in_three_ways(headers, parameters, expected):
    assert credentials(headers, parameters) == expected


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ({"Authorization": BASIC, "X-ClickHouse-User": "writer"}, {}),
        ({"Authorization": BASIC}, {"user": "writer"}),
        ({"Authorization": "Bearer x"}, {}),
        ({"Authorization": "Basic ~"}, {}),
        ({"Authorization": "Basic /w=="}, {}),
        ({"Authorization": ""}, {}),
    ],
)
def test_unclear_credentials_are_refused(headers, parameters):
    assert code_of(credentials, headers, parameters) == 516


def test_only_the_right_password_makes_a_writer():
    assert authenticate(Credentials("writer", "right"), "right") is Account.WRITER
    assert authenticate(None, "right") is Account.READER
    assert authenticate(Credentials("default", ""), "right") is Account.READER
    for user, password in [("writer", ""), ("writer", "wrong"), ("default", "right"), ("", ""), ("wríter", "right")]:
        assert code_of(authenticate, Credentials(user, password), "right") == 516


def test_the_reader_lowers_its_limits_and_cannot_lift_them():
    assert reader_settings({}) == {name: str(limit) for name, limit in READER_LIMITS.items()}
    assert reader_settings({"max_execution_time": "5"})["max_execution_time"] == "5"
    for value in ["31", "0", "-1", "1e3", "", "٣", "1, readonly = 0"]:
        assert code_of(reader_settings, {"max_execution_time": value}) == 452


def test_the_reader_sets_nothing_that_names_files_or_rights():
    assert reader_settings({"session_timezone": "Europe/Berlin"})["session_timezone"] == "Europe/Berlin"
    assert "readonly" not in reader_settings({"readonly": "0"})
    for name in ["format_schema", "format_template_resultset", "output_format_schema", "allow_ddl", "nonsense"]:
        assert code_of(reader_settings, {name: "1"}) == 164


def test_the_password_is_random_private_and_kept(tmp_path):
    first = ensure_writer_password(tmp_path / "a")
    assert len(first) >= 32
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert ensure_writer_password(tmp_path / "a") == first
    assert ensure_writer_password(tmp_path / "b") != first


def test_an_empty_password_file_is_made_anew(tmp_path):
    (tmp_path / "a").touch()
    assert len(ensure_writer_password(tmp_path / "a")) >= 32
