"""The three-revert watch and patrol as Streamlit builds them: with data, without, and with hostile words."""

from typing import Any

from dashboards.patrol_tables import exempt_words
from services.common.settings import Settings
from tests.dashboards.conftest import open_page
from tests.dashboards.rows import HOSTILE, WAR_GAME, edit, insert
from tests.dashboards.test_pages import charts, metrics, texts

WATCH, PATROL = "views/three_reverts.py", "views/patrol.py"
DIFF = "https://en.wikipedia.org/wiki/Special:Diff/"
BREACH: dict[str, Any] = {"kind": "three_revert_breach", "reverts": 4, "rev_ids": [11, 12, 13, 14], "exempt_claims": 1}


def test_breaches_and_warnings_link_to_the_diffs_that_make_the_case(board: Settings) -> None:
    edit(board, {})
    insert(board, "alerts", BREACH, {"user": "Bob", "exempt_claims": 3})

    app = open_page(WATCH)

    breaches, warnings = (table.value for table in app.dataframe)
    assert list(breaches.loc[0, ["user", "reverts", "exempt"]]) == ["Ann", 4, "1 of 4 claimed"]
    assert list(breaches.loc[0, [f"diff_{n}" for n in range(1, 5)]]) == [f"{DIFF}{n}" for n in (11, 12, 13, 14)]
    assert list(warnings.loc[0, ["user", "exempt", "diff_3"]]) == ["Bob", "all claimed", f"{DIFF}3"]
    assert warnings.loc[0, "diff_4"] is None
    assert warnings.loc[0, "work"] == "https://en.wikipedia.org/wiki/Special:Contributions/Bob"
    assert metrics(app) == {"Breaches": "1 case", "Warnings": "1 case", "Claimed exempt": "1 case"}


def test_the_watch_without_alerts_says_so(board: Settings) -> None:
    edit(board, {})

    app = open_page(WATCH)

    assert "No breaches of the three-revert rule in the last 1 h." in texts(app)
    assert exempt_words(0, 3) == ""


def test_the_watch_shows_hostile_words_as_they_are_and_links_no_war_game(board: Settings) -> None:
    edit(board, {"source_topic": WAR_GAME})
    insert(board, "alerts", *({"title": words, "user": words} for words in HOSTILE.values()))

    app = open_page(WATCH)

    (warnings,) = (table.value for table in app.dataframe)
    assert set(warnings["user"]) == set(warnings["title"]) == set(HOSTILE.values())
    assert not {"diff_1", "work", "history"} & set(warnings.columns)
    assert not any(words in texts(app) for words in HOSTILE.values())


def test_patrol_shows_speed_patrollers_shares_and_bursts(board: Settings) -> None:
    edit(board, {})
    temporary = {"reverted": "~2024-1", "reverted_actor": "temporary"}
    insert(
        board,
        "reverts",
        {"rev_id": 1, "seconds_to_revert": 30, **temporary},
        {"rev_id": 2, "seconds_to_revert": 600, "title": "Sun", **temporary},
        {"rev_id": 3, "seconds_to_revert": 5, "reverter": "Guard", "reverter_actor": "bot", **temporary},
    )
    insert(board, "fronts", {"actor": "temporary", "edits": 30, "reverted": 3})

    app = open_page(PATROL)

    speed, by_wiki, share = charts(app)
    assert (speed["mark"]["type"], share["mark"]["type"]) == ("bar", "point")
    assert [layer["mark"]["type"] for layer in by_wiki["layer"]] == ["bar", "point"]
    people, bots, bursts = (table.value for table in app.dataframe)
    assert list(people.loc[0, ["reverter", "reverts", "median", "of_temporary"]]) == ["Ann", 2, "10 min", 2]
    assert list(bots["reverter"]) == ["Guard"]
    assert list(bursts.loc[0, ["account", "pages", "reverts", "titles"]]) == ["~2024-1", 2, 3, "Moon, Sun"]
    assert metrics(app) == {
        "Within a minute": "67 % of reverts",
        "By bots": "33 % of reverts",
        "Temporary reverted": "10 % of edits",
        "Bursts": "1 account",
    }


def test_patrol_without_reverts_says_so(board: Settings) -> None:
    edit(board, {})

    app = open_page(PATROL)

    assert len(app.info) == 6
    assert metrics(app)["Within a minute"] == "–"


def test_patrol_shows_hostile_words_as_they_are(board: Settings) -> None:
    edit(board, {})
    rows = [
        {"rev_id": 2 * n + page, "title": f"{page} {w}", "reverter": w, "reverted": w, "reverted_actor": "temporary"}
        for n, w in enumerate(HOSTILE.values())
        for page in (0, 1)
    ]
    insert(board, "reverts", *rows)

    app = open_page(PATROL)

    people, bursts = (table.value for table in app.dataframe)
    assert set(people["reverter"]) == set(bursts["account"]) == set(HOSTILE.values())
    assert not any(words in texts(app) for words in HOSTILE.values())
