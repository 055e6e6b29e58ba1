"""The pages as Streamlit builds them: with data, without, with ClickHouse away, and with hostile words."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from services.common.settings import Settings
from tests.dashboards.conftest import open_page
from tests.dashboards.rows import HOSTILE, LIVE, NOON, REPLAY, WAR_GAME, edit, insert

PAGES = [
    "views/front_line.py",
    "views/theatres.py",
    "views/hot_pages.py",
    "views/battles.py",
    "views/battle.py",
    "views/three_reverts.py",
    "views/patrol.py",
    "views/look_up.py",
    "views/health.py",
]
HEALTH = PAGES[-1]


def metrics(app: AppTest) -> dict[str, str]:
    """The figures, by their label."""
    return {metric.label: metric.value for metric in app.metric}


def texts(app: AppTest) -> str:
    """All that is read as markdown."""
    return "\n".join(element.value for kind in ("markdown", "caption", "info", "error") for element in app.get(kind))


def tables(app: AppTest) -> dict[str, Any]:
    """The tables' frames, by the first of their columns."""
    return {table.value.columns[0]: table.value for table in app.dataframe}


def charts(app: AppTest) -> list[dict[str, Any]]:
    """The charts' Vega-Lite specifications."""
    return [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]


@pytest.fixture
def battlefield(board: Settings) -> Settings:
    """Half an hour of a replay: a person a minute, a bot every other minute, and three reverts."""
    times = [NOON - timedelta(minutes=minute) for minute in range(30)]
    edit(
        board,
        *({"timestamp": time, "source_offset": minute} for minute, time in enumerate(times)),
        *({"timestamp": time, "actor": "bot", "wiki": "wikidatawiki"} for time in times[1::2]),
    )
    insert(
        board,
        "reverts",
        {"rev_id": 11, "reverter": "Ann", "reverted": "Bob", "timestamp": NOON - timedelta(minutes=3)},
        {"rev_id": 12, "reverter": "Bob", "reverted": "Ann", "timestamp": NOON - timedelta(minutes=2)},
        {"rev_id": 13, "reverter": "Cat", "reverted": "", "title": "Sun", "timestamp": NOON - timedelta(minutes=1)},
    )
    insert(board, "ledger", {"kept": 600, "dead_lettered": 1, "dropped": {"categorize": 399}})
    insert(board, "dead_letters", {"error": "unexpected end"})
    return board


def test_the_front_line_shows_sides_wikis_and_reverts(battlefield: Settings) -> None:
    app = open_page(range="1h")

    assert metrics(app) == {
        "People": "30 edits",
        "Temporary accounts": "0 edits",
        "Bots": "15 edits",
        "All sides": "0 reverts",
    }
    front, reverts, wikis = charts(app)
    assert front["layer"][0]["mark"]["type"] == "area"
    assert reverts["layer"][0]["encoding"]["y"]["axis"]["title"] == "per minute"
    assert wikis["mark"]["type"] == "bar"
    pages = tables(app)["reverts"]
    assert list(pages["title"]) == ["Moon", "Sun"]
    assert pages["history"][0] == "https://en.wikipedia.org/w/index.php?title=Moon&action=history"
    assert pages["diff"][0] == "https://en.wikipedia.org/wiki/Special:Diff/12"
    pairs = tables(app)["editor"]
    assert list(pairs[["reverts", "reverted_back"]].iloc[0]) == [1, 1]
    assert pairs["editor_work"][0].startswith("https://en.wikipedia.org/wiki/Special:Contributions/")
    newest = tables(app)["timestamp"]
    assert list(newest["reverter"]) == ["Cat", "Bob", "Ann"]
    assert list(newest["reverted"]) == ["not known", "Ann", "Bob"]
    assert newest["history"][0] == "https://en.wikipedia.org/w/index.php?title=Sun&action=history"
    assert newest["work"][0] == "https://en.wikipedia.org/wiki/Special:Contributions/Cat"
    assert "replay of real\\.edits\\-2024" in texts(app)
    assert "played up to 2024-12-07 12:00:00 UTC" in texts(app)


def test_the_health_page_shows_where_time_goes_and_what_was_left_out(battlefield: Settings) -> None:
    app = open_page(HEALTH)

    assert metrics(app)["Lag"] == "970 offsets"
    assert metrics(app)["Dead letters"] == "1 letter"
    assert "Edit to read" not in metrics(app)  # a replay's edits are as old as they are
    assert list(tables(app)["source_topic"][["read", "kept", "dropped", "dead_lettered"]].iloc[0]) == [
        1000,
        600,
        399,
        1,
    ]
    assert [kind["reason"].tolist() for key, kind in tables(app).items() if key == "reason"] == [["not_json"]]
    assert len(charts(app)) == 1
    assert metrics(app)["Rate"] == "0.0 edits/s"  # two a minute
    assert metrics(app)["Last audit"] == "none yet"
    assert "No audit has run yet: `battlefield audit` runs one." in texts(app)
    assert "tables at migration" in texts(app)
    recognised = tables(app)["wiki"].set_index("wiki")
    assert list(recognised.loc["enwiki", ["edits", "reverts", "recognised_share", "named_share"]]) == [30, 3, 10, 0]
    assert recognised.loc["wikidatawiki", "reverts"] == 0


