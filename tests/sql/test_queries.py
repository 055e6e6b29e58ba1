"""Each query of clickhouse/queries against hand-made rows in a real engine, through the reader's account."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from click.testing import CliRunner
from clickhouse_connect.driver.client import Client

from services.common.queries import all_queries, board_now
from services.common.query_command import command
from services.common.settings import Settings, get_settings
from tests.dashboards.rows import HOSTILE, LIVE, NOON, REPLAY, WAR_GAME, insert
from tests.sql.ask import HOUR, at, found


@pytest.mark.parametrize("name", [query.name for query in all_queries()])
def test_every_query_runs_on_empty_tables_with_its_defaults(reader: Client, name: str) -> None:
    found(reader, name)


@pytest.mark.parametrize(
    ("topic", "kind", "name"),
    [
        (LIVE, "live", LIVE),
        (REPLAY, "replay", "real.edits-2024"),
        (WAR_GAME, "war game", "42"),
        ("wargame-7.mediawiki.recentchange", "war game", "7"),
    ],
)
def test_source_tells_what_plays_from_the_newest_hour(
    tables: Settings, reader: Client, topic: str, kind: str, name: str
) -> None:
    insert(
        tables,
        "edits",
        {"timestamp": at(120), "source_topic": "wargame-1.mediawiki.recentchange"},
        {"timestamp": NOON, "source_topic": topic},
    )

    (source,) = found(reader, "source")

    assert (source["kind"], source["name"]) == (kind, name)
    assert (source["oldest_event"], source["newest_event"]) == (at(120), NOON)


def test_now_is_the_end_of_the_newest_event_of_a_replay_and_the_clock_while_live(
    tables: Settings, reader: Client
) -> None:
    clock = datetime.now(UTC)
    assert abs(board_now(reader) - clock) < timedelta(seconds=10)  # nothing stored: the clock

    insert(tables, "edits", {"source_topic": REPLAY, "received": clock - timedelta(seconds=30)})
    assert board_now(reader) == NOON + timedelta(seconds=1)
    assert 29 < found(reader, "source")[0]["quiet_seconds"] < 60  # since the last change was read

    newest = (clock - timedelta(seconds=100)).replace(microsecond=0)
    insert(tables, "edits", {"timestamp": newest, "source_topic": LIVE, "received": clock})
    assert abs(board_now(reader) - clock) < timedelta(seconds=10)
    assert 99 < found(reader, "source")[0]["quiet_seconds"] < 130  # since the newest edit was made


def test_front_sums_the_newest_version_of_each_window_over_shards(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "fronts",
        {"window_start": at(2), "edits": 5, "reverts": 1, "version": 5},
        {"window_start": at(2), "edits": 7, "reverts": 2, "version": 7},  # the same window, with more in it
        {"window_start": at(2), "shard": 2, "edits": 10, "version": 10},
        {"window_start": at(1), "edits": 1, "version": 1},
        {"window_start": at(2), "wiki": "dewiki", "actor": "bot", "edits": 100, "version": 100},
        {"window_start": at(61), "edits": 1000, "version": 1000},  # before the range
        {"window_start": NOON + timedelta(seconds=10), "edits": 1000, "version": 1000},  # after it
    )

    rows = found(reader, "front", step=60, **HOUR)

    sums = {(row["actor"], row["time"]): row["edits"] for row in rows if row["edits"]}
    assert sums == {("person", at(2)): 17, ("person", at(1)): 1, ("bot", at(2)): 100}
    assert sum(row["reverts"] for row in rows) == 2
    # each class that edited has every step, quiet ones included
    assert [row["time"] for row in rows if row["actor"] == "bot"] == [at(60 - n) for n in range(61)]
    assert [r["edits"] for r in found(reader, "front", step=3600, wikis=["dewiki"], **HOUR) if r["edits"]] == [100]
    assert found(reader, "front", wikis=["nosuchwiki"], **HOUR) == []


def test_totals_are_of_the_range_alone(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "fronts",
        {"window_start": at(30), "edits": 5, "reverts": 1, "bytes_added": 50, "version": 5},
        {"window_start": at(59), "actor": "bot", "edits": 4, "version": 4},
        {"window_start": at(61), "edits": 1000, "version": 1000},
        {"window_start": NOON, "edits": 1000, "version": 1000},
    )

    rows = {row["actor"]: row for row in found(reader, "totals", since=at(60), until=NOON)}

    assert (rows["person"]["edits"], rows["person"]["reverts"], rows["person"]["bytes_added"]) == (5, 1, 50)
    assert rows["bot"]["edits"] == 4


def test_wikis_are_split_by_side_and_the_busiest_come_first(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "fronts",
        {"window_start": at(1), "edits": 5, "reverts": 1, "version": 5},
        {"window_start": at(1), "actor": "temporary", "edits": 2, "version": 2},
        {"window_start": at(1), "wiki": "wikidatawiki", "actor": "bot", "edits": 9, "version": 9},
        {"window_start": at(1), "wiki": "dewiki", "edits": 1, "version": 1},
    )

    rows = found(reader, "wikis", limit=2, **HOUR)

    assert [(r["wiki"], r["edits"], r["person"], r["temporary"], r["bot"], r["reverts"]) for r in rows] == [
        ("wikidatawiki", 9, 0, 0, 9, 0),
        ("enwiki", 7, 5, 2, 0, 1),
    ]


REVERTS = [
    {"rev_id": 1, "timestamp": at(50), "reverter": "Ann", "reverted": "Bob"},
    {"rev_id": 2, "timestamp": at(40), "reverter": "Bob", "reverted": "Ann"},
    {"rev_id": 3, "timestamp": at(30), "reverter": "Ann", "reverted": "Bob"},
    {"rev_id": 3, "timestamp": at(30), "reverter": "Ann", "reverted": "Bob", "evidence": "declared", "version": 2},
    {"rev_id": 4, "timestamp": at(20), "reverter": "Cat", "reverted": ""},
    {"rev_id": 5, "timestamp": at(10), "reverter": "Dan", "reverted": "Dan", "self_revert": True},
    {"rev_id": 6, "timestamp": at(5), "title": "Sun", "reverter": "Ann", "reverted": "Eve"},
    {"rev_id": 7, "timestamp": at(61), "title": "Old", "reverter": "Ann", "reverted": "Eve"},
    {"rev_id": 8, "timestamp": at(4), "wiki": "dewiki", "title": "Mond", "reverter": "Fay", "reverted": "Gus"},
]


def test_pages_under_fire_count_reverts_of_others_once(tables: Settings, reader: Client) -> None:
    insert(tables, "reverts", *REVERTS)

    rows = found(reader, "pages_under_fire", **HOUR)

    assert [(r["wiki"], r["title"], r["reverts"]) for r in rows] == [
        ("enwiki", "Moon", 4),
        ("dewiki", "Mond", 1),
        ("enwiki", "Sun", 1),
    ]
    moon = rows[0]
    assert (moon["reverters"], moon["reverted_editors"]) == (3, 2)
    assert (moon["last_revert"], moon["last_rev_id"]) == (at(20), 4)
    assert [r["title"] for r in found(reader, "pages_under_fire", wikis="dewiki", **HOUR)] == ["Mond"]


def test_who_reverted_whom_puts_mutual_pairs_first(tables: Settings, reader: Client) -> None:
    insert(tables, "reverts", *REVERTS)

    rows = found(reader, "who_reverted_whom", **HOUR)

    assert [(r["editor"], r["reverts"], r["reverted_back"], r["opponent"], r["title"]) for r in rows] == [
        ("Ann", 2, 1, "Bob", "Moon"),
        ("Fay", 1, 0, "Gus", "Mond"),
        ("Ann", 1, 0, "Eve", "Sun"),
    ]
    assert rows[0]["last_rev_id"] == 3


def test_newest_reverts_come_newest_first_with_their_best_evidence(tables: Settings, reader: Client) -> None:
    insert(tables, "reverts", *REVERTS)

    rows = found(reader, "newest_reverts", limit=4, **HOUR)

    assert [r["rev_id"] for r in rows] == [8, 6, 4, 3]
    assert rows[-1]["evidence"] == "declared"


def test_hostile_words_come_back_as_they_went_in(tables: Settings, reader: Client) -> None:
    for number, words in enumerate(HOSTILE.values(), start=1):
        insert(tables, "reverts", {"rev_id": number, "title": words, "reverter": words, "wiki": "enwiki"})

    assert {row["title"] for row in found(reader, "pages_under_fire", **HOUR)} == set(HOSTILE.values())
    assert {row["editor"] for row in found(reader, "who_reverted_whom", **HOUR)} <= {*HOSTILE.values(), "Bob"}
    assert found(reader, "pages_under_fire", wikis=list(HOSTILE.values()), **HOUR) == []  # they are values, no SQL


def test_delays_tell_reading_from_storing(tables: Settings, reader: Client) -> None:
    made = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    read = [made + timedelta(seconds=seconds) for seconds in (1, 2, 9)]
    stored = timedelta(seconds=4)
    insert(tables, "edits", *({"timestamp": made, "received": time, "stored": time + stored} for time in read))

    (row,) = found(reader, "delays", since=made, until=made + stored)

    assert (row["changes"], row["read_median"], row["read_slowest"]) == (3, 2.0, 9.0)
    assert (row["stored_median"], row["stored_slowest"]) == (4.0, 4.0)


def test_ledger_tells_what_became_of_all_that_was_read_and_how_far_behind_the_edits_are(
    tables: Settings, reader: Client
) -> None:
    insert(
        tables,
        "ledger",
        {"page": 0, "read": 400, "kept": 100, "version": 400, "last_offset": 399},
        {"page": 0, "kept": 600, "dead_lettered": 3, "dropped": {"categorize": 390, "canary": 7}},
        {"page": 1, "first_offset": 1000, "last_offset": 1999, "kept": 990, "dropped": {"categorize": 10}},
        {"source_topic": LIVE, "page": 9, "first_offset": 9000, "last_offset": 9999},
    )
    insert(
        tables, "edits", {"source_offset": 1500}, {"source_offset": 1700}, {"source_offset": 9, "timestamp": at(500)}
    )

    rows = {row["source_topic"]: row for row in found(reader, "ledger", since=at(60))}

    replay = rows[REPLAY]
    assert (replay["first_offset"], replay["last_offset"]) == (0, 1999)
    assert [replay[name] for name in ("read", "kept", "dead_lettered", "dropped")] == [2000, 1590, 3, 407]
    assert (replay["stored_offset"], replay["behind"]) == (1700, 299)
    assert rows[LIVE]["behind"] is None  # nothing of it is stored in the range: not known
    assert found(reader, "dropped") == [{"reason": "categorize", "changes": 400}, {"reason": "canary", "changes": 7}]


def test_late_changes_are_counted_once_by_wiki(tables: Settings, reader: Client) -> None:
    twice = {"meta_id": UUID(int=1), "late": True}
    insert(tables, "edits", {"late": False}, {"late": True, "timestamp": at(3)}, twice)
    insert(tables, "edits", twice)

    assert found(reader, "late", **HOUR) == [{"wiki": "enwiki", "changes": 2, "newest": NOON}]


def test_dead_letters_show_the_newest_of_each_reason(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "dead_letters",
        {"dead_letter_id": "a", "raw": b"\xff" + b"x" * 999, "received": NOON},
        {"dead_letter_id": "a", "raw": b"\xff" + b"x" * 999, "received": NOON, "version": 2},
        {"dead_letter_id": "b", "raw": b"{", "received": at(5)},
        {"dead_letter_id": "c", "reason": "missing_field", "error": "no title"},
    )

    first, second = found(reader, "dead_letters")

    assert (first["reason"], first["letters"], first["newest"]) == ("not_json", 2, NOON)
    assert first["newest_raw"] == "\ufffd" + "x" * 299  # cut, and valid text whatever came
    assert (second["reason"], second["newest_error"]) == ("missing_field", "no title")


def test_versions_name_the_newest_migration(reader: Client) -> None:
    (row,) = found(reader, "versions")

    assert row["migration"] >= 4
    assert row["clickhouse"].split(".")[0].isdigit()


def test_the_command_prints_json_and_tables(tables: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    insert(tables, "reverts", *REVERTS)
    insert(tables, "edits", {})
    monkeypatch.setenv("CLICKHOUSE_PORT", str(tables.clickhouse_port))
    monkeypatch.setenv("CLICKHOUSE_DATABASE", tables.clickhouse_database)
    get_settings.cache_clear()
    try:
        # its defaults end at the newest event of the replay, in 2024
        as_json = CliRunner().invoke(command, ["newest_reverts", "--param", "limit=1", "--json"])
        as_text = CliRunner().invoke(command, ["pages_under_fire", "--param", "wikis=enwiki"])
        nothing = CliRunner().invoke(command, ["wikis"])
    finally:
        get_settings.cache_clear()

    (row,) = json.loads(as_json.stdout)
    assert (row["title"], row["timestamp"]) == ("Mond", "2024-12-07T11:56:00+00:00")
    assert "Moon" in as_text.stdout
    assert "2024-12-07 11:40:00Z" in as_text.stdout
    assert (nothing.stdout, nothing.stderr) == ("", "No rows.\n")
