"""The look-up as Streamlit builds it: a search, a page's story, an editor's story, and hostile words."""

import pytest

from dashboards.words import plain
from services.common.settings import Settings
from tests.dashboards.conftest import open_page
from tests.dashboards.rows import HOSTILE, NOON, WAR_GAME, edit
from tests.dashboards.test_battle_pages import fight
from tests.dashboards.test_pages import charts, metrics, tables, texts

LOOK_UP = "views/look_up.py"


def test_a_search_finds_pages_and_editors_by_their_beginning(board: Settings) -> None:
    fight(board)
    edit(board, {"title": "Moonlight", "wiki": "dewiki"}, {"title": "Sun", "user": "moonwalker", "wiki": "frwiki"})

    app = open_page(LOOK_UP, q="MOON")

    found = tables(app)["kind"]
    assert list(found["name"]) == ["Moon", "Moonlight", "moonwalker"]  # the very name first, then the newest
    assert list(found[["kind", "wiki", "namespace"]].iloc[2]) == ["editor", "frwiki", ""]
    assert app.header[0].value == "Moon"  # there is one of this very name, so its story is told


def test_a_pages_story_has_edits_reverts_battles_and_alerts(board: Settings) -> None:
    fight(board)

    app = open_page(LOOK_UP, page="Moon", on="enwiki")

    assert metrics(app) == {"Edits": "5 edits", "Reverts": "3 reverts", "Battles": "1 battle", "Alerts": "1 alert"}
    (size,) = charts(app)
    assert size["layer"][0]["mark"]["type"] == "line"
    edits = tables(app)["timestamp"]
    assert list(edits["what"]) == ["protect protect", "edit", "edit", "edit", "edit"]
    assert list(edits["reverted_by"].fillna("")) == ["", "", "Ann", "Bob", "Ann"]
    assert edits["diff"][1] == "https://en.wikipedia.org/wiki/Special:Diff/4"
    pair = tables(app)["editor"].iloc[0]
    assert list(pair[["editor", "reverts", "reverted_back", "opponent"]]) == ["Ann", 2, 1, "Bob"]
    assert app.get("link_button")


def test_an_editors_story_has_reverts_both_ways(board: Settings) -> None:
    fight(board)

    app = open_page(LOOK_UP, editor="Bob")

    assert metrics(app)["Reverts"] == "1 revert"
    assert [metric.delta for metric in app.metric if metric.label == "Reverts"] == ["2 suffered"]
    pair = tables(app)["editor"].iloc[0]
    assert list(pair[["editor", "reverts", "reverted_back", "opponent"]]) == ["Bob", 1, 2, "Ann"]
    assert list(tables(app)["phase"]["title"]) == ["Moon"]
    assert set(tables(app)["timestamp"]["title"]) == {"Moon"}


def test_a_past_moment_knows_nothing_of_what_came_later(board: Settings) -> None:
    fight(board)

    app = open_page(LOOK_UP, page="Moon", on="enwiki", until="2024-12-07T11:40")

    assert metrics(app)["Edits"] == "2 edits"
    assert metrics(app)["Reverts"] == "1 revert"
    assert tables(app)["timestamp"]["timestamp"].max() < NOON


@pytest.mark.parametrize("address", [{"q": "Nowhere"}, {"page": "Nowhere", "on": "enwiki"}, {"editor": "Nobody"}])
def test_what_is_not_kept_is_told_so(board: Settings, address: dict[str, str]) -> None:
    edit(board, {})

    app = open_page(LOOK_UP, **address)

    assert app.info
    assert all("Nowhere" in info.value or "Nobody" in info.value for info in app.info)


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_are_found_and_shown_as_they_are(board: Settings, words: str) -> None:
    fight(board, topic=WAR_GAME, title=words, ann=words)

    app = open_page(LOOK_UP, q=words, page=words, on="enwiki")

    assert list(tables(app)["kind"]["name"]) == [words, words]  # the page and the editor
    assert app.header[0].value == plain(words)
    assert set(tables(app)["timestamp"]["comment"]) == {words, ""}
    assert words not in texts(app) or plain(words) == words
    assert not app.get("link_button")  # a war game's pages exist on no wiki
