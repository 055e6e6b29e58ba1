"""Hourly and daily figures are those of the edits, late ones too, and outlive them."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from services.common.clickhouse import writer_client
from services.common.settings import Settings
from services.worker.engage import Rows
from services.worker.rows import EDITS, REVERTS
from services.worker.windows import grown_by
from tests.events import change
from tests.sql.stream import START, fold, random_changes, store

HOUR, DAY = 3600, 86_400


@pytest.fixture
def client(database: Settings) -> Iterator[Client]:
    """The writer's client."""
    with writer_client(database) as client:
        yield client


def refresh(client: Client) -> None:
    """Do now what ClickHouse does every minute."""
    for view in ("refresh_fronts_hourly", "refresh_fronts_daily"):
        client.command(f"SYSTEM REFRESH VIEW {view}")
        client.command(f"SYSTEM WAIT VIEW {view}")


def stored(client: Client, unit: str) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """A roll-up: figures by time, wiki, namespace, actor and source."""
    # a day's figures are of all namespaces
    table, namespace = ("fronts_hourly", "namespace") if unit == "hour" else ("fronts_daily", "0")
    rows = client.query(
        f"SELECT toUnixTimestamp({unit}), wiki, {namespace}, actor, source,"
        f" edits, late, creations, reverts, reverted, bytes_added, bytes_removed FROM {table} FINAL"
    ).result_rows
    return {row[:5]: row[5:] for row in rows}


def expected(written: list[Rows], unit: int) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """The same from the worker's rows, by hand."""
    figures: dict[tuple[Any, ...], Counter[str]] = {}

    def at(row: dict[str, Any], actor: str) -> Counter[str]:
        namespace = row["namespace"] if unit == HOUR else 0
        key = (row["timestamp"] - row["timestamp"] % unit, row["wiki"], namespace, actor, row["source"])
        return figures.setdefault(key, Counter())

    edits = [dict(zip(EDITS.columns, row, strict=True)) for rows in written for row in rows.edits]
    # a late change that came twice is one row: the worker knows no ids of closed windows, the table's key does, and one
    # that was in time stays
    edits.sort(key=lambda edit: not edit["late"])
    for edit in {(edit["meta_id"], edit["source"]): edit for edit in edits if edit["type"] != "log"}.values():
        grown = grown_by(change(**{name: edit[name] for name in ("type", "length_old", "length_new")}))
        counts = {"edits": 1, "late": edit["late"], "creations": edit["type"] == "new"}
        at(edit, edit["actor"]).update(counts | {"added": max(grown, 0), "removed": max(-grown, 0)})
    for rows in written:
        for revert in (dict(zip(REVERTS.columns, row, strict=True)) for row in rows.reverts):
            if not revert["self_revert"]:
                at(revert, revert["reverter_actor"])["reverts"] += 1
                if revert["reverted_actor"]:
                    at(revert, revert["reverted_actor"])["reverted"] += 1
    names = ("edits", "late", "creations", "reverts", "reverted", "added", "removed")
    return {key: tuple(counts[name] for name in names) for key, counts in figures.items()}


def test_rollups_are_the_sums_of_the_edits_late_ones_included(database: Settings, client: Client) -> None:
    written = fold(random_changes(3, 1_500, seconds=3 * DAY))
    for part in (written[:100], written[100:]):
        store(database, part, checkpoints=1)
        refresh(client)

    assert stored(client, "hour") == expected(written, HOUR)
    assert stored(client, "day") == expected(written, DAY)
    assert sum(late for _, late, *_ in stored(client, "day").values()) > 20


def test_a_clock_that_was_ahead_hides_nothing_of_what_comes_after(database: Settings, client: Client) -> None:
    changes = [change(n, title=f"Page {n}", timestamp=START + n * HOUR) for n in range(3)]
    store(database, fold(changes[:1]))
    refresh(client)
    for table in ("edits", "fronts_hourly", "fronts_daily"):
        client.command(f"ALTER TABLE {table} UPDATE stored = stored + 3600 WHERE 1 SETTINGS mutations_sync = 2")

    store(database, fold(changes))
    refresh(client)

    assert sum(figures[0] for figures in stored(client, "hour").values()) == 3
    assert sum(figures[0] for figures in stored(client, "day").values()) == 3


def test_figures_stay_when_the_edits_behind_them_expire(database: Settings, client: Client) -> None:
    store(database, fold([change(n, title=f"Page {n}") for n in range(10)]))
    refresh(client)
    before = stored(client, "hour")
    client.command("DELETE FROM edits WHERE source_offset < 8")

    store(database, fold([change(11, title="Page 11")]))
    refresh(client)

    assert stored(client, "hour") == before
    assert next(iter(before.values()))[0] == 10


def test_a_row_says_since_when_its_edits_are_kept(database: Settings, client: Client) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    store(database, fold([change(1), change(2, timestamp=START + HOUR)]))
    refresh(client)

    kept = client.query("SELECT raw_since FROM fronts_hourly FINAL", tz_mode="aware").result_rows

    assert all(began <= row[0] <= datetime.now(UTC) for row in kept)
    assert len(kept) == 2
