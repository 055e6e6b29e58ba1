"""The queries of the look-up, against hand-made rows: what a search finds, and what makes a story."""

from datetime import timedelta

from clickhouse_connect.driver.client import Client

from services.common.queries import load
from services.common.settings import Settings
from tests.dashboards.rows import HOSTILE, NOON, insert
from tests.sql.ask import at, found

LATER = {"until": NOON + timedelta(hours=1)}


def names(reader: Client, text: str, **more: object) -> list[tuple[str, str, str]]:
    """What a search finds: kind, name, wiki."""
    return [(r["kind"], r["name"], r["wiki"]) for r in found(reader, "search_names", text=text, **LATER, **more)]


def test_a_search_is_by_the_beginning_whatever_the_capitals(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "edits",
        {"title": "Éclair", "user": "Ann", "timestamp": at(9)},
        {"title": "ÉCLAIR", "user": "éclairs"},
        {"title": "Nouvel éclair", "user": "Ann", "wiki": "frwiki"},
        {"title": "éclair", "wiki": "frwiki", "user": "", "timestamp": at(5)},
    )

    assert names(reader, "éclair") == [
        ("page", "ÉCLAIR", "enwiki"),
        ("page", "éclair", "frwiki"),
        ("page", "Éclair", "enwiki"),
        ("editor", "éclairs", "enwiki"),
    ]
    assert names(reader, "éclair", wikis=["frwiki"]) == [("page", "éclair", "frwiki")]
    assert names(reader, "ann") == [("editor", "Ann", "frwiki")]  # one row, with the wiki where she was last
    assert names(reader, "") == []
    assert names(reader, "%") == names(reader, "_") == []


def test_hostile_names_are_found_by_themselves(tables: Settings, reader: Client) -> None:
    insert(tables, "edits", *({"title": words, "user": ""} for words in HOSTILE.values()))

    for words in HOSTILE.values():
        assert names(reader, words) == [("page", words, "enwiki")]


def test_a_search_reads_the_sorting_key_and_a_story_its_hours(tables: Settings, reader: Client) -> None:
    insert(tables, "edits", {})
    # the plan, not the clock: which condition on the primary key is made of the question
    search = load("search_names").sql.replace("{limit:UInt32}", "5").replace("{text:String}", "'moon'")
    plan = reader.command(
        f"EXPLAIN indexes = 1 {search}", parameters={"wikis": [], "until": LATER["until"].replace(tzinfo=None)}
    )
    assert "folded in [" in str(plan)
    parameters = {"title": "Moon", "user": "", "wikis": ["enwiki"], "hours": 9, "limit": 9}
    story = reader.command(
        f"EXPLAIN indexes = 1 {load('story_edits').sql}",
        parameters=parameters | {"until": LATER["until"].replace(tzinfo=None)},
    )
    assert "(toStartOfHour(timestamp), wiki) in" in str(story)


def test_a_story_is_of_one_page_on_one_wiki_or_of_one_editor(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "edits",
        {"rev_id": 1, "timestamp": at(200), "user": "Bob"},
        {"rev_id": 2, "timestamp": at(100), "user": "Ann"},
        {"rev_id": 2, "timestamp": at(100), "wiki": "dewiki", "user": "Ann"},
        {"rev_id": 3, "timestamp": at(50), "title": "Sun", "user": "Ann"},
        {"rev_id": 0, "timestamp": at(1), "type": "log", "log_type": "protect", "log_action": "protect", "user": "Cat"},
    )
    reverts = [
        {"rev_id": 2, "timestamp": at(100), "reverted_rev_id": 1},
        {"rev_id": 9, "timestamp": at(40), "reverted_rev_id": 3},
    ]
    insert(tables, "reverts", reverts[0], {**reverts[1], "title": "Sun", "reverter": "Dan", "reverted": "Ann"})

    page = found(reader, "story_edits", title="Moon", wikis=["enwiki"], **LATER)
    editor = found(reader, "story_edits", user="Ann", **LATER)

    assert [(r["what"], r["user"], r["reverted"], r["reverted_by"]) for r in page] == [
        ("protect protect", "Cat", "", ""),
        ("edit", "Ann", "Bob", ""),
        ("edit", "Bob", "", "Ann"),
    ]
    assert sorted((r["wiki"], r["title"], r["rev_id"]) for r in editor) == [
        ("dewiki", "Moon", 2),
        ("enwiki", "Moon", 2),
        ("enwiki", "Sun", 3),
    ]
    assert [r["rev_id"] for r in found(reader, "story_edits", user="Ann", hours=1, **LATER)] == [3]  # the newest hour
    assert found(reader, "story_edits", title="Moon", wikis=["enwiki"], until=at(150))[0]["rev_id"] == 1
    pairs = found(reader, "story_reverts", user="Ann", **LATER)
    assert [(r["opponent"], r["reverts"], r["reverted_back"]) for r in pairs] == [("Dan", 0, 1), ("Bob", 1, 0)]
