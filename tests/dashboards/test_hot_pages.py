"""Hot pages as Streamlit builds them: with data, without, and with hostile words."""

from datetime import timedelta

from services.common.settings import Settings
from tests.dashboards.conftest import open_page
from tests.dashboards.rows import HOSTILE, NOON, WAR_GAME, edit, insert
from tests.dashboards.test_pages import metrics, tables, texts
from tests.sql.test_theatre_queries import roll_up

HOT = "views/hot_pages.py"


def rush(settings: Settings, *titles: str, **more: object) -> None:
    """Six edits of each page by three editors in the last minutes, one an hour in the day before."""
    now = [
        {"title": title, "user": f"Editor {n % 3}", "timestamp": NOON - timedelta(minutes=n), "rev_id": n + 1, **more}
        for title in titles
        for n in range(6)
    ]
    before = [
        {"title": title, "timestamp": NOON - timedelta(hours=hour, minutes=30), **more}
        for title in titles
        for hour in range(1, 25)
    ]
    edit(settings, *now, *before)
    roll_up(settings)


def test_hot_pages_tell_what_is_usual_and_link_to_the_wiki(board: Settings) -> None:
    rush(board, "Moon")
    insert(board, "reverts", {"timestamp": NOON - timedelta(minutes=3)})

    app = open_page(HOT)

    hot = tables(app)["heat"]
    assert list(hot.loc[0, ["title", "edits", "editors", "reverts", "usual"]]) == ["Moon", 6, 3, 1, 1]
    assert hot.loc[0, "expected"] == 16 / 11  # six edits an hour of the wiki now, one before, ten more on either side
    assert sum(hot.loc[0, "course"]) == 6
    assert hot.loc[0, "history"] == "https://en.wikipedia.org/w/index.php?title=Moon&action=history"
    assert hot.loc[0, "diff"] == "https://en.wikipedia.org/wiki/Special:Diff/1"
    assert metrics(app)["Hot"] == "1 page"
    assert metrics(app)["Of these reverted"] == "1 page"
    assert "Of the day before" not in texts(app)


def test_a_day_before_that_is_not_known_whole_is_told(board: Settings) -> None:
    rows = [{"user": f"Editor {n}", "timestamp": NOON - timedelta(minutes=n)} for n in range(3)]
    edit(board, *rows)
    roll_up(board)

    app = open_page(HOT)

    assert list(tables(app)["heat"].loc[0, ["title", "edits", "heat"]]) == ["Moon", 3, 3]
    assert "Of the day before, 0 whole hours are known." in texts(app)


def test_fronts_across_wikis_are_told_by_title_and_by_editor(board: Settings) -> None:
    edit(board, {})
    german = {"wiki": "dewiki", "server_name": "de.wikipedia.org", "rev_id": 8, "timestamp": NOON}
    insert(board, "reverts", {"timestamp": NOON - timedelta(hours=9)}, german)

    app = open_page(HOT, range="15m")  # which is of other pages

    titles, editors = (table.value for table in app.dataframe)
    assert list(titles.loc[0, ["name", "wikis", "reverts", "shared"]]) == ["Moon", "2: dewiki, enwiki", 2, 2]
    assert titles.loc[0, "diff"] == "https://de.wikipedia.org/wiki/Special:Diff/8"
    assert list(editors.loc[0, ["name", "wikis", "examples"]]) == [
        "Bob",
        "2: dewiki, enwiki",
        "dewiki: Moon, enwiki: Moon",
    ]
    assert editors.loc[0, "work"] == "https://de.wikipedia.org/wiki/Special:Contributions/Bob"
    assert metrics(app)["Titles on several wikis"] == "1 front"


def test_what_is_empty_says_why(board: Settings) -> None:
    edit(board, {})

    everywhere = open_page(HOT)
    chosen = open_page(HOT, wiki=["dewiki"])

    assert [info.value for info in everywhere.info] == [
        "No page with unusually many edits by 3 editors or more in the last 1 h.",
        "No title under reverts on two wikis in the last 24 h.",
        "No editor reverted on two wikis in the last 24 h.",
    ]
    assert chosen.info[1].value == "No title under reverts on two wikis on dewiki in the last 24 h. Choose other wikis."
    assert set(metrics(everywhere).values()) == {"0 pages", "0 fronts", "0 editors"}


def test_hostile_words_are_shown_as_they_are_and_a_war_game_links_nowhere(board: Settings) -> None:
    rush(board, *HOSTILE.values(), source_topic=WAR_GAME)
    rows = [
        {"rev_id": 2 * n + place, "title": words, "reverter": words, "reverted": f"{words}2", "wiki": wiki}
        for n, words in enumerate(HOSTILE.values())
        for place, wiki in enumerate(("enwiki", "dewiki"))
    ]
    insert(board, "reverts", *rows)

    app = open_page(HOT)

    hot, titles, editors = (table.value for table in app.dataframe)
    assert set(hot["title"]) == set(titles["name"]) == set(HOSTILE.values())
    assert set(editors["name"]) == {f"{words}2" for words in HOSTILE.values()}
    assert not {"diff", "history", "work"} & {*hot.columns, *titles.columns, *editors.columns}
    assert not any(words in texts(app) for words in HOSTILE.values())
