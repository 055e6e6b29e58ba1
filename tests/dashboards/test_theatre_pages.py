"""Theatres as Streamlit builds them: with data, without, and with hostile words."""

from datetime import timedelta

from dashboards.words import plain
from services.common.settings import Settings
from tests.dashboards.conftest import open_page
from tests.dashboards.rows import HOSTILE, NOON, edit
from tests.dashboards.test_pages import charts, tables, texts

THEATRES = "views/theatres.py"


def fight(settings: Settings) -> None:
    """Twenty minutes of edits on four wikis, of two languages and of none."""
    for wiki, every in (("enwiki", 1), ("dewiki", 2), ("dewiktionary", 4), ("wikidatawiki", 1)):
        rows = [
            {"timestamp": NOON - timedelta(minutes=n), "wiki": wiki, "length_old": 100, "length_new": 100 + 10 * n - 50}
            for n in range(0, 20, every)
        ]
        edit(settings, *rows)


def test_theatres_show_wikis_languages_and_territory(board: Settings) -> None:
    fight(board)

    app = open_page(THEATRES)

    heat, *fronts, duel, territory = charts(app)
    assert heat["mark"]["type"] == "rect"
    assert len(fronts) == 4
    assert [layer["mark"]["type"] for layer in duel["layer"]] == ["area", "rule", "point"]
    assert territory["mark"]["type"] == "bar"
    assert list(tables(app)["name"]["language"]) == ["en", "de"]  # a wiktionary is of its language, Wikidata of none
    ground = tables(app)["wiki"]
    assert list(ground.loc[ground["wiki"] == "enwiki", ["namespace", "gained", "lost", "net"]].iloc[0]) == [
        "Article",
        1050,
        150,
        900,
    ]


def test_the_address_chooses_measure_and_languages(board: Settings) -> None:
    fight(board)

    app = open_page(THEATRES, measure="reverts", language="German", against="English")

    assert charts(app)[0]["encoding"]["color"]["legend"]["title"] == "reverts per hour"
    assert [choice.value for choice in app.selectbox] == ["de", "en"]


def test_theatres_without_edits_say_so(board: Settings) -> None:
    edit(board, {})

    app = open_page(THEATRES, wiki=[HOSTILE["markup"]], ns=["Talk"])

    assert charts(app) == []
    assert len(app.info) == 6
    assert all("in Talk in the last 1 h. Choose a longer range or other wikis or" in info.value for info in app.info)
    assert HOSTILE["markup"] not in texts(app)


def test_a_hostile_name_of_a_wiki_is_shown_as_it_is(board: Settings) -> None:
    edit(
        board,
        *({"wiki": words, "timestamp": NOON - timedelta(minutes=n)} for words in HOSTILE.values() for n in (2, 9)),
    )

    app = open_page(THEATRES)

    assert not any(words in texts(app) for words in HOSTILE.values() if plain(words) != words)
    assert set(tables(app)["wiki"]["wiki"]) == set(HOSTILE.values())
