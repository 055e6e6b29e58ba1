"""Hot pages, fronts across wikis, and how many reverts are recognised, against hand-made rows in a real engine."""

from datetime import timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from services.common.settings import Settings
from tests.dashboards.rows import HOSTILE, NOON, insert
from tests.sql.ask import HOUR, at, found
from tests.sql.test_theatre_queries import roll_up

HOURS = 60  # minutes
ONE_HOUR = {"until": NOON}  # from eleven to noon; the day before is that up to eleven


def busy(title: str, edits: int, editors: int = 3, begins: float = 59, **more: Any) -> list[dict[str, Any]]:
    """So many edits of a page by so many editors in turn, half a minute apart, from `begins` minutes before noon."""
    return [
        {"title": title, "user": f"Editor {n % editors}", "timestamp": at(begins - n / 2), "rev_id": n + 1, **more}
        for n in range(edits)
    ]


def daily(title: str, an_hour: int, hours: int = 24, **more: Any) -> list[dict[str, Any]]:
    """So many edits of a page in each of the hours that lead up to eleven."""
    return [
        {"title": title, "timestamp": at(HOURS * hour + 30 - n / 4), **more}
        for hour in range(1, hours + 1)
        for n in range(an_hour)
    ]


def store(settings: Settings, *rows: dict[str, Any]) -> None:
    """Edits, with the hours that they sum up to."""
    insert(settings, "edits", *rows)
    roll_up(settings)


def test_a_page_is_hot_against_its_own_day_before(tables: Settings, reader: Client) -> None:
    store(
        tables,
        *busy("Quiet before", 9),
        *busy("Always busy", 12),
        *busy("As ever", 6),
        *daily("Always busy", 4),
        *daily("As ever", 6),
    )

    rows = found(reader, "hot_pages", **ONE_HOUR)

    assert [row["title"] for row in rows] == ["Quiet before", "Always busy"]  # as busy as ever is not hot
    quiet, always = rows
    assert (quiet["edits"], quiet["editors"], quiet["usual"], quiet["known_hours"]) == (9, 3, 0, 24)
    assert quiet["heat"] == 9
    # 27 edits an hour by the wiki now, 10 before; with 10 more on either side
    assert (always["usual"], always["pace"]) == (4, pytest.approx(37 / 20))
    assert always["expected"] == pytest.approx(4 * 37 / 20)
    assert always["heat"] == pytest.approx((12 - 7.4) / 8.4**0.5)


def test_a_spike_of_the_whole_wiki_makes_its_pages_less_hot(tables: Settings, reader: Client) -> None:
    rush = [{"title": f"Rushed {n}", "timestamp": at(5), "wiki": "dewiki"} for n in range(15)]
    store(
        tables,
        *(row | {"wiki": wiki} for wiki in ("enwiki", "dewiki") for row in (*busy("Moon", 8), *daily("Moon", 3))),
        *rush,
    )

    english, german = found(reader, "hot_pages", **ONE_HOUR)

    assert (english["wiki"], german["wiki"]) == ("enwiki", "dewiki")
    assert (english["usual"], german["usual"]) == (3, 3)
    assert (english["pace"], german["pace"]) == (pytest.approx(18 / 13), pytest.approx(33 / 13))


def test_the_hour_begins_at_its_first_second_and_ends_before_its_last(tables: Settings, reader: Client) -> None:
    eleven = {"timestamp": at(60), "user": "Ann"}
    store(
        tables,
        eleven,
        {"timestamp": NOON - timedelta(seconds=1), "user": "Bob", "rev_id": 7},
        {"timestamp": at(60) - timedelta(seconds=1), "user": "Cat"},
        {"timestamp": NOON, "user": "Dan"},
    )

    (row,) = found(reader, "hot_pages", editors=2, **ONE_HOUR)

    assert (row["edits"], row["editors"], row["last_rev_id"]) == (2, 2, 7)
    assert (row["course"][0], row["course"][-1], sum(row["course"])) == (1, 1, 2)
    (earlier,) = found(reader, "hot_pages", editors=2, until=NOON - timedelta(seconds=1))
    assert (earlier["edits"], earlier["editors"]) == (2, 2)  # at eleven, and a second before


def test_bots_logs_and_few_editors_make_no_page_hot(tables: Settings, reader: Client) -> None:
    store(
        tables,
        *busy("By bots", 9, actor="bot"),
        *busy("Log", 9, type="log"),
        *busy("By two", 9, editors=2),
        *busy("By one of them without account", 4, editors=4, actor="temporary"),
    )

    assert [row["title"] for row in found(reader, "hot_pages", **ONE_HOUR)] == ["By one of them without account"]
    assert found(reader, "hot_pages", **ONE_HOUR)[0]["temporary"] == 4
    assert [row["title"] for row in found(reader, "hot_pages", editors=2, limit=1, **ONE_HOUR)] == ["By two"]


