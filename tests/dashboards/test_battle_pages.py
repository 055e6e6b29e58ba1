"""The pages of battles as Streamlit builds them: with data, without, and with hostile words."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from dashboards.words import plain
from services.common.settings import Settings
from tests.dashboards.conftest import open_page
from tests.dashboards.rows import HOSTILE, NOON, REPLAY, WAR_GAME, edit, insert
from tests.dashboards.test_pages import charts, metrics, tables, texts

BATTLES, BATTLE = "views/battles.py", "views/battle.py"
MOON = UUID(int=1)


def fight(settings: Settings, topic: str = REPLAY, title: str = "Moon", ann: str = "Ann", bob: str = "Bob") -> None:
    """A war over a page: three reverts, and a protection."""
    page: dict[str, Any] = {"title": title, "source_topic": topic}
    acts = [(30, bob, 100, 400), (25, ann, 400, 100), (15, bob, 100, 400), (5, ann, 400, 100)]
    edit(
        settings,
        *(
            {
                **page,
                "rev_id": number,
                "timestamp": NOON - timedelta(minutes=minute),
                "user": user,
                "length_old": old,
                "length_new": new,
                "type": "edit",
                "log_type": "",
                "log_action": "",
                "comment": title,
            }
            for number, (minute, user, old, new) in enumerate(acts, start=1)
        ),
        {**page, "timestamp": NOON, "type": "log", "log_type": "protect", "log_action": "protect", "rev_id": 0},
    )
    reverts = [(2, ann, bob), (3, bob, ann), (4, ann, bob)]
    insert(
        settings,
        "reverts",
        *(
            {
                "title": title,
                "rev_id": number,
                "reverter": reverter,
                "reverted": reverted,
                "reverted_rev_id": number - 1,
                "timestamp": NOON - timedelta(minutes=acts[number - 1][0]),
            }
            for number, reverter, reverted in reverts
        ),
    )
    insert(
        settings,
        "battles",
        {
            "battle_id": MOON,
            "title": title,
            "pairs": [(ann, bob, 2)],
            "fighters": [(ann, "person", "first", 2, 2, 1), (bob, "temporary", "second", 2, 1, 2)],
            "phase": "ended",
            "ended": NOON,
            "ended_by": "protection",
        },
    )
    insert(settings, "alerts", {"title": title, "user": ann})


def test_battles_are_ranked_with_sides_and_reasons(board: Settings) -> None:
    fight(board)
    three = [("Cat", "Dan", 3), ("Cat", "Eve", 2)]
    insert(board, "battles", {"title": "Talk:Sun", "page_kind": "talk", "intensity": 6, "editors": 3, "pairs": three})

    app = open_page(BATTLES)

    table = tables(app)["phase"]
    assert list(table["title"]) == ["Talk:Sun", "Moon"]
    assert list(table["phase"]) == ["war", "ended: protection"]
    assert list(table["kind"]) == ["talk page", ""]
    assert list(table["why"]) == ["3 editors × (2)", "one pair alone"]
    assert list(table[["first", "second", "reverts", "age"]].iloc[1]) == ["Ann", "Bob", 3, "30 min"]
    assert sum(table["course"][1]) == 3
    assert metrics(app) == {"At war": "1 battle", "Ceasefire": "0 battles", "Ended": "1 battle"}


def test_brewing_battles_are_shown_on_demand(board: Settings) -> None:
    edit(board, {})
    insert(board, "battles", {"war": False, "phase": "brewing", "declared": None, "alternations": 2})

    assert open_page(BATTLES).info[0].value.startswith("No battles in the last 1 h")
    app = open_page(BATTLES, brewing="true")
    assert list(tables(app)["phase"]["phase"]) == ["brewing"]


def test_a_battle_shows_the_tug_of_war_its_fighters_and_its_end(board: Settings) -> None:
    fight(board)

    app = open_page(BATTLE, battle=str(MOON))

    tug, graph = charts(app)
    assert [layer["mark"]["type"] for layer in tug["layer"]] == ["line", "rule", "rule", "point", "rule", "text"]
    assert [layer["mark"]["type"] for layer in graph["layer"]][:5] == ["line", "point", "circle", "text", "point"]
    fighters = tables(app)["name"]
    assert list(fighters[["name", "side", "reverts", "alert"]].iloc[0]) == ["Ann", "First side", 2, "warning: 3"]
    assert fighters["work"][0] == "https://en.wikipedia.org/wiki/Special:Contributions/Ann"
    moves = [table for key, table in tables(app).items() if key == "timestamp"]
    assert moves  # of the log and of the edits
    edits = next(table.value for table in app.dataframe if "grown" in table.value.columns)
    assert list(edits["grown"]) == [-300, 300, -300, 300]
    assert edits["diff"][0] == "https://en.wikipedia.org/wiki/Special:Diff/4"
    assert edits["work"][0] == "https://en.wikipedia.org/wiki/Special:Contributions/Ann"
    log = next(table.value for table in app.dataframe if "what" in table.value.columns)
    assert list(log["what"]) == ["protect"]
    assert log["entry"][0] == "https://en.wikipedia.org/w/index.php?title=Special:Log&page=Moon"
    assert metrics(app)["Reverts"] == "3 reverts"
    assert metrics(app)["Lasted"] == "30 min"


def test_a_battle_of_a_war_game_links_to_no_wiki(board: Settings) -> None:
    fight(board, topic=WAR_GAME)

    app = open_page(BATTLE, battle=str(MOON))

    assert not [c for table in app.dataframe for c in table.value.columns if c in ("diff", "work", "entry")]
    assert not app.get("link_button")


@pytest.mark.parametrize("address", ["", "nonsense", "'; DROP TABLE battles", str(UUID(int=7))])
def test_an_unknown_battle_is_told_so(board: Settings, address: str) -> None:
    edit(board, {})

    app = open_page(BATTLE, battle=address)

    assert "There is no battle with this id" in app.info[0].value


def test_a_battle_whose_edits_have_expired_still_tells_its_story(board: Settings) -> None:
    edit(board, {"title": "Sun"})
    insert(board, "battles", {"battle_id": MOON})

    app = open_page(BATTLE, battle=str(MOON))

    assert "not kept any more" in texts(app)
    assert list(tables(app)["name"]["name"]) == ["Ann", "Bob"]


def test_hostile_fighters_and_titles_are_shown_as_they_are(board: Settings) -> None:
    edit(board, {})
    fighters = [(words, "person", side, 1, 1, 1) for words in HOSTILE.values() for side in ("first", "second")]
    for number, words in enumerate(HOSTILE.values(), start=2):
        insert(board, "battles", {"battle_id": UUID(int=number), "title": words, "fighters": fighters})
    fight(board, title=HOSTILE["markdown"], ann=HOSTILE["markup"], bob=HOSTILE["emoji"])  # the battle MOON

    battles = open_page(BATTLES)
    battle = open_page(BATTLE, battle=str(MOON))

    assert {*HOSTILE.values()} == set(tables(battles)["phase"]["title"])
    assert set(tables(battle)["name"]["name"]) == {HOSTILE["markup"], HOSTILE["emoji"]}
    assert battle.header[0].value == plain(HOSTILE["markdown"])
    assert not any(words in texts(battles) + texts(battle) for words in HOSTILE.values())


def test_at_a_past_moment_a_battle_shows_nothing_of_what_came_later(board: Settings) -> None:
    fight(board)
    then = "2024-12-07T11:50"

    battles = open_page(BATTLES, until=then)
    battle = open_page(BATTLE, battle=str(MOON), until=then)

    assert list(tables(battles)["phase"][["phase", "reverts"]].iloc[0]) == ["war", 2]
    assert metrics(battles) == {"At war": "1 battle", "Ceasefire": "0 battles", "Ended": "0 battles"}
    assert metrics(battle)["Reverts"] == "2 reverts"
    assert len(next(table.value for table in battle.dataframe if "grown" in table.value.columns)) == 3
    assert "Nothing is logged" in texts(battle)
    assert "as it was at 2024\\-12\\-07 11\\:50\\:00 UTC" in texts(battle)
    before = open_page(BATTLE, battle=str(MOON), until="2024-12-07T11:00")
    assert "no battle with this id that had begun then" in before.info[0].value


def test_every_heading_of_every_table_is_explained(board: Settings) -> None:
    fight(board)
    insert(board, "alerts", {"kind": "three_revert_breach", "reverts": 4, "rev_ids": [1, 2, 3, 4]})
    insert(board, "ledger", {"dropped": {"categorize": 3}})
    insert(board, "dead_letters", {})
    hit = {"reverted": "~2024-1", "reverted_actor": "temporary"}
    insert(board, "reverts", {**hit, "rev_id": 8}, {**hit, "rev_id": 9, "title": "Sun"})
    pages = [open_page(name) for name in ("views/front_line.py", "views/theatres.py", BATTLES)]
    pages += [open_page(f"views/{name}.py") for name in ("three_reverts", "patrol", "health")]
    pages += [
        open_page(BATTLE, battle=str(MOON)),
        open_page("views/look_up.py", q="Moon"),
        open_page("views/look_up.py", editor="Bob"),
    ]

    found = [column for app in pages for table in app.dataframe for column in json.loads(table.proto.columns).values()]

    shown = [column for column in found if column.get("label")]
    assert len(shown) > 100
    assert [column["label"] for column in shown if not column.get("help")] == []
    figures = [figure for app in pages for figure in (*app.metric, *app.subheader)]
    assert len(figures) > 50
    assert [figure for figure in figures if not figure.help] == []
