"""What SQL computes from `edits` equals what the worker's fold wrote, row for row."""

import gzip
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from scripts.evaluate_battles import changes_of
from services.audit.definitions import ALERTS_DEFINED, BATTLES_DEFINED, compare
from services.audit.spans import Span
from services.common.change import Change, actor_of
from services.common.clickhouse import reader_client, writer_client
from services.common.queries import run_query
from services.common.settings import Settings
from services.producer.events import read_event
from services.simulator.events import stamp
from services.simulator.wargame import WarGame
from services.worker.rows import FRONTS, REVERTS, Table
from services.worker.seed import Place, Seeder
from services.worker.state import REVISIONS
from tests.events import change
from tests.recorded import recorded
from tests.sql.stream import GRACE, START, USERS, fold, random_changes, store
from tests.unit.test_worker_engage import Memory

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2030, 1, 1, tzinfo=UTC)
TIME = {"fronts": "window_start", "reverts": "timestamp"}


@pytest.fixture
def reader(database: Settings) -> Iterator[Client]:
    """The account that `audit` reads with."""
    with reader_client(database) as client:
        yield client


def stored(client: Client, table: Table) -> set[tuple[Any, ...]]:
    """A table's rows."""
    rows = client.query(f"SELECT {', '.join(table.columns)} FROM {table.name} FINAL", tz_mode="aware").result_rows
    assert len(set(rows)) == len(rows)
    return set(rows)


def recomputed(
    client: Client, table: Table, since: datetime, until: datetime, source: str = ""
) -> set[tuple[Any, ...]]:
    """The same by the definition."""
    result = run_query(client, f"recomputed_{table.name}", since=since, until=until, source=source)
    assert not result.result_rows or result.column_names == table.columns
    assert len(set(result.result_rows)) == len(result.result_rows)
    return set(result.result_rows)


@pytest.mark.parametrize(("seed", "days"), [(1, 0.1), (2, 1.5), (3, 6)])
def test_recomputed_equals_what_the_worker_wrote(database: Settings, reader: Client, seed: int, days: float) -> None:
    store(database, fold(random_changes(seed, 3_000, seconds=int(days * 86_400)), seed=seed))
    middle = datetime.fromtimestamp(START + 10 * int(days * 4_320), UTC)

    for table in (REVERTS, FRONTS):
        expected = stored(reader, table)
        assert len(expected) > 300
        assert recomputed(reader, table, LONG_AGO, FAR_AHEAD) == expected
        # a span's edge hides nothing: what happened before it is read far enough back
        first, second = recomputed(reader, table, LONG_AGO, middle), recomputed(reader, table, middle, FAR_AHEAD)
        assert (first | second, first & second) == (expected, set())
        at = table.columns.index(TIME[table.name])
        assert max(row[at] for row in first) < middle <= min(row[at] for row in second)
        assert recomputed(reader, table, LONG_AGO, FAR_AHEAD, "replay-x") == {
            row for row in expected if row[table.columns.index("source")] == "replay-x"
        }
    assert min(agree(reader).values()) > 5


def agree(reader: Client) -> dict[str, int]:
    """Asserts that what is stored of battles and alerts is what SQL computes; how many rows that are."""
    rows = {}
    for definition in (BATTLES_DEFINED, ALERTS_DEFINED):
        found = compare(reader, definition, Span(LONG_AGO, FAR_AHEAD), "")
        assert (found.mismatches, found.examples) == (0, [])
        rows[found.table] = found.rows
    return rows


@pytest.mark.parametrize("seed", [4, 5])
def test_the_war_games_battles_and_alerts_are_recomputed_as_they_were_written(
    database: Settings, reader: Client, seed: int
) -> None:
    game = WarGame(seed, events=8_000)
    store(database, fold(list(changes_of(game, f"{game.name}.codfw.mediawiki.recentchange")), seed=seed))
    game.close()
    assert agree(reader)["battles"] > 1