def test_the_health_page_shows_what_the_last_audits_found(battlefield: Settings) -> None:
    now = datetime.now(UTC)
    shared = {"started": now - timedelta(hours=3), "seconds": 4, "since": NOON, "until": NOON, "changes": 30}
    found = {"late": 0, "gaps": 0, "unstored": 0, "report": "{}"}
    insert(battlefield, "audits", {**shared, **found, "source": "", "passed": True, "mismatches": 0})

    assert metrics(open_page(HEALTH))["Last audit"] == "agrees"

    wrong = {**shared, **found, "source": "live", "passed": False, "mismatches": 2, "unstored": 1}
    insert(battlefield, "audits", wrong)
    st.cache_data.clear()
    app = open_page(HEALTH)

    assert metrics(app)["Last audit"] == "3 differences"
    assert [metric.delta for metric in app.metric if metric.label == "Last audit"] == ["3 h ago"]
    assert tables(app)["source"][["source", "found", "mismatches"]].to_numpy().tolist() == [
        ["all", "agrees", 0],
        ["live", "differs", 2],
    ]


def test_while_live_the_board_tells_how_fresh_it_is(board: Settings) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    edit(board, {"timestamp": now - timedelta(seconds=10), "source_topic": LIVE})
    edit(
        board, {"timestamp": now + timedelta(minutes=9), "source_topic": LIVE}
    )  # however long a page takes, it is fresh

    front_line = open_page()
    health = open_page(HEALTH)

    assert "live" in texts(front_line)
    assert "newest edit 0 s old" in texts(front_line)
    assert "stale" not in texts(front_line)
    assert metrics(health)["Edit to read"] == "2.0 s"
    assert metrics(health)["Freshness"] == "0 s"


def test_a_live_source_that_fell_silent_is_not_shown_as_calm(board: Settings) -> None:
    edit(board, {"timestamp": datetime.now(UTC) - timedelta(hours=2), "source_topic": LIVE})

    app = open_page(range="1h")

    assert "live, but stale" in texts(app)
    assert "The newest edit is 2 h old: see that `battlefield produce`" in texts(app)


def test_a_war_game_links_to_no_wiki(board: Settings) -> None:
    edit(board, {"source_topic": WAR_GAME.replace("-42", "-42-1764064800-silent0_1")})
    insert(board, "reverts", {})

    app = open_page()

    assert "war game 42" in texts(app)
    assert "silent" not in texts(app)
    assert not [column for table in tables(app).values() for column in table.columns if column in ("diff", "history")]


@pytest.mark.parametrize("page", PAGES)
def test_before_the_first_change_the_page_says_that_it_waits(board: Settings, page: str) -> None:
    app = open_page(page)

    assert [info.value for info in app.info] == [
        "Nothing is stored yet. The first changes appear here by themselves.",
    ]


def test_what_is_empty_says_why(board: Settings) -> None:
    edit(board, {})

    app = open_page(range="15m", wiki=["dewiki"])

    assert len(app.info) == 7
    assert {info.value for info in app.info} == {
        "No edits on dewiki in the last 15 min. Choose a longer range or other wikis.",
        "No battles on dewiki in the last 15 min. Choose a longer range or other wikis.",
        "No reverts on dewiki in the last 15 min. Choose a longer range or other wikis.",
    }
    assert charts(app) == []


@pytest.mark.parametrize("page", PAGES)
def test_without_clickhouse_the_page_says_what_to_do_and_comes_back_by_itself(
    board: Settings, point_at: Callable[[Settings], None], page: str
) -> None:
    point_at(board.model_copy(update={"clickhouse_port": 1}))
    app = open_page(page)

    (error,) = app.error
    assert "does not answer" in error.value
    assert "Start it" in error.value
    assert "comes back by itself" in texts(app)

    edit(board, {})
    point_at(board)
    app.run()

    assert not app.error
    assert not app.exception
    assert "played up to" in texts(app)


def test_missing_tables_are_told_from_a_missing_clickhouse(
    clickhouse: Settings, point_at: Callable[[Settings], None]
) -> None:
    point_at(clickhouse.model_copy(update={"clickhouse_database": "nothing_here"}))

    (error,) = open_page().error

    assert "battlefield migrate" in error.value


