"""Named queries: the files' format, typed parameters, and errors that say what to do."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.common.queries import (
    BadParameter,
    BadQueryFile,
    UnknownQuery,
    all_queries,
    bind,
    load,
    parse_query,
)

NOW = datetime(2024, 12, 7, 12, 0, tzinfo=UTC)
FILE = """-- The pages.
-- param since: begin of the range [default now-1h]
-- param wikis: only these [default ]
-- param limit: at most
-- param title: a text [default x]
SELECT 1 WHERE {since:DateTime('UTC')} AND {wikis:Array(String)} AND {limit:UInt32} AND {title:String}
"""


def test_a_file_gives_description_sql_and_typed_parameters() -> None:
    query = parse_query("pages", FILE)

    assert query.description == "The pages."
    assert query.sql.startswith("SELECT 1")
    assert "--" not in query.sql
    assert {name: (p.type, p.default) for name, p in query.parameters.items()} == {
        "since": ("DateTime('UTC')", "now-1h"),
        "wikis": ("Array(String)", ""),
        "limit": ("UInt32", None),
        "title": ("String", "x"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1", "begin with one line"),
        ("-- param a: b\nSELECT {a:String}", "begin with one line"),
        ("-- What.\n-- more words\nSELECT 1", "more words"),
        ("-- What.\n-- param a: b\nSELECT 1", "is no `-- param"),
        ("-- What.\nSELECT {a:String}", "add a `-- param` line for a"),
        ("-- What.\n-- param a: b\nSELECT {a:Float64}", "use one type of"),
        ("-- What.\n-- param a: b\nSELECT {a:String}, {a:UInt32}", "use one type of"),
        ("-- What.\nSELECT 1;", "one SELECT without a semicolon"),
        ("-- What.\nDROP TABLE edits", "one SELECT without a semicolon"),
    ],
)
def test_a_file_that_breaks_the_format_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadQueryFile, match=message):
        parse_query("bad", text)


def test_every_file_of_the_project_keeps_to_the_format() -> None:
    queries = all_queries()

    assert {"front", "source", "wikis"} <= {query.name for query in queries}
    assert all(p.meaning for query in queries for p in query.parameters.values())


def test_every_parameter_with_a_default_can_hold_it() -> None:
    for query in all_queries():
        required = {p.name: "1" for p in query.parameters.values() if p.default is None}
        bind(query, required, lambda: NOW)


@pytest.mark.parametrize("name", ["nothing", "../migrations/0001_edits", "", "front.sql"])
def test_an_unknown_name_lists_the_known(name: str) -> None:
    with pytest.raises(UnknownQuery, match="front"):
        load(name)


def test_defaults_and_texts_become_typed_values() -> None:
    bound = bind(parse_query("pages", FILE), {"limit": "5", "wikis": "enwiki, dewiki,"}, lambda: NOW)

    assert bound == {"since": NOW - timedelta(hours=1), "wikis": ["enwiki", "dewiki"], "limit": 5, "title": "x"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("now", NOW),
        ("now-90s", NOW - timedelta(seconds=90)),
        ("now-2d", NOW - timedelta(days=2)),
        ("2024-12-07T12:00:00Z", NOW),
        ("2024-12-07 12:00:00", NOW),
        ("2024-12-07T13:00:00+01:00", NOW),
        (NOW.astimezone(timezone(timedelta(hours=5))), NOW),
        (NOW.replace(tzinfo=None), NOW),
    ],
)
def test_times_are_utc_whatever_way_they_are_given(given: object, expected: datetime) -> None:
    assert bind(parse_query("pages", FILE), {"limit": 1, "since": given}, lambda: NOW)["since"] == expected


def test_now_is_asked_for_only_where_a_time_is_relative() -> None:
    def never() -> datetime:
        raise AssertionError("asked ClickHouse for now without need")

    bind(parse_query("pages", FILE), {"limit": 1, "since": NOW}, never)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs limit: at most"),
        ({"limit": "x"}, "limit: expected a whole number.*got 'x'"),
        ({"limit": -1}, "limit: expected a whole number"),
        ({"limit": 2**32}, "limit: expected a whole number"),
        ({"limit": 1, "since": "yesterday"}, "since: expected a time"),
        ({"limit": 1, "since": 5}, "since: expected a time"),
        ({"limit": 1, "since": "now-99999999999d"}, "since: expected a time"),
        ({"limit": 1, "wikis": [1]}, "wikis: expected texts"),
        ({"limit": 1, "wikis": None}, "needs wikis"),
        ({"limit": 1, "title": 5}, "title: expected a text"),
        ({"limit": 1, "nope": 1}, "no parameter nope; it has: since"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(given: dict[str, object], message: str) -> None:
    with pytest.raises(BadParameter, match=message):
        bind(parse_query("pages", FILE), given, lambda: NOW)
