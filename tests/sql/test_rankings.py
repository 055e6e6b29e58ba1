"""The rankings over `reverts` against the same counted in Python, where rows came twice and in two versions."""

import random
from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from services.common.settings import Settings
from tests.dashboards.rows import NOON, insert
from tests.sql.ask import HOUR, found

EDITORS = ["Ann", "Bob", "Cat", "Dan", "Eve"]
LIMITS = (1, 3, 8, 500)  # fewer than have come twice, about as many, and more than there are

Row = dict[str, Any]


def some_reverts(seed: int) -> list[Row]:
    """Reverts within an hour, most of them the only one of their page and pair, each at a second of its own."""
    draw = random.Random(seed)
    rows = []
    for n, second in enumerate(draw.sample(range(3600), 120)):
        reverter, reverted = draw.sample([*EDITORS, "~2024-1", "~2024-2", "~2024-3"], 2)
        rows.append(
            {
                "rev_id": 100 + n,
                "timestamp": NOON - timedelta(seconds=second),
                "wiki": draw.choice(["enwiki", "dewiki"]),
                "title": f"Page {draw.choice([1, 2, 3, 10 + n, 10 + n, 10 + n])}",
                "reverter": reverter,
                "reverter_actor": "bot" if reverter == "Eve" and draw.random() < 0.7 else "person",
                "reverted": reverted if draw.random() < 0.9 else "",
                "reverted_actor": "temporary" if reverted.startswith("~") else "person",
                "self_revert": draw.random() < 0.1,
            }
        )
    return rows


def declared_otherwise(row: Row) -> Row:
    """The same revert as Wikimedia declares it: of somebody else."""
    return row | {"reverted": "~2024-9", "reverted_actor": "temporary", "evidence": "declared", "version": 2}


@pytest.fixture(params=[1, 2, 3])
def reverts(tables: Settings, request: pytest.FixtureRequest) -> list[Row]:
    """What is stored, each once, without self-reverts."""
    rows = some_reverts(request.param)
    declared = [declared_otherwise(row) if n % 5 == 0 else row for n, row in enumerate(rows)]
    insert(tables, "reverts", *rows)
    insert(tables, "reverts", *declared)
    return [row for row in declared if not row["self_revert"]]


def newest(rows: list[Row]) -> Row:
    return max(rows, key=lambda row: row["timestamp"])


def grouped(rows: list[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[name] for name in names)].append(row)
    return groups


def best(ranked: list[tuple[Any, ...]], limit: int) -> list[tuple[Any, ...]]:
    """The first of tuples whose numbers rank downwards."""
    return sorted(ranked, key=lambda row: tuple(-number for number in row[0]))[:limit]


@pytest.mark.parametrize("limit", LIMITS)
def test_pages_under_fire(reader: Client, reverts: list[Row], limit: int) -> None:
    pages = [
        ((len(rows), newest(rows)["timestamp"].timestamp()), *page, len({row["reverter"] for row in rows}))
        for page, rows in grouped(reverts, "wiki", "title").items()
    ]

    asked = found(reader, "pages_under_fire", limit=limit, **HOUR)

    assert [
        ((row["reverts"], row["last_revert"].timestamp()), row["wiki"], row["title"], row["reverters"]) for row in asked
    ] == best(pages, limit)


@pytest.mark.parametrize("limit", LIMITS)
def test_who_reverted_whom(reader: Client, reverts: list[Row], limit: int) -> None:
    known = [row | {"pair": frozenset((row["reverter"], row["reverted"]))} for row in reverts if row["reverted"]]
    pairs = []
    for (wiki, title, _), rows in grouped(known, "wiki", "title", "pair").items():
        by = Counter(row["reverter"] for row in rows)
        many, few = max(by.values()), len(rows) - max(by.values())
        pairs.append(((few, many, newest(rows)["timestamp"].timestamp()), wiki, title, newest(rows)["rev_id"]))

    asked = found(reader, "who_reverted_whom", limit=limit, **HOUR)

    assert [
        (
            (row["reverted_back"], row["reverts"], row["last_revert"].timestamp()),
            row["wiki"],
            row["title"],
            row["last_rev_id"],
        )
        for row in asked
    ] == best(pairs, limit)
    assert all(row["editor"] < row["opponent"] for row in asked if row["reverts"] == row["reverted_back"])


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("least", [1, 2, 3])
def test_bursts(reader: Client, reverts: list[Row], limit: int, least: int) -> None:
    temporary = [row for row in reverts if row["reverted_actor"] == "temporary"]
    accounts = []
    for (wiki, account), rows in grouped(temporary, "wiki", "reverted").items():
        pages = {row["title"] for row in rows}
        if len(pages) >= least:
            accounts.append(((len(pages), len(rows), newest(rows)["timestamp"].timestamp()), wiki, account, pages))

    asked = found(reader, "bursts", limit=limit, pages=least, **HOUR)

    ranked = best(accounts, limit)
    assert [
        ((row["pages"], row["reverts"], row["last_revert"].timestamp()), row["wiki"], row["account"]) for row in asked
    ] == [row[:3] for row in ranked]
    for row, (*_, pages) in zip(asked, ranked, strict=True):
        assert set(row["titles"]) <= pages
        assert len(row["titles"]) == min(len(pages), 5)


def test_patrollers(reader: Client, reverts: list[Row]) -> None:
    expected = {
        who: (
            newest(rows)["reverter_actor"],
            len(rows),
            len({(row["wiki"], row["title"]) for row in rows}),
            len({row["wiki"] for row in rows}),
            sum(row["reverted_actor"] == "temporary" for row in rows),
        )
        for (who,), rows in grouped(reverts, "reverter").items()
    }

    asked = found(reader, "patrollers", limit=500, **HOUR)

    assert {
        row["reverter"]: (row["actor"], row["reverts"], row["pages"], row["wikis"], row["of_temporary"])
        for row in asked
    } == expected
    assert [(row["actor"] == "bot", -row["reverts"], row["reverter"]) for row in asked] == sorted(
        (row["actor"] == "bot", -row["reverts"], row["reverter"]) for row in asked
    )
    fewer = found(reader, "patrollers", limit=2, **HOUR)
    for is_bot in (False, True):
        counts = [row["reverts"] for row in asked if (row["actor"] == "bot") is is_bot]
        assert [row["reverts"] for row in fewer if (row["actor"] == "bot") is is_bot] == counts[:2]