def test_reverts_of_others_count_once_and_can_be_asked_for(tables: Settings, reader: Client) -> None:
    store(tables, *busy("Moon", 4), *busy("Sun", 4))
    insert(
        tables,
        "reverts",
        {"rev_id": 1, "timestamp": at(10), "reverter": "Ann"},
        {"rev_id": 1, "timestamp": at(10), "reverter": "Ann", "evidence": "declared", "version": 2},
        {"rev_id": 2, "timestamp": at(9), "reverter": "Bob"},
        {"rev_id": 3, "timestamp": at(8), "self_revert": True},
        {"rev_id": 4, "timestamp": at(70)},
        {"rev_id": 5, "timestamp": at(7), "wiki": "dewiki"},
        {"rev_id": 6, "timestamp": at(6), "title": "Sun"},
    )

    moon, sun = found(reader, "hot_pages", **ONE_HOUR)

    assert (moon["title"], moon["reverts"], moon["reverters"]) == ("Moon", 2, 2)
    assert (sun["title"], sun["reverts"]) == ("Sun", 1)
    assert [row["title"] for row in found(reader, "hot_pages", reverts=2, **ONE_HOUR)] == ["Moon"]


def test_a_source_that_began_within_the_day_is_known_from_its_first_whole_hour(
    tables: Settings, reader: Client
) -> None:
    # it began at half past six: from seven on there are four hours
    store(tables, *busy("Moon", 9), *daily("Moon", 2, hours=5))

    (row,) = found(reader, "hot_pages", **ONE_HOUR)

    assert (row["known_hours"], row["usual"]) == (4, 2)


def test_without_a_day_before_the_busiest_come_first(tables: Settings, reader: Client) -> None:
    store(tables, *busy("Sun", 5), *busy("Moon", 9))

    rows = found(reader, "hot_pages", **ONE_HOUR)

    assert [(row["title"], row["usual"], row["pace"], row["expected"]) for row in rows] == [
        ("Moon", None, None, None),
        ("Sun", None, None, None),
    ]
    assert {row["known_hours"] for row in rows} == {0}


def test_pages_filtered_by_wiki_and_namespace_are_held_against_the_same(tables: Settings, reader: Client) -> None:
    store(
        tables,
        *busy("Talk:Moon", 6, namespace=1),
        *daily("Talk:Moon", 1, namespace=1),
        *busy("Moon", 6),
        *daily("Moon", 1),
        *busy("Mond", 6, wiki="dewiki"),
    )

    (talk,) = found(reader, "hot_pages", namespaces=[1], **ONE_HOUR)

    assert (talk["title"], talk["pace"]) == ("Talk:Moon", pytest.approx(16 / 11))
    assert [row["title"] for row in found(reader, "hot_pages", wikis="dewiki", **ONE_HOUR)] == ["Mond"]


def undone(wiki: str, title: str, minutes: float, **more: Any) -> dict[str, Any]:
    """A revert so many minutes before noon."""
    return {"wiki": wiki, "server_name": f"{wiki[:2]}.wikipedia.org", "title": title, "timestamp": at(minutes), **more}


def test_one_title_under_reverts_on_several_wikis_is_a_front(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "reverts",
        undone("enwiki", "Ada Example", 30, rev_id=1, reverter="Ann", reverted="Vic"),
        undone("dewiki", "Ada example", 20, rev_id=2, reverter="Bob", reverted="Vic"),
        undone("frwiki", "Discussion:Ada Example", 10, rev_id=3, namespace=1, reverter="Ann", reverted="Wim"),
        undone("enwiki", "Moon", 9, rev_id=4, reverter="Ann", reverted="Xi"),
        undone("dewiki", "Mond", 8, rev_id=5, reverter="Bob", reverted="Yo"),
        undone("itwiki", "Utente:Ada Example", 7, rev_id=6, namespace=2, reverted="Zed"),
        undone("eswiki", "Ada Example", 6, rev_id=7, self_revert=True),
    )

    title, editor = found(reader, "cross_wiki_fronts", until=NOON)

    assert (title["kind"], title["name"], title["wikis"]) == (
        "title",
        "Discussion:Ada Example",
        ["dewiki", "enwiki", "frwiki"],
    )
    assert (title["reverts"], title["pages"], title["reverters"], title["reverted_editors"]) == (3, 3, 2, 2)
    assert title["shared"] == 2  # Ann and Vic; not Bob, who has one wiki
    assert (title["first_revert"], title["last_revert"], title["last_wiki"]) == (at(30), at(10), "frwiki")
    assert (title["server_name"], title["last_rev_id"]) == ("fr.wikipedia.org", 3)
    assert (editor["kind"], editor["name"], editor["wikis"]) == ("editor", "Vic", ["dewiki", "enwiki"])
    assert editor["examples"] == [
        {"wiki": "dewiki", "title": "Ada example"},
        {"wiki": "enwiki", "title": "Ada Example"},
    ]


