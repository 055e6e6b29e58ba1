"""`battlefield backup` and `restore` over a real engine, and a stream that goes on from what was restored."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from clickhouse_connect.driver.client import Client

from services.backup import backup_command, restore_command
from services.backup.tables import DERIVED, SAVED
from services.common.change import EDITS_TOPIC
from services.common.clickhouse import writer_client
from services.common.migrations import apply_migrations
from services.common.settings import Settings, get_settings
from services.worker.rows import DEAD_LETTERS, LEDGER
from services.worker.sink import insert
from tests.events import TOPIC
from tests.integration.conftest import Stack
from tests.integration.test_audit import CLEAN, audit, mismatches, settle
from tests.integration.test_worker import assert_exact, changes, messages
from tests.sql.stream import START, fold, random_changes, store

AWKWARD = b"\xff\x00\t\n\r\\N\\'\r\n__exception__\r\n" + "Ελλάδα".encode()


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes commands reach a database as they would any."""

    def point(settings: Settings) -> None:
        for name in ("data_dir", "clickhouse_port", "clickhouse_database", "clickhouse_user", "clickhouse_reader_user"):
            monkeypatch.setenv(name.upper(), str(getattr(settings, name)))
        for name in ("clickhouse_password", "clickhouse_reader_password"):
            monkeypatch.setenv(name.upper(), getattr(settings, name).get_secret_value())
        get_settings.cache_clear()

    yield point
    get_settings.cache_clear()


@pytest.fixture
def empty_database(clickhouse: Settings) -> Iterator[Settings]:
    """A second database, migrated."""
    settings = clickhouse.model_copy(update={"clickhouse_database": f"test_{uuid.uuid4().hex[:12]}"})
    apply_migrations(settings)
    yield settings
    with writer_client(settings, database="") as client:
        client.command(f"DROP DATABASE {settings.clickhouse_database} SYNC")


def backup(folder: Path) -> Result:
    return CliRunner().invoke(backup_command.command, [str(folder)])


def restore(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(restore_command.command, [str(folder), *options])


def contents(client: Client) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, of each key one."""
    found = {}
    for table in (*SAVED, *DERIVED):
        columns = "* EXCEPT (stored)" if table in DERIVED else "*"
        # `names` keeps sets, in no order
        columns = columns if table != "names" else "* EXCEPT (stored, hours), arraySort(hours)"
        final = "" if table == "audits" else "FINAL"
        found[table] = client.query(f"SELECT {columns} FROM {table} {final} ORDER BY ALL").result_rows
    return found


def fill(settings: Settings, client: Client) -> None:
    """Something in each table that a stream fills, awkward texts in it, and a clean audit."""
    store(settings, fold(random_changes(7, 1_200, seconds=3 * 86_400)))
    insert(client, DEAD_LETTERS, [("letter", START * 1000, "not_json", "odd \t\n\\N", AWKWARD, 30, TOPIC, 0, 5, 1)])
    insert(client, LEDGER, [(TOPIC, 1, 0, 0, 3, 4, 2, 1, {"canary": 1, "it's\todd": 2}, 4)])
    settle(client)
    audit()  # leaves a row in `audits`


def test_each_table_is_either_saved_or_made_of_one_that_is(database: Settings) -> None:
    with writer_client(database) as client:
        engines = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
        tables = {row[0] for row in client.query(engines).result_rows}
    assert tables == {*SAVED, *DERIVED, "schema_migrations"}


def test_what_is_restored_is_what_was_saved(
    database: Settings, empty_database: Settings, reach: Any, tmp_path: Path
) -> None:
    reach(database)
    with writer_client(database) as client:
        fill(database, client)
        saved = contents(client)
        assert all(saved[table] for table in ("edits", "fronts", "reverts", "battles", "dead_letters", "audits"))
        status, reports = audit()
        saved["audits"] = contents(client)["audits"]
    done = backup(tmp_path / "saved")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["saved"], "nothing half-made is left"

    reach(empty_database)
    done = restore(tmp_path / "saved")
    assert done.exit_code == 0, done.output
    with writer_client(empty_database) as client:
        restored = contents(client)
        # what had been rolled up is rolled up once more, with the same sums
        for table in saved.keys() - {"fronts_hourly", "fronts_daily"}:
            assert restored[table] == saved[table], table
        settle(client)
        assert mismatches(audit()[1]) == mismatches(reports) == CLEAN
        assert audit()[0] == status

        refused = restore(tmp_path / "saved")
        assert refused.exit_code == 2
        assert "is not empty (ledger 1, edits " in refused.output
        assert restore(tmp_path / "saved", "--again").exit_code == 0
        assert contents(client)["edits"] == saved["edits"]


def test_what_cannot_be_restored_says_what_to_do(
    database: Settings, empty_database: Settings, reach: Any, tmp_path: Path
) -> None:
    reach(database)
    with writer_client(database) as client:
        fill(database, client)
    folder = tmp_path / "saved"
    assert backup(folder).exit_code == 0
    assert "is there already" in backup(folder).output
    assert "is no folder: make it first" in backup(tmp_path / "nowhere" / "saved").output
    assert "is no backup" in restore(tmp_path).output

    reach(empty_database)
    manifest = json.loads((folder / "manifest.json").read_text())
    for changed, words in (({"format": 2}, "reads 1"), ({"migration": 1}, "of migration 1, the database's of")):
        (folder / "manifest.json").write_text(json.dumps(manifest | changed))
        done = restore(folder)
        assert (done.exit_code, words in done.output) == (2, True), done.output
    (folder / "manifest.json").write_text(json.dumps(manifest))

    file = folder / "edits.tsv.zst"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "is damaged" in restore(folder, "--check-only").output
    assert restore(folder).exit_code == 2
    file.unlink()
    assert "cannot be read" in restore(folder).output
    file.write_bytes(whole)
    assert "is whole" in restore(folder, "--check-only").output
    with writer_client(empty_database) as client:
        assert not any(contents(client).values()), "a refused restore writes nothing"


def test_a_lost_database_comes_back_and_the_stream_goes_on_from_the_backup(
    stack: Stack, reach: Any, tmp_path: Path
) -> None:
    reach(stack.settings)
    stack.send(EDITS_TOPIC, messages(changes(0, 2000)))
    worker = stack.start("work")
    stack.wait_for(lambda: stack.count("edits") > 500)
    done = backup(tmp_path / "saved")  # while it works
    assert done.exit_code == 0, done.output
    stack.send(EDITS_TOPIC, messages(changes(2000, 3000)))
    stack.wait_for(lambda: stack.count("edits") == 3000)
    assert stack.stop(worker) == 0

    with writer_client(stack.settings, database="") as client:
        client.command(f"DROP DATABASE {stack.settings.clickhouse_database} SYNC")
    apply_migrations(stack.settings)
    done = restore(tmp_path / "saved")
    assert done.exit_code == 0, done.output
    restored = stack.count("edits")
    assert 500 < restored < 3000

    # what was stored after the backup is read from the broker once more, and all that comes
    stack.send(EDITS_TOPIC, messages(changes(3000, 3200)))
    worker = stack.start("work")
    stack.wait_for(lambda: stack.count("edits") == 3200)
    # what it has stored it tells once a second
    stack.wait_for(lambda: stack.figures("worker-1")["stored"] == 3200 - restored)
    assert stack.stop(worker) == 0
    assert_exact(stack, changes(0, 3200))