def test_hostile_words_are_shown_as_they_are_and_never_as_markup(board: Settings) -> None:
    edit(board, *({"title": words, "user": words} for words in HOSTILE.values()))
    rows = [
        {"title": words, "reverter": words, "reverted": f"{words}2", "comment": words, "rev_id": number}
        for number, words in enumerate(HOSTILE.values(), start=1)
    ]
    insert(board, "reverts", *rows, {"title": "Mond", "server_name": HOSTILE["markup"], "wiki": "dewiki", "rev_id": 99})

    app = open_page(wiki=["enwiki", "dewiki"])

    shown = tables(app)["timestamp"].set_index("title")
    assert set(shown.index) == {*HOSTILE.values(), "Mond"}
    for words in HOSTILE.values():
        assert list(shown.loc[words, ["reverter", "reverted", "comment"]]) == [words, f"{words}2", words]
        assert shown.loc[words, "diff"].startswith("https://en.wikipedia.org/wiki/Special:Diff/")
        assert words not in texts(app)
    assert pd.isna(shown.loc["Mond", "diff"])  # no link to what is no host


def test_health_shows_hostile_words_as_they_are(board: Settings) -> None:
    edit(board, {})
    words = list(HOSTILE.values())
    insert(board, "edits", *({"wiki": w, "source_offset": 10 + n, "late": True} for n, w in enumerate(words)))
    dead = [{"dead_letter_id": w, "reason": w, "error": w, "raw": w.encode()} for w in words]
    insert(board, "dead_letters", *dead)
    insert(board, "ledger", {"dropped": dict.fromkeys(words, 1), "source_topic": HOSTILE["markup"]})

    app = open_page(HEALTH)

    frames = [table.value for table in app.dataframe]
    dead_letters = next(frame for frame in frames if "letters" in frame)
    assert set(dead_letters["reason"]) == set(dead_letters["newest_error"]) == set(words)
    assert set(next(frame for frame in frames if list(frame)[:2] == ["reason", "changes"])["reason"]) == set(words)
    assert set(next(frame for frame in frames if list(frame)[:2] == ["wiki", "changes"])["wiki"]) == set(words)
    assert not any(w in texts(app) for w in words)


def test_a_hostile_address_is_shown_as_it_is(board: Settings) -> None:
    edit(board, {})

    app = open_page(wiki=[HOSTILE["markdown"]], range="1000y")

    assert "\\[click\\]\\(javascript\\:alert" in texts(app)
    assert app.get("button_group")[0].value == "1h"  # an unknown range is the default one


def test_choosing_a_wiki_and_a_range_changes_the_figures(battlefield: Settings) -> None:
    app = open_page()

    app.multiselect(key="wiki").set_value(["wikidatawiki"]).run()
    assert metrics(app)["People"] == "0 edits"
    assert metrics(app)["Bots"] == "15 edits"

    app.get("button_group")[0].set_value("15m").run()
    assert not app.exception
    assert metrics(app)["Bots"] == "8 edits"


def test_the_figures_compare_with_the_range_before_only_where_it_is_known(battlefield: Settings) -> None:
    assert open_page(range="15m").metric[0].delta == "1.1 per min"

    edit(battlefield, {"timestamp": NOON - timedelta(minutes=31)})
    st.cache_data.clear()

    assert open_page(range="15m").metric[0].delta == "+14 %"  # 16 edits, and 14 before


def test_a_rate_counts_only_the_time_that_is_covered(battlefield: Settings) -> None:
    # 30 edits in 29 minutes and a second, whatever the range
    assert [open_page(range=chosen).metric[0].delta for chosen in ("1h", "24h")] == ["1.0 per min", "1.0 per min"]


def test_a_range_whose_steps_are_longer_than_what_is_kept_says_so(battlefield: Settings) -> None:
    app = open_page(range="30d")

    assert metrics(app)["People"] == "30 edits"
    assert "no step of 4 h is known whole yet. Choose a shorter range." in texts(app)
    assert "Choose a shorter range." in texts(open_page("views/theatres.py", range="30d"))


def test_the_newest_battles_stand_on_the_front_line(battlefield: Settings) -> None:
    opened = {"opened": NOON - timedelta(minutes=9), "declared": NOON - timedelta(minutes=8)}
    insert(battlefield, "battles", {}, {"title": "Sun", **opened}, {"title": "Fierce", "intensity": 99})

    assert list(tables(open_page())["declared"]["title"]) == ["Sun", "Fierce", "Moon"]


def test_a_hostile_name_of_what_plays_is_shown_as_it_is(board: Settings) -> None:
    edit(board, {"source_topic": REPLAY.replace("real.edits-2024", "<b>x</b>")})

    assert "replay of \\<b\\>x\\<\\/b\\>" in texts(open_page())


@pytest.mark.parametrize("page", [page for page in PAGES if "battle.py" not in page and page != HEALTH][:-1])
def test_a_moment_before_all_that_is_kept_is_told_so_on_every_page(battlefield: Settings, page: str) -> None:
    insert(battlefield, "battles", {})
    insert(battlefield, "alerts", {})

    app = open_page(page, until="2024-12-07T11:00", ns=["Talk"], range="30d")

    assert app.info
    assert not app.dataframe
    for info in app.info:
        assert "in Talk in the " in info.value
        assert "before 2024-12-07 11:00:00 UTC. What is kept begins at 2024-12-07 11:31:00 UTC" in info.value