def test_fronts_are_of_the_hours_that_lead_up_to_the_end(tables: Settings, reader: Client) -> None:
    day = 24 * HOURS
    insert(
        tables,
        "reverts",
        undone("enwiki", "Moon", day, rev_id=1),
        undone("dewiki", "Moon", 1, rev_id=2, reverted="Cat"),
        undone("enwiki", "Sun", day + 1 / 60, rev_id=3, reverted="Dan"),
        undone("dewiki", "Sun", 1, rev_id=4, reverted="Eve"),
        undone("frwiki", "Sun", 0, rev_id=5, reverted="Fay"),
    )

    assert [row["name"] for row in found(reader, "cross_wiki_fronts", until=NOON)] == ["Moon"]
    assert found(reader, "cross_wiki_fronts", until=NOON, hours=23) == []
    assert found(reader, "cross_wiki_fronts", until=NOON, least=3) == []
    assert found(reader, "cross_wiki_fronts", until=NOON, wikis="dewiki") == []
    later = found(reader, "cross_wiki_fronts", until=NOON + timedelta(seconds=1))
    assert [(row["name"], row["wikis"]) for row in later] == [("Sun", ["dewiki", "frwiki"])]


def test_nobody_and_bots_are_no_front_and_the_widest_come_first(tables: Settings, reader: Client) -> None:
    wide = [undone(wiki, f"Page {wiki}", 5, rev_id=1, reverted="Wide") for wiki in ("enwiki", "dewiki", "frwiki")]
    often = [
        undone(wiki, f"Side {n}", 5, rev_id=n, reverted="Often") for n in (2, 3, 4) for wiki in ("enwiki", "dewiki")
    ]
    insert(
        tables,
        "reverts",
        *wide,
        *often,
        *(undone(wiki, f"Bot's {wiki}", 5, rev_id=9, reverted="Bot", reverted_actor="bot") for wiki in ("a", "b")),
        *(undone(wiki, f"Nobody's {wiki}", 5, rev_id=10, reverted="", reverted_actor="") for wiki in ("a", "b")),
    )

    fronts = found(reader, "cross_wiki_fronts", until=NOON)

    assert [row["name"] for row in fronts if row["kind"] == "editor"] == ["Wide", "Often"]
    assert [row["name"] for row in fronts if row["kind"] == "title"] == ["Side 2", "Side 3", "Side 4"]
    assert len(found(reader, "cross_wiki_fronts", until=NOON, limit=1)) == 2  # one of each kind


def test_coverage_tells_how_many_edits_are_reverts_and_how_the_reverted_are_known(
    tables: Settings, reader: Client
) -> None:
    insert(
        tables,
        "fronts",
        {"window_start": at(5), "edits": 100, "creations": 20, "version": 100},
        {"window_start": at(5), "actor": "bot", "edits": 20, "creations": 0, "version": 20},
        {"window_start": at(5), "wiki": "dewiki", "edits": 10, "creations": 0, "version": 10},
    )
    insert(
        tables,
        "reverts",
        {"rev_id": 1, "timestamp": at(5), "target": "named"},
        {"rev_id": 1, "timestamp": at(5), "target": "named", "evidence": "declared", "version": 2},
        {"rev_id": 2, "timestamp": at(5), "target": "revision", "evidence": "summary", "version": 1},
        {"rev_id": 3, "timestamp": at(5), "target": "inferred", "self_revert": True},
        {"rev_id": 4, "timestamp": at(5), "target": "unknown", "reverted": ""},
        {"rev_id": 5, "timestamp": at(61), "target": "named"},
    )

    english, german = found(reader, "coverage", **HOUR)

    assert (english["wiki"], english["edits"], english["reverts"]) == ("enwiki", 100, 4)
    assert english["recognised_share"] == pytest.approx(0.04)
    assert [english[f"by_{how}"] for how in ("name", "revision", "inference")] == [1, 1, 1]
    assert (english["declared"], english["named_share"], english["known_share"]) == (1, 0.25, 0.75)
    assert (german["reverts"], german["recognised_share"], german["named_share"]) == (0, 0, None)
    assert [row["wiki"] for row in found(reader, "coverage", wikis="dewiki", **HOUR)] == ["dewiki"]


def test_hostile_words_come_back_as_they_went_in(tables: Settings, reader: Client) -> None:
    store(tables, *(row for words in HOSTILE.values() for row in busy(words, 3)))
    insert(
        tables,
        "reverts",
        *(
            undone(wiki, words, 5, rev_id=n, reverted=words)
            for n, words in enumerate(HOSTILE.values())
            for wiki in ("enwiki", "dewiki")
        ),
    )

    assert {row["title"] for row in found(reader, "hot_pages", **ONE_HOUR)} == set(HOSTILE.values())
    assert {row["name"] for row in found(reader, "cross_wiki_fronts", until=NOON)} == set(HOSTILE.values())
