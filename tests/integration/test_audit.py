"""`battlefield audit` and `rebuild` over a real engine: clean, damaged, rebuilt, clean."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result
from clickhouse_connect.driver.client import Client

from services.audit import audit_command, rebuild_command
from services.common.clickhouse import writer_client
from services.common.queries import run_query
from services.common.settings import Settings, get_settings
from services.worker.rows import LEDGER
from services.worker.sink import insert
from tests.events import TOPIC, change
from tests.sql.stream import START, fold, random_changes, store

AGO = 600  # seconds since everything was stored: quiet, and rolled up


@pytest.fixture
def client(database: Settings) -> Iterator[Client]:
    """The writer's client."""
    with writer_client(database) as client:
        yield client


@pytest.fixture
def here(database: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands reach the test's database as they would any."""
    for name in ("data_dir", "clickhouse_port", "clickhouse_database"):
        monkeypatch.setenv(name.upper(), str(getattr(database, name)))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def settle(client: Client) -> None:
    """Let time pass: all was stored a while ago, and has been rolled up since."""
    for table in ("edits", "reverts", "fronts_hourly", "fronts_daily"):
        client.command(f"ALTER TABLE {table} UPDATE stored = stored - {AGO} WHERE 1 SETTINGS mutations_sync = 2")
    for view in ("refresh_fronts_hourly", "refresh_fronts_daily"):
        client.command(f"SYSTEM REFRESH VIEW {view}")
        client.command(f"SYSTEM WAIT VIEW {view}")


def audit(*arguments: str) -> tuple[int, list[dict]]:
    """Run the command; exit status and reports."""
    result = CliRunner().invoke(audit_command.command, ["--json", "--since", "30d", *arguments])
    assert result.exit_code in (0, 1), result.output
    return result.exit_code, json.loads(result.stdout)


def rebuild(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(rebuild_command.command, ["--since", "30d", *arguments])


def mismatches(reports: list[dict]) -> dict[str, tuple[int, int, int]]:
    """(missing, extra, different) by table, over all sources."""
    totals: dict[str, tuple[int, int, int]] = {}
    for report in reports:
        for one in report["comparisons"]:
            before = totals.get(one["table"], (0, 0, 0))
            totals[one["table"]] = tuple(
                a + one[kind] for a, kind in zip(before, ("missing", "extra", "different"), strict=True)
            )
    return totals


CLEAN = dict.fromkeys(("fronts", "reverts", "battles", "alerts", "fronts_hourly", "fronts_daily"), (0, 0, 0))


def test_damage_is_found_row_for_row_and_rebuilt(database: Settings, client: Client, here: None) -> None:
    store(database, fold(random_changes(7, 1_200, seconds=3 * 86_400)))
    settle(client)
    status, reports = audit()
    assert (status, mismatches(reports)) == (0, CLEAN)
    assert {report["source"] for report in reports} == {"live", "replay-x"}
    assert all(one["rows"] > 20 for report in reports for one in report["comparisons"][:2])

    # wrong figures under the right version, and under one that is far too high; rows that vanished, rows out of nowhere
    client.command("CREATE TABLE worst AS fronts ENGINE = Memory")
    client.command("INSERT INTO worst SELECT * FROM fronts FINAL ORDER BY cityHash64(window_start, shard) LIMIT 12")
    client.command("INSERT INTO fronts SELECT * REPLACE (edits + 1 AS edits) FROM worst LIMIT 3")
    client.command("INSERT INTO fronts SELECT * REPLACE (version + 1000 AS version) FROM worst LIMIT 4 OFFSET 3")
    client.command("DROP TABLE worst")
    (gone,) = client.query("SELECT rev_id, title FROM reverts FINAL ORDER BY rev_id LIMIT 1").result_rows
    client.command("DELETE FROM reverts WHERE rev_id = {rev_id:UInt64}", {"rev_id": gone[0]})
    # a fighter on the other side, under a version that is too high; a battle that vanished; an alert with a wrong count
    client.command("CREATE TABLE two AS battles ENGINE = Memory")
    client.command("INSERT INTO two SELECT * FROM battles FINAL ORDER BY battle_id LIMIT 2")
    client.command("INSERT INTO battles SELECT * REPLACE (arrayReverse(fighters) AS fighters, version + 9 AS version)"
                   " FROM two LIMIT 1")  # fmt: skip
    client.command("DELETE FROM battles WHERE battle_id = (SELECT battle_id FROM two LIMIT 1 OFFSET 1)")
    client.command("DROP TABLE two")
    client.command("INSERT INTO alerts SELECT * REPLACE (reverts + 1 AS reverts) FROM alerts FINAL LIMIT 1")
    client.insert("fronts", [[datetime.fromtimestamp(START, UTC), "nowiki", "live", 3, 3]],
                  ["window_start", "wiki", "source", "edits", "version"])  # fmt: skip

    status, reports = audit()
    assert status == 1
    assert mismatches(reports)["fronts"] == (0, 1, 7)
    assert mismatches(reports)["reverts"] == (1, 0, 0)
    # what stands on the revert that is gone differs too
    missing, extra_battles, different = mismatches(reports)["battles"]
    assert (missing >= 1, extra_battles + different >= 1) == (True, True)
    assert mismatches(reports)["alerts"][2] >= 1
    examples = [e for r in reports for one in r["comparisons"][:2] for e in one["examples"]]
    (extra,) = [example for example in examples if example["kind"] == "extra"]
    assert (extra["key"]["wiki"], extra["figures"]) == ("nowiki", {})
    assert next(e["key"]["rev_id"] for e in examples if e["kind"] == "missing") == str(gone[0])

    for _ in range(2):  # the same again gives the same
        assert rebuild().exit_code == 0
        settle(client)
        assert audit()[0] == 0


def test_a_rebuilt_open_window_still_takes_what_comes(database: Settings, client: Client, here: None) -> None:
    changes = [change(n, title="One page", timestamp=START + n) for n in range(8)]
    written = fold(changes)
    store(database, fold(changes[:5]))
    client.command(
        "INSERT INTO fronts SELECT * REPLACE (edits + 9 AS edits, version + 99 AS version) FROM fronts FINAL"
    )
    settle(client)
    rebuild()

    store(database, written)

    assert client.query("SELECT edits, version FROM fronts FINAL").result_rows == [(8, 8)]


def ledger_row(page: int, read: int, kept: int, **changed: int) -> tuple:
    """A page of the ledger; what is not kept was dropped."""
    fields = {
        "source_topic": TOPIC,
        "source_partition": 0,
        "page": page,
        "first_offset": page * 1000,
        "last_offset": page * 1000 + read - 1,
        "read": read,
        "kept": kept,
        "dead_lettered": 0,
        "dropped": {"categorize": read - kept},
        "version": read,
    }
    return tuple({**fields, **changed}[column] for column in LEDGER.columns)


def test_offsets_that_nobody_read_and_changes_that_are_not_stored_are_found(
    database: Settings, client: Client, here: None
) -> None:
    store(
        database,
        fold([change(n, title=f"Page {n % 50}", timestamp=START + n) for n in (*range(400), *range(3000, 3100))]),
    )
    insert(client, LEDGER, [ledger_row(0, 1000, 400), ledger_row(3, 200, 100)])
    settle(client)

    status, (report,) = audit()
    assert status == 1
    assert (report["missing_offsets"], report["missing_changes"]) == (2000, 0)
    assert report["gaps"] == [
        {"source_topic": TOPIC, "source_partition": 0, "first": 1000, "last": 2999, "offsets": 2000}
    ]
    assert report["dropped"] == {"categorize": 700}

    insert(client, LEDGER, [ledger_row(1, 1000, 0), ledger_row(2, 1000, 0)])
    assert audit()[0] == 0

    client.command("DELETE FROM edits WHERE source_offset = 7")
    status, (report,) = audit()
    assert (status, report["missing_changes"]) == (1, 1)
    assert report["unstored"][0]["page"] == 0
    last = {row["source"]: row for row in run_query(client, "last_audits").named_results()}["live"]
    assert (last["passed"], last["unstored"], last["gaps"]) == (False, 1, 0)


def test_what_comes_in_just_now_is_no_mismatch(database: Settings, client: Client, here: None) -> None:
    now = int(datetime.now(UTC).timestamp())
    store(database, fold([change(n, title=f"Page {n}", timestamp=now - 300 + n) for n in range(300)]))
    # the windows of edits that are on their way, and a ledger that is ahead of them
    client.command("INSERT INTO fronts SELECT * REPLACE (edits + 1 AS edits, version + 1 AS version) FROM fronts FINAL"
                   f" WHERE window_start > toDateTime({now - 50})")  # fmt: skip
    insert(client, LEDGER, [ledger_row(0, 1000, 400)])

    status, (report,) = audit()

    assert (status, report["quiet"], report["unsettled_pages"]) == (0, False, 1)
    assert datetime.fromisoformat(report["until"]) <= datetime.fromtimestamp(now - 59, UTC)


def test_nothing_to_audit_and_nobody_there_are_status_2_with_what_to_do(
    database: Settings, here: None, monkeypatch: pytest.MonkeyPatch, free_port
) -> None:
    result = CliRunner().invoke(audit_command.command, [])
    assert (result.exit_code, "Nothing is stored" in result.stderr) == (2, True)
    monkeypatch.setenv("CLICKHOUSE_PORT", str(free_port()))
    get_settings.cache_clear()
    for command in (audit_command.command, rebuild_command.command):
        result = CliRunner().invoke(command, [])
        assert (result.exit_code, "does not answer" in result.stderr) == (2, True)


def test_since_takes_a_span_or_an_instant() -> None:
    parse = audit_command.Since().convert
    assert parse("90m", None, None) == timedelta(minutes=90)
    assert parse("2024-12-07T12:00:00Z", None, None) == datetime(2024, 12, 7, 12, tzinfo=UTC)
    assert parse("2024-12-07", None, None) == datetime(2024, 12, 7, tzinfo=UTC)
    assert "90m, 24h or 7d" in CliRunner().invoke(audit_command.command, ["--since", "yesterday"]).stderr
