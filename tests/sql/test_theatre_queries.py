"""The queries of theatres, and what a filter by namespace and a long range read, against hand-made rows."""

from datetime import timedelta

import pytest
from clickhouse_connect.driver.client import Client

from services.common.clickhouse import writer_client
from services.common.settings import Settings
from tests.dashboards.rows import NOON, insert
from tests.sql.ask import HOUR, at, found

DAY = timedelta(days=1)
LONG = {"since": NOON - 7 * DAY, "until": NOON + timedelta(minutes=30)}


def grown(minutes: float, by: int, **more: object) -> dict[str, object]:
    """An edit so many minutes before noon that made its page grow."""
    return {"timestamp": at(minutes), "length_old": 1000, "length_new": 1000 + by, **more}


def roll_up(settings: Settings) -> None:
    """Do now what ClickHouse does every minute."""
    with writer_client(settings) as client:
        client.command("SYSTEM REFRESH VIEW refresh_fronts_hourly")
        client.command("SYSTEM WAIT VIEW refresh_fronts_hourly")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("front", {"step": 3600}),
        ("totals", {}),
        ("wikis", {}),
        ("reverted_share", {}),
        ("theatres", {}),
        ("languages", {}),
    ],
)
def test_a_namespace_counts_its_own_edits_and_reverts(
    tables: Settings, reader: Client, name: str, params: dict[str, int]
) -> None:
    temporary = {"actor": "temporary"}
    insert(tables, "edits", grown(1, 5, **temporary), grown(2, 5, namespace=1, **temporary), grown(3, 5, late=True))
    insert(tables, "fronts", {"window_start": at(1), "edits": 99, "reverts": 9})
    insert(tables, "reverts", {"namespace": 1, "timestamp": at(1)}, {"rev_id": 2, "timestamp": at(1)})

    talk = found(reader, name, namespaces=[1], **HOUR, **params)

    edits = sum(row["temporary_edits"] if name == "reverted_share" else row["edits"] for row in talk)
    assert edits == 1
    if name != "reverted_share":
        assert sum(row["reverts"] for row in talk) == 1


def test_a_long_range_reads_whole_hours_from_the_roll_up_and_the_rest_from_windows(
    tables: Settings, reader: Client
) -> None:
    insert(tables, "edits", grown(60 * 24 * 5, 5), grown(120, 5, actor="bot"), grown(-29, 5), grown(-45, 5))
    windows = [{"window_start": at(minutes), "edits": 1} for minutes in (120, -29, -45)]
    insert(tables, "fronts", *windows)
    roll_up(tables)

    totals = {row["actor"]: row["edits"] for row in found(reader, "totals", **LONG)}

    # of the hour that `until` lies in, only what was before it
    assert totals == {"person": 2, "bot": 1}
    steps = [row for row in found(reader, "front", step=14_400, **LONG) if row["edits"]]
    assert [(row["actor"], row["time"].hour) for row in steps] == [("bot", 8), ("person", 12), ("person", 12)]


def test_theatres_are_the_busiest_wikis_step_by_step(tables: Settings, reader: Client) -> None:
    windows = [
        ("enwiki", 9, "person", 5),
        ("enwiki", 9, "bot", 2),
        ("enwiki", 1, "person", 1),
        ("dewiki", 1, "person", 3),
    ]
    insert(
        tables,
        "fronts",
        *({"wiki": w, "window_start": at(m), "actor": a, "edits": n, "version": n} for w, m, a, n in windows),
        {"wiki": "frwiki", "window_start": at(1), "edits": 1},
    )

    rows = found(reader, "theatres", step=300, limit=2, **HOUR)

    assert [(r["wiki"], r["time"], r["person"], r["bot"], r["edits"]) for r in rows] == [
        ("dewiki", at(5), 3, 0, 3),
        ("enwiki", at(10), 5, 2, 7),
        ("enwiki", at(5), 1, 0, 1),
    ]


def test_a_language_is_its_wikipedia_and_its_sister_projects(tables: Settings, reader: Client) -> None:
    wikis = ("dewiki", "dewiktionary", "dewikisource", "simplewiki", "be_x_oldwiki", "wikidatawiki", "commonswiki")
    insert(tables, "fronts", *({"wiki": wiki, "window_start": at(1), "bytes_added": 7} for wiki in wikis))

    rows = found(reader, "languages", step=3600, **HOUR)

    assert {(row["language"], row["edits"], row["bytes_added"]) for row in rows} == {
        ("de", 3, 21),
        ("simple", 1, 7),
        ("be-x-old", 1, 7),
    }


def test_territory_is_gained_and_lost_by_wiki_and_namespace_over_hours_and_their_ends(
    tables: Settings, reader: Client
) -> None:
    insert(
        tables,
        "edits",
        grown(200, 1000),  # before the range
        grown(170, 1),  # in the hour that the range begins in
        grown(90, 10),
        grown(80, -40, namespace=1),
        grown(30, 100, wiki="dewiki"),
        grown(-20, 5),  # in the hour that it ends in
        grown(-40, 1000),  # after it
        {"timestamp": at(50), "type": "new", "length_new": 500},
        {"timestamp": at(50), "type": "log"},
    )
    roll_up(tables)
    span = {"since": at(175), "until": NOON + timedelta(minutes=30)}

    rows = found(reader, "territory", **span)

    assert [(r["wiki"], r["namespace"], r["edits"], r["bytes_added"], r["bytes_removed"]) for r in rows] == [
        ("dewiki", 0, 1, 100, 0),
        ("enwiki", 0, 4, 516, 0),
        ("enwiki", 1, 1, 0, 40),
    ]
    assert [row["wiki"] for row in found(reader, "territory", limit=1, **span)] == ["enwiki", "enwiki"]
    assert [row["edits"] for row in found(reader, "territory", namespaces=[1], **span)] == [1]
