"""What checkpoints leave in ClickHouse, when a crash falls into one, and when one id comes at two offsets."""

import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import OperationalError
from quixstreams.sinks import SinkBackpressureError

from services.audit.audit import audit, sources_present, span_of
from services.common.change import Change, id_bytes, shard_of
from services.common.clickhouse import writer_client
from services.common.queries import run_query
from services.common.settings import Settings
from services.worker import sink
from services.worker.engage import Rows, engage, no_rows
from services.worker.rows import EDITS, LEDGER, duplicate_row, edit_row
from services.worker.seed import Place, Seeder
from services.worker.sink import WRITE_AHEAD, ClickHouseSink, insert
from tests.events import TOPIC, change
from tests.sql.stream import GRACE
from tests.unit.test_worker_engage import Memory

NEW_YEAR = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())


class Crash:
    """A client until so many parts of `edits` are written; of one insert the newest month's come first."""

    def __init__(self, client: Client, parts: int) -> None:
        self._client, self._left = client, parts

    def raw_insert(self, table: str, columns: list[str], lines: bytes, settings: dict[str, Any], *, fmt: str) -> None:
        """See clickhouse-connect."""
        if table != EDITS.name:
            self._client.raw_insert(table, columns, lines, settings, fmt=fmt)
            return
        at = EDITS.columns.index("timestamp")
        rows = [msgspec.json.decode(line) for line in lines.splitlines()]
        rows.sort(key=lambda row: month(row[at]), reverse=True)
        for _, part in groupby(rows, key=lambda row: month(row[at])):
            if not self._left:
                raise OperationalError("the plug is pulled")
            self._left -= 1
            self._client.raw_insert(table, columns, msgspec.json.Encoder().encode_lines(part), settings, fmt=fmt)


