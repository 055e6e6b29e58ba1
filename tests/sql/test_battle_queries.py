"""The queries of battles, of the three-revert watch and of patrol against hand-made rows in a real engine."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from clickhouse_connect.driver.client import Client

from services.common.change import Change
from services.common.settings import Settings
from services.worker.engage import Rows, no_rows
from services.worker.rows import BATTLES
from tests.dashboards.rows import HOSTILE, NOON, insert
from tests.events import START, change
from tests.sql.ask import HOUR, at, found
from tests.sql.stream import fold, store

MOON = UUID(int=1)


def block(name: str, minutes: float, **more: Any) -> dict[str, Any]:
    """A log entry: an administrator blocks `name`, on a wiki whose user pages have a name of their own."""
    return {
        "type": "log",
        "log_type": "block",
        "log_action": "block",
        "namespace": 2,
        "title": f"Benutzer:{name}",
        "user": "Admin",
        "timestamp": at(minutes),
        "rev_id": 0,
        **more,
    }


def test_wars_come_ranked_by_intensity_then_reverts(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "battles",
        {"title": "Duel", "reverts": 9},
        {"title": "Skirmish", "reverts": 3},
        {"title": "Melee", "reverts": 4, "intensity": 12},
        {"title": "Brewing", "war": False, "phase": "brewing", "declared": None, "alternations": 2},
        {"title": "Tomorrow", "opened": at(-60), "declared": at(-61), "updated": at(-62)},
        {"title": "Mond", "wiki": "dewiki", "reverts": 5},
    )

    assert [row["title"] for row in found(reader, "battles", **HOUR)] == ["Melee", "Duel", "Mond", "Skirmish"]
    assert [row["title"] for row in found(reader, "battles", wikis="dewiki", **HOUR)] == ["Mond"]
    assert [row["title"] for row in found(reader, "battles", limit=1, **HOUR)] == ["Melee"]
    with_brewing = {row["title"]: row["phase"] for row in found(reader, "battles", brewing=1, **HOUR)}
    assert with_brewing == dict.fromkeys(["Melee", "Duel", "Mond", "Skirmish"], "war") | {"Brewing": "brewing"}


def test_the_newest_wars_come_first_on_demand(tables: Settings, reader: Client) -> None:
    insert(tables, "battles", {"title": "Fierce", "intensity": 9}, {"title": "Newest", "declared": at(6)})

    assert [row["title"] for row in found(reader, "battles", newest=1, **HOUR)] == ["Newest", "Fierce"]
    assert [row["title"] for row in found(reader, "battles", newest=0, **HOUR)] == ["Fierce", "Newest"]


@pytest.mark.parametrize(
    ("row", "phase", "ended_by", "ended"),
    [
        ({}, "war", "", None),
        ({"updated": at(59)}, "war", "", None),
        ({"updated": at(61)}, "ceasefire", "", None),
        ({"declared": at(-5)}, "brewing", "", None),  # it became war after the moment that is looked at
        ({"updated": at(24 * 60 - 1)}, "ceasefire", "", None),
        ({"phase": "ended", "ended_by": "protection", "ended": at(4)}, "ended", "protection", at(4)),
        ({"phase": "ended", "ended_by": "deletion", "ended": at(4)}, "ended", "deletion", at(4)),
        ({"phase": "ended", "ended_by": "protection", "ended": at(-4)}, "war", "", None),  # it will be
    ],
)
def test_the_phase_is_that_of_the_end_of_the_range(
    tables: Settings, reader: Client, row: dict[str, Any], phase: str, ended_by: str, ended: datetime | None
) -> None:
    insert(tables, "battles", row)

    (battle,) = found(reader, "battles", brewing=1, **HOUR)

    assert (battle["phase"], battle["ended_by"], battle["ended_at"]) == (phase, ended_by, ended)


def test_a_day_without_a_revert_ends_a_battle_though_nobody_stored_it(tables: Settings, reader: Client) -> None:
    quiet_since = at(24 * 60 + 1)
    insert(tables, "battles", {"opened": at(2000), "declared": at(1900), "updated": quiet_since})

    (battle,) = found(reader, "battles", since=at(2880), until=NOON)

    assert (battle["phase"], battle["ended_by"], battle["ended_at"]) == ("ended", "silence", quiet_since)
    assert found(reader, "battles", **HOUR) == []  # it ended before the range


def test_a_block_of_a_fighter_after_the_newest_revert_ends_the_battle(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "battles",
        {"title": "Blocked"},
        {"title": "Fought on", "fighters": [("Cat", "person", "first", 2, 2, 1)]},
        {"title": "Unblocked", "fighters": [("Dan", "person", "first", 2, 2, 1)]},
        {"title": "Elsewhere", "wiki": "dewiki"},
        {
            "title": "Protected first",
            "ended_by": "protection",
            "ended": at(4),
            "fighters": [("A:b", "person", "", 1, 1, 1)],
        },
    )
    insert(
        tables,
        "edits",
        block("Bob", 3),
        block("Bob", 2, log_action="reblock"),
        block("Cat", 6),  # its newest revert came a minute later
        block("Dan", 3, log_action="unblock"),
        block("A:b", 3),
        block("Ann", -5),  # after the moment that is looked at
    )

    ends = {row["title"]: (row["phase"], row["ended_by"], row["ended_at"]) for row in found(reader, "battles", **HOUR)}

    assert ends == {
        "Blocked": ("ended", "block", at(3)),
        "Fought on": ("war", "", None),
        "Unblocked": ("war", "", None),
        "Elsewhere": ("war", "", None),
        "Protected first": ("ended", "protection", at(4)),
    }


def test_the_pulse_counts_the_wars_that_the_board_shows_as_war(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "battles",
        {"title": "War"},
        {"title": "Blocked", "fighters": [("Cat", "person", "first", 2, 2, 1)]},
        {"title": "Fought on", "fighters": [("Dan", "person", "first", 2, 2, 1)]},
        {"title": "Calm", "updated": at(61)},
        {"title": "Brewing", "phase": "brewing", "war": False, "declared": None},
        {"title": "Protected", "phase": "ended", "ended": at(1), "ended_by": "protection"},
    )
    insert(tables, "edits", block("Cat", 3), block("Dan", 9), block("Zoe", 0))

    wars = [row["title"] for row in found(reader, "battles", **HOUR) if row["phase"] == "war"]

    assert sorted(wars) == ["Fought on", "War"]
    assert found(reader, "pulse")[0]["wars"] == 2
    assert found(reader, "pulse", source="replay-other")[0]["wars"] == 0


def test_the_course_counts_reverts_in_twelfths_of_the_range(tables: Settings, reader: Client) -> None:
    insert(tables, "battles", {"opened": at(40)}, {"title": "Quiet", "intensity": 0, "reverts": 2})
    times = [at(50), at(39), at(38), at(2), at(-1)]  # the first before it opened, the last after the range
    insert(tables, "reverts", *({"rev_id": n, "timestamp": time} for n, time in enumerate(times)))

    moon, quiet = found(reader, "battles", since=at(60), until=NOON)

    assert moon["course"] == [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]
    assert quiet["course"] == [0] * 12


def test_one_battle_is_found_by_its_id_whenever_it_was(tables: Settings, reader: Client) -> None:
    insert(tables, "battles", {"battle_id": MOON, "opened": at(9999), "declared": None, "updated": at(9990)}, {})

    (battle,) = found(reader, "battles", battle=str(MOON), **HOUR)

    assert (battle["battle_id"], battle["phase"]) == (MOON, "ended")
    assert found(reader, "battles", battle="'; DROP TABLE battles", **HOUR) == []


def test_a_battles_edits_tell_side_and_revert(tables: Settings, reader: Client) -> None:
    insert(tables, "battles", {"battle_id": MOON})
    insert(
        tables,
        "edits",
        {"timestamp": at(91), "rev_id": 1},  # over an hour before it opened
        {"timestamp": at(60), "rev_id": 2, "user": "Eve", "length_old": 100, "length_new": 150},
        {"timestamp": at(30), "rev_id": 3, "length_old": 150, "length_new": 100},
        {"timestamp": at(20), "rev_id": 4, "user": "Bob"},
        {"timestamp": at(19), "rev_id": 5, "title": "Sun"},
        {"timestamp": at(18), "rev_id": 0, "type": "log"},
    )
    insert(
        tables,
        "reverts",
        {"rev_id": 3, "reverted": "Eve", "timestamp": at(30), "reverted_rev_id": 2},
        {"rev_id": 4, "reverter": "Bob", "reverted": "Bob", "self_revert": True, "reverted_rev_id": 0},
    )

    rows = found(reader, "battle_edits", battle=str(MOON))

    assert [(r["rev_id"], r["side"], r["reverted"], r["reverted_rev_id"]) for r in rows] == [
        (4, "second", "", 0),
        (3, "first", "Eve", 2),
        (2, "", "", 0),
    ]
    assert [r["rev_id"] for r in found(reader, "battle_edits", battle=str(MOON), limit=1)] == [4]


def test_fighters_carry_their_highest_alert_of_this_battle(tables: Settings, reader: Client) -> None:
    insert(tables, "battles", {"battle_id": MOON})
    insert(
        tables,
        "alerts",
        {"raised": at(10)},
        {"raised": at(8), "kind": "three_revert_breach", "reverts": 4, "exempt_claims": 1},
        {"raised": at(8), "user": "Bob", "title": "Sun"},
        {"raised": at(99), "user": "Bob"},
    )

    rows = found(reader, "battle_fighters", battle=str(MOON))

    assert [(r["name"], r["side"], r["reverts"], r["reverted"], r["alert"], r["exempt_claims"]) for r in rows] == [
        ("Ann", "first", 2, 1, "three_revert_breach", 1),
        ("Bob", "second", 1, 2, "", 0),
    ]


def test_a_battles_log_holds_its_pages_entries_and_its_fighters_blocks(tables: Settings, reader: Client) -> None:
    insert(tables, "battles", {"battle_id": MOON})
    protect = {**block("", 4), "log_type": "protect", "log_action": "protect", "namespace": 0, "title": "Moon"}
    insert(tables, "edits", protect, block("Ann", 3), block("Zoe", 3), block("Bob", 40), {"timestamp": at(3)})

    rows = found(reader, "battle_log", battle=str(MOON))

    assert [(r["log_type"], r["fighter"], r["timestamp"], r["user"]) for r in rows] == [
        ("protect", "", at(4), "Admin"),
        ("block", "Ann", at(3), "Admin"),
    ]


def test_hostile_names_come_back_as_they_went_in(tables: Settings, reader: Client) -> None:
    fighters = [(words, "person", "first", 1, 1, 1) for words in HOSTILE.values()]
    insert(tables, "battles", *({"title": w, "wiki": "enwiki", "fighters": fighters} for w in HOSTILE.values()))

    rows = found(reader, "battles", **HOUR)

    assert {row["title"] for row in rows} == set(HOSTILE.values())
    assert {fighter["name"] for row in rows for fighter in row["fighters"]} == set(HOSTILE.values())


def test_the_three_revert_watch_has_a_row_per_editor_and_page_breaches_first(tables: Settings, reader: Client) -> None:
    breach = {"kind": "three_revert_breach", "reverts": 4, "rev_ids": [1, 2, 3, 4], "exempt_claims": 1}
    insert(
        tables,
        "alerts",
        {"raised": at(20)},
        {"raised": at(10), **breach},  # the same editor, one revert later
        {"raised": at(5), "user": "Bob"},
        {"raised": at(4), "user": "Cat", "wiki": "dewiki"},
        {"raised": at(61), "user": "Dan"},
    )

    rows = found(reader, "three_revert_watch", **HOUR)

    assert [(r["user"], r["kind"], r["reverts"], r["exempt_claims"], r["raised"]) for r in rows] == [
        ("Ann", "three_revert_breach", 4, 1, at(10)),
        ("Cat", "three_revert_warning", 3, 0, at(4)),
        ("Bob", "three_revert_warning", 3, 0, at(5)),
    ]
    assert list(rows[0]["rev_ids"]) == [1, 2, 3, 4]
    assert [r["user"] for r in found(reader, "three_revert_watch", wikis="dewiki", **HOUR)] == ["Cat"]


PATROL = [
    {"rev_id": 1, "seconds_to_revert": 0},
    {"rev_id": 2, "seconds_to_revert": 10, "title": "Sun"},
    {"rev_id": 3, "seconds_to_revert": 11, "title": "Sun"},
    {"rev_id": 4, "seconds_to_revert": 80_000, "reverted": "~2024-1", "reverted_actor": "temporary"},
    {"rev_id": 5, "reverted": "~2024-1", "reverted_actor": "temporary", "title": "Sun"},  # nobody knows how soon
    {"rev_id": 6, "seconds_to_revert": 5, "reverter": "Guard", "reverter_actor": "bot", "wiki": "dewiki"},
    {"rev_id": 7, "seconds_to_revert": 1, "reverter": "Bob", "self_revert": True},
    {"rev_id": 8, "seconds_to_revert": 1, "timestamp": at(61)},
]


def test_time_to_revert_is_told_by_span_and_side_and_by_wiki(tables: Settings, reader: Client) -> None:
    insert(tables, "reverts", *PATROL)

    spans = {(r["actor"], r["up_to"]): r["reverts"] for r in found(reader, "time_to_revert", **HOUR)}
    wikis = found(reader, "time_to_revert_by_wiki", **HOUR)

    assert spans == {("bot", 10): 1, ("person", 10): 2, ("person", 30): 1, ("person", 2**32 - 1): 1}
    assert wikis == [
        {"wiki": "enwiki", "reverts": 4, "quarter": 10, "median": 11, "three_quarters": 80_000}
        | {"by_person": 11, "by_temporary": None, "by_bot": None},
        {"wiki": "dewiki", "reverts": 1, "quarter": 5, "median": 5, "three_quarters": 5}
        | {"by_person": None, "by_temporary": None, "by_bot": 5},
    ]


def test_patrollers_are_ranked_bots_apart(tables: Settings, reader: Client) -> None:
    insert(tables, "reverts", *PATROL, {"rev_id": 9, "reverter": "Cat", "seconds_to_revert": None, "wiki": "dewiki"})

    rows = found(reader, "patrollers", **HOUR)
    first_of_each = found(reader, "patrollers", limit=1, **HOUR)

    assert [(r["reverter"], r["actor"], r["reverts"], r["pages"], r["median_seconds"]) for r in rows] == [
        ("Ann", "person", 5, 2, 11),
        ("Cat", "person", 1, 1, None),
        ("Guard", "bot", 1, 1, 5),
    ]
    assert (rows[0]["of_temporary"], rows[0]["wikis"], rows[0]["main_wiki"]) == (2, 1, "enwiki")
    assert [r["reverter"] for r in first_of_each] == ["Ann", "Guard"]


def test_the_reverted_share_sets_reverts_beside_edits(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "fronts",
        {"window_start": at(2), "edits": 40, "reverted": 1},
        {"window_start": at(2), "edits": 10, "reverted": 4, "actor": "temporary"},
        {"window_start": at(1), "edits": 2, "reverted": 0, "actor": "temporary"},
        {"window_start": at(1), "edits": 9, "reverted": 9, "wiki": "dewiki"},  # no temporary accounts there
        {"window_start": at(61), "edits": 9, "reverted": 9, "actor": "temporary"},
    )

    assert found(reader, "reverted_share", **HOUR) == [
        {
            "wiki": "enwiki",
            "temporary_edits": 12,
            "temporary_reverted": 4,
            "person_edits": 40,
            "person_reverted": 1,
        }
    ]


def test_a_burst_is_one_temporary_account_reverted_on_several_pages(tables: Settings, reader: Client) -> None:
    insert(
        tables,
        "reverts",
        *PATROL,
        *({"rev_id": 20 + n, "title": f"Page {n}", "reverted": "Bob"} for n in range(3)),  # a person
        {"rev_id": 30, "reverted": "~2024-2", "reverted_actor": "temporary"},  # on one page only
        {"rev_id": 31, "reverted": "~2024-2", "reverted_actor": "temporary", "wiki": "dewiki", "title": "Mond"},
    )

    (burst,) = found(reader, "bursts", **HOUR)

    assert (burst["account"], burst["pages"], burst["reverts"], burst["reverters"]) == ("~2024-1", 2, 2, 1)
    assert list(burst["titles"]) == ["Moon", "Sun"]
    assert found(reader, "bursts", pages=3, **HOUR) == []


def fought() -> list[Change]:
    """A war of Ann and her ally against Bob, an edit a minute; each but the first two undoes the one before."""
    order = ["Cat", "Bob", "Ann", "Bob", "Ally", "Bob", "Ann", "Bob", "Ann", "Bob", "Ally", "Cat", "Bob", "Ann"]
    made = []
    for number, user in enumerate(order):
        undone = order[number - 1]
        comment = f"Undid revision {5_000_000 + number - 1} by [[Special:Contributions/{undone}|{undone}]]"
        if number == 9:
            comment = f"rvv {comment}"
        made.append(
            change(number, user=user, timestamp=START + 60 * number, comment=comment if number > 1 else "copy edit")
        )
    return made


@pytest.mark.parametrize("acts", [4, 7, 10, 13])
def test_a_battle_at_a_past_moment_is_what_the_worker_knew_then(tables: Settings, reader: Client, acts: int) -> None:
    changes = fought()
    then = datetime.fromtimestamp(changes[acts - 1].timestamp + 30, UTC)
    store(tables, fold(changes))
    knew = dict(zip(BATTLES.columns, next(iter(whole(fold(changes[:acts])).values())), strict=True))

    (battle,) = found(reader, "battles", since=then - timedelta(hours=1), until=then, brewing=1)

    for figure in ("alternations", "reverts", "exempt_claims", "edits", "intensity", "editors"):
        assert battle[figure] == knew[figure], figure
    assert battle["updated"].timestamp() == knew["updated"]
    assert battle["phase"] == knew["phase"]
    counts = {f["name"]: (f["edits"], f["reverts"], f["reverted"]) for f in battle["fighters"]}
    assert counts == {name: tuple(rest) for name, _actor, _side, *rest in knew["fighters"]}
    assert [tuple(pair.values()) for pair in battle["pairs"]] == [tuple(pair) for pair in knew["pairs"]]
    of_battle = {"battle": str(battle["battle_id"]), "until": then}
    assert len(found(reader, "battle_edits", **of_battle)) == acts
    assert {f["name"] for f in found(reader, "battle_fighters", **of_battle)} == set(counts)
    assert found(reader, "battles", battle=of_battle["battle"], until=datetime.fromtimestamp(START, UTC)) == []


def whole(written: list[Rows]) -> dict[UUID, tuple[Any, ...]]:
    """The fullest row of each battle."""
    rows = no_rows()
    for more in written:
        rows.merge(more)
    return rows.battles