def test_battles_and_alerts_of_real_edits_are_recomputed_as_they_were_written(
    database: Settings, reader: Client
) -> None:
    changes = []
    with gzip.open(recorded("real-edits-2024-12-07.jsonl.gz")) as lines:
        for offset, line in enumerate(islice(lines, 20_000)):
            stamped, _ = stamp(line.rstrip(), b'"replay-real.codfw.mediawiki.recentchange"', offset)
            if isinstance(outcome := read_event(stamped.decode(), 0).outcome, Change):
                changes.append(outcome)
    store(database, fold(changes))
    assert agree(reader)["battles"] > 1


def test_a_seeded_worker_goes_on_with_the_battles_and_alerts_that_it_has_lost(
    database: Settings, reader: Client
) -> None:
    changes = random_changes(8, 2_500, seconds=4 * 86_400)
    memories: dict[int, Memory] = defaultdict(Memory)
    store(database, fold(changes[:1_500], memories=memories))
    lost: dict[int, Memory] = defaultdict(Memory)
    with writer_client(database) as client:
        for shard in memories:
            seeder = Seeder(lambda client=client: client, GRACE, changelog=False, on_wait=lambda _: None)
            for source in ("live", "replay-x"):
                seeder.memory(lost[shard], Place(0, source, shard))

    store(database, fold(changes[1_500:], memories=lost))

    assert min(agree(reader).values()) > 5


def test_windows_that_a_range_cuts_are_left_out(database: Settings, reader: Client) -> None:
    store(database, fold([change(n, timestamp=START + 5 * n, title=f"Page {n}") for n in range(8)]))
    begin = datetime.fromtimestamp(START, UTC)

    rows = recomputed(reader, FRONTS, begin + timedelta(seconds=1), begin + timedelta(seconds=39))

    assert {row[0] for row in rows} == {begin + timedelta(seconds=10), begin + timedelta(seconds=20)}


def test_names_have_the_same_class_in_sql(database: Settings, reader: Client) -> None:
    names = [
        *USERS,
        "1.2.3.4\n",
        "1.2.3",
        "1.2.3.4.5",
        "~2026",
        "~20261-2",
        "1.2.3.4x",
        "a::b:c",
        "::",
        "A:B",
        "٣.1.1.1",
    ]
    undo = "Undid revision 77 by [[Special:Contributions/{0}|{0}]] ([[User talk:{0}|talk]])"
    store(database, fold([change(n, comment=undo.format(name), user="Somebody") for n, name in enumerate(names)]))

    rows = recomputed(reader, REVERTS, LONG_AGO, FAR_AHEAD)

    assert rows == stored(reader, REVERTS)
    classes = {row[REVERTS.columns.index("reverted")]: row[REVERTS.columns.index("reverted_actor")] for row in rows}
    assert classes == {name: actor_of(name, False) if name else "" for name in classes}
    assert {"temporary", "person"} <= set(classes.values())


def test_one_revision_under_two_ids_is_one_revert_and_counts_as_two_edits(database: Settings, reader: Client) -> None:
    store(database, fold([change(1, comment="rv", rev_id=9), change(2, comment="rvv", rev_id=9)]))

    for table in (REVERTS, FRONTS):
        assert recomputed(reader, table, LONG_AGO, FAR_AHEAD) == stored(reader, table)
    (row,) = stored(reader, REVERTS)
    assert row[REVERTS.columns.index("comment")] == "rv"


@pytest.mark.parametrize(("back", "known"), [(REVISIONS, True), (REVISIONS + 1, False)])
def test_a_page_remembers_as_many_changes_in_sql_as_in_the_worker(
    database: Settings, reader: Client, back: int, known: bool
) -> None:
    edits = [change(n, user=f"Editor {n}", timestamp=START + n) for n in range(200)]
    summary = f"Undid revision {edits[200 - back].rev_id} by a hidden user"
    undo = change(200, timestamp=START + 300, comment=summary, user="Somebody")
    store(database, fold([*edits, undo]))

    rows = recomputed(reader, REVERTS, LONG_AGO, FAR_AHEAD)

    assert rows == stored(reader, REVERTS)
    ((*_, reverted),) = [row[: REVERTS.columns.index("reverted") + 1] for row in rows]
    assert reverted == (f"Editor {200 - back}" if known else "")