def month(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m")


def work(client: Client, changes: list[Change], parts: int) -> None:
    """A worker that starts without state, over what ClickHouse holds. Raises SinkBackpressureError at the crash."""
    seeder = Seeder(lambda: client, GRACE, changelog=False, on_wait=lambda _: None)
    out = ClickHouseSink(lambda: Crash(client, parts), lambda _: None, lambda _: None)  # type: ignore[arg-type, return-value]
    memories: dict[int, Memory] = defaultdict(Memory)
    for one in changes:
        shard = shard_of(one.wiki, one.title)
        memory = seeder.memory(memories[shard], place := Place(0, "live", shard))
        out.add(engage([one], shard, "live", memory))
        memory.write_back()
        seeder.note(place)
    out.flush()


@pytest.mark.parametrize("ahead", [WRITE_AHEAD, 7], ids=["at checkpoints", "also between them"])
def test_a_crash_between_the_parts_of_a_months_boundary_loses_nothing(
    tables: Settings, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    monkeypatch.setattr(sink, "WRITE_AHEAD", ahead)
    # two a second around midnight, every third of before it: so each shard goes to and fro between the months
    changes = [
        change(n, title=f"Page {n % 4}", timestamp=NEW_YEAR - 20 + n // 2 - 50 * (n % 3 == 0)) for n in range(80)
    ]
    crashes = 0
    with writer_client(tables) as client:
        while crashes < 100:
            try:
                work(client, changes, parts=crashes % 3)  # the producer reads all of them again
                break
            except SinkBackpressureError:
                crashes += 1
        assert client.query("SELECT count(), uniqExact(meta_id) FROM edits FINAL").result_rows == [(80, 80)]
        assert crashes > 3
        (present,) = sources_present(client, raw_days=30)
        report = audit(client, present, span_of(present, timedelta(days=1)), lambda *_: None)
        assert [(c.table, c.mismatches) for c in report.comparisons][:2] == [("fronts", 0), ("reverts", 0)]


class Written:
    """A client that notes the table of each insert, and its rows; refuses the `refused`th of `edits`."""

    def __init__(self, refused: int = -1) -> None:
        self.tables: list[tuple[str, int]] = []
        self.refused = refused

    def raw_insert(self, table: str, columns: list[str], lines: bytes, settings: dict[str, Any], *, fmt: str) -> None:
        """See clickhouse-connect."""
        if table == EDITS.name and len(self.of(table)) == self.refused:
            raise OperationalError("the plug is pulled")
        self.tables.append((table, len(lines.splitlines())))

    def of(self, table: str) -> list[int]:
        """How many rows each insert into a table had."""
        return [rows for name, rows in self.tables if name == table]


class Slow(Written):
    """A client whose inserts take long now and then; it notes what was there when one of `edits` began."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[tuple[int, int]] = []  # inserts of duplicates, of edits

    def raw_insert(self, table: str, columns: list[str], lines: bytes, settings: dict[str, Any], *, fmt: str) -> None:
        """See clickhouse-connect."""
        if table == EDITS.name:
            self.before.append((len(self.of("duplicates")), len(self.of("edits"))))
        time.sleep(0.03 * (len(self.of(table)) % 3 == (table == EDITS.name)))
        super().raw_insert(table, columns, lines, settings, fmt=fmt)


def edits_and_account(numbers: range) -> Rows:
    rows = no_rows()
    rows.edits.extend(edit_row(change(n), id_bytes(change(n).meta_id), "live", 0, n, False, None) for n in numbers)
    rows.duplicates.append(duplicate_row(change(0), id_bytes(change(0).meta_id)))
    rows.ledger.extend(pages([]))
    return rows


def test_rows_are_written_between_checkpoints_and_the_ledger_at_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "WRITE_AHEAD", 4)
    stored: list[int] = []
    client = Written()
    out = ClickHouseSink(lambda: client, stored.append, pytest.fail)  # type: ignore[arg-type, return-value]
    for n in range(0, 9, 3):
        out.add(edits_and_account(range(n, n + 3)))
    out.flush()
    assert (client.of("duplicates"), client.of("edits")) == ([2, 1], [6, 3])
    assert client.tables[-1] == ("ledger", 3)
    assert stored == [9]


def test_an_edit_is_written_after_what_follows_from_it_and_after_the_edits_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long an insert takes: what `edits` holds is what counts as stored."""
    monkeypatch.setattr(sink, "WRITE_AHEAD", 1)
    client = Slow()
    out = ClickHouseSink(lambda: client, lambda _: None, pytest.fail)  # type: ignore[arg-type, return-value]
    for n in range(12):
        out.add(edits_and_account(range(n, n + 1)))
    out.flush()
    assert client.of("edits") == [1] * 12
    assert [edits for _, edits in client.before] == list(range(12)), "one at a time"
    assert all(duplicates > edits for duplicates, edits in client.before)


def test_after_a_piece_that_failed_no_edits_are_written_until_its_messages_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sink, "WRITE_AHEAD", 1)
    stored: list[int] = []
    refused: list[str] = []
    client = Written(refused=1)
    out = ClickHouseSink(lambda: client, stored.append, refused.append)  # type: ignore[arg-type, return-value]
    for n in range(6):
        out.add(edits_and_account(range(n, n + 1)))
    with pytest.raises(SinkBackpressureError):
        out.flush()
    assert (client.of("edits"), client.of("ledger"), stored, len(refused)) == ([1], [], [], 1)
    client.refused = -1
    out.add(edits_and_account(range(6)))
    out.flush()
    assert (client.of("edits"), client.of("ledger"), stored) == ([1, 6], [1], [6])


def pages(changes: list[Change]) -> list[tuple[Any, ...]]:
    """The producer's account of these."""
    return [(TOPIC, 0, 0, 0, len(changes) - 1, len(changes), len(changes), 0, {}, len(changes))]


@pytest.mark.parametrize("late", [1, 2], ids=["the second is late", "both are late"])
def test_one_id_at_two_offsets_is_accounted_for_however_late_it_comes(tables: Settings, late: int) -> None:
    begin = change(0).timestamp
    ahead = begin + 2 * GRACE  # the clock of the shard jumps: what comes after it is late
    first, second = (change(n, timestamp=begin, meta_id=change(99).meta_id) for n in (late - 1, 2))
    others = [change(3, timestamp=begin), change(4, timestamp=ahead)]  # another late one, one in time
    changes = sorted([change(2 - late, timestamp=ahead), first, second, *others], key=lambda one: one.source_offset)
    assert [one.source_offset for one in changes] == [0, 1, 2, 3, 4]
    with writer_client(tables) as client:
        for one in changes:  # a part of its own each, so that the two meet in a merge alone
            work(client, [one], parts=9)
        insert(client, LEDGER, pages(changes))
        for merged in (False, True):
            if merged:
                client.command("OPTIMIZE TABLE edits FINAL")
            (account,) = run_query(client, "accounting").named_results()
            told = (account["kept"], account["stored"], account["duplicates"], account["late"])
            assert told == (5, 4, 1, 1 + (late == 2))
            (present,) = sources_present(client, raw_days=30)
            report = audit(client, present, span_of(present, timedelta(days=1)), lambda *_: None)
            assert (report.gaps, report.unstored) == ([], [])
