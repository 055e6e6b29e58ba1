"""Workers as processes over a real broker and ClickHouse: killed, cut off, joined by others, fed with garbage."""

import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from click.testing import CliRunner

from scripts.drill import WRONG_WINDOWS
from services.common.change import (
    DEAD_LETTERS_TOPIC,
    EDITS_TOPIC,
    LEDGER_TOPIC,
    Change,
    Origin,
    dead_letter,
    encode,
    shard_of,
)
from services.common.clickhouse import reader_client, writer_client, writer_password_path
from services.common.migrations import apply_migrations
from services.common.queries import run_query
from services.producer import replay_command
from services.producer.positions import stored_positions
from tests.conftest import Endpoint
from tests.events import START, TOPIC, change, event_json
from tests.integration.conftest import Stack

PAGES = 100  # so that every shard has some
GARBAGE: list[tuple[bytes | None, bytes]] = [
    (None, b""), (b"no shard", b"{"), (b"0", b"\xff\xfe"), (b"0", b"[1, 2]"), (b"31", b"null"), (b"5", b"[" * 10_000),
]  # fmt: skip


def changes(first: int, last: int) -> list[Change]:
    """Changes `first` to `last - 1`, twenty a second; each 50th undoes the one before on its page."""
    made = []
    for number in range(first, last):
        user = f"User {number // PAGES % 7}"
        undone = number - PAGES
        comment = "copy edit"
        if number % 50 == 0 and undone >= 0:
            name = f"User {undone // PAGES % 7}"
            comment = f"Undid revision {5_000_000 + undone} by [[Special:Contributions/{name}|{name}]]"
        values = {"title": f"Page {number % PAGES}", "user": user, "comment": comment}
        made.append(change(number, timestamp=START + number // 20, **values))
    return made


def messages(made: Sequence[Change], size: int = 20) -> list[tuple[bytes | None, bytes]]:
    """The same as messages for `wiki.edits`, `size` changes at most in each."""
    by_shard: dict[int, list[Change]] = {}
    for one in made:
        by_shard.setdefault(shard_of(one.wiki, one.title), []).append(one)
    return [
        (str(shard).encode(), encode(mine[start : start + size]))
        for shard, mine in by_shard.items()
        for start in range(0, len(mine), size)
    ]


def assert_exact(stack: Stack, sent: Sequence[Change]) -> None:
    """Every change once, every shard numbered without a gap, every window as SQL has it, every revert known."""
    stored = {str(row[0]) for row in stack.query("SELECT meta_id FROM edits FINAL")}
    assert stored == {str(one.meta_id) for one in sent}
    assert stack.count("edits") == len(sent)
    numbered = stack.query("SELECT shard, count(), uniqExact(sequence), max(sequence) FROM edits FINAL GROUP BY shard")
    assert [row for row in numbered if not row[1] == row[2] == row[3]] == []
    assert stack.query(WRONG_WINDOWS) == [(0,)]
    assert stack.query("SELECT sum(edits) FROM fronts FINAL") == [(len(sent),)]
    reverts = {one.rev_id for one in sent if one.comment.startswith("Undid")}
    resolved = "SELECT rev_id FROM reverts FINAL WHERE seconds_to_revert IS NOT NULL"
    assert {row[0] for row in stack.query(resolved)} == reverts, "the state had forgotten the reverted revision"


def test_a_worker_that_is_killed_fed_with_garbage_or_robbed_of_its_state_counts_exactly(stack: Stack) -> None:
    worker = stack.start("work", worker_commit_messages=20)
    for topic in (EDITS_TOPIC, DEAD_LETTERS_TOPIC, LEDGER_TOPIC):
        stack.send(topic, GARBAGE)
    stack.send(EDITS_TOPIC, messages(changes(0, 2000), size=5))
    stack.wait_for(lambda: stack.count("edits") > 0)
    stack.stop(worker, signal.SIGKILL)
    stack.send(EDITS_TOPIC, messages(changes(2000, 3000)))
    worker = stack.start("work")
    stack.wait_for(lambda: stack.count("edits") == 3000)
    assert_exact(stack, changes(0, 3000))
    # `null`, `{` and the like on each topic, and two numbers in a list; equal bytes are one letter
    assert stack.count("dead_letters") >= len(GARBAGE)
    assert stack.stop(worker) == 0

    log = stack.settings.data_dir / "work.log"
    told = log.stat().st_size
    worker = stack.start("work")
    stack.send(EDITS_TOPIC, messages(changes(3000, 3100)))
    stack.wait_for(lambda: stack.count("edits") == 3100)
    assert "seeded" not in log.read_text()[told:], "state after an orderly end is as good as any"
    assert stack.stop(worker) == 0

    shutil.rmtree(stack.settings.data_dir / "state")
    stack.send(EDITS_TOPIC, messages(changes(2500, 3200)))  # most of it has come before
    worker = stack.start("work")
    stack.wait_for(lambda: stack.count("edits") == 3200)
    stack.wait_for(lambda: stack.figures("worker-1")["lag"] == 0)
    assert stack.stop(worker) == 0
    # out of ClickHouse, where the broker keeps no changelog to make the state from again
    assert ("seeded" in log.read_text()[told:]) != stack.settings.worker_changelog
    assert_exact(stack, changes(0, 3200))


def test_a_partition_that_comes_back_from_another_worker_is_not_taken_for_current(stack: Stack) -> None:
    first = stack.start("work", "--name", "worker-1")
    stack.wait_for(lambda: stack.is_at_work(first, "worker-1"))
    stack.send(EDITS_TOPIC, messages(changes(0, 1000)))
    stack.wait_for(lambda: stack.count("edits") == 1000)

    second = stack.start("work", "--name", "worker-2")
    stack.wait_for(lambda: stack.is_at_work(second, "worker-2"))
    stack.send(EDITS_TOPIC, messages(changes(1000, 2000)))
    stack.wait_for(lambda: stack.count("edits") == 2000)
    stack.wait_for(lambda: 0 < stack.figures("worker-2")["stored"] < 1000)  # it shares the work

    stack.send(EDITS_TOPIC, messages(changes(2000, 3000), size=5))
    stack.stop(second, signal.SIGKILL)
    stack.send(EDITS_TOPIC, messages(changes(1500, 4000)))
    stack.wait_for(lambda: stack.count("edits") == 4000)
    stack.wait_for(lambda: stack.figures("worker-1")["lag"] == 0)
    assert stack.stop(first) == 0
    assert_exact(stack, changes(0, 4000))


def test_clickhouse_away_means_waiting_and_catching_up(
    stack: Stack, clickhouse_factory: Callable[[Path], Endpoint], tmp_path: Path
) -> None:
    endpoint = clickhouse_factory(tmp_path / "clickhouse")
    apply_migrations(endpoint.settings)
    password = type(stack.settings.clickhouse_password)(
        writer_password_path(endpoint.settings.data_dir).read_text().strip()
    )
    own = {name: getattr(endpoint.settings, name) for name in ("clickhouse_port", "clickhouse_database")}
    stack.settings = stack.settings.model_copy(update=own | {"clickhouse_password": password})

    worker = stack.start("work")
    stack.send(EDITS_TOPIC, messages(changes(0, 500)))
    stack.wait_for(lambda: stack.count("edits") == 500)
    endpoint.stop()
    stack.send(EDITS_TOPIC, messages(changes(500, 3000)))
    stack.wait_for(lambda: stack.figures("worker-1")["state"] == "waiting")
    assert "ClickHouse is away" in stack.figures("worker-1")["error"]
    stack.send(EDITS_TOPIC, messages(changes(3000, 4000)))
    stack.wait_for(lambda: stack.figures("worker-1")["lag"] > 0, 20)  # what waits is to be seen
    endpoint.start()
    stack.wait_for(lambda: stack.count("edits") == 4000)
    stack.wait_for(lambda: stack.figures("worker-1")["state"] == "running")
    assert stack.stop(worker) == 0
    assert_exact(stack, changes(0, 4000))


def test_a_dead_letter_that_is_accepted_today_counts_once_however_often_it_is_replayed(
    stack: Stack, monkeypatch
) -> None:
    monkeypatch.setattr(replay_command, "running_settings", lambda: stack.settings)

    def replay(*options: str) -> str:
        result = CliRunner().invoke(replay_command.command, options)
        assert result.exit_code == 0, result.output
        return result.stdout

    sent = [one for one in changes(0, 1000) if one.source_offset not in (600, 601)]
    # what an earlier reader may have refused; the second as the worker refuses
    now = time.time_ns() // 1_000_000
    event = event_json(600, title="Page 0", timestamp=START + 30, comment="copy edit").encode()
    refused = [
        dead_letter(event, now, Origin(TOPIC, 0, 600), "schema", "of old"),
        dead_letter(encode(changes(601, 602)[0]), now, Origin(TOPIC, 0, 601), "unprocessable", "of old"),
        dead_letter(b"{not json", now, None, "not_json", "malformed"),
        dead_letter(b"\xff" * 70_000, now, None, "not_utf8", "cut"),
    ]
    stack.send(EDITS_TOPIC, messages(sent))
    stack.send(DEAD_LETTERS_TOPIC, [(None, encode(letter)) for letter in refused])
    worker = stack.start("work")
    stack.wait_for(lambda: stack.count("edits") == 998 and stack.count("dead_letters") == 4)

    assert replay("--dry-run") == "2 dead letters would be replayed; still refused: not_json 1\n"
    assert replay("--reason", "too_large") == "0 dead letters were replayed\n"
    assert replay("--reason", "schema") == "1 dead letters were replayed\n"
    assert replay() == "1 dead letters were replayed; still refused: not_json 1\n"
    stack.wait_for(lambda: stack.count("edits") == 1000)
    assert replay() == "0 dead letters were replayed; still refused: not_json 1\n"
    marked = "SELECT source_offset FROM dead_letters FINAL WHERE replayed IS NOT NULL ORDER BY source_offset"
    assert stack.query(marked) == [(600,), (601,)]

    # as if it had been killed before it marked them
    unmark = """INSERT INTO dead_letters SELECT * REPLACE (NULL AS replayed, version + 1 AS version)
                FROM (SELECT * FROM dead_letters FINAL WHERE replayed IS NOT NULL)"""
    with writer_client(stack.settings) as client:
        client.command(unmark)
    assert replay().startswith("2 dead letters were replayed")
    stack.send(EDITS_TOPIC, messages(changes(1000, 1100)))
    stack.wait_for(lambda: stack.count("edits") == 1100)
    assert stack.stop(worker) == 0
    assert stack.query(WRONG_WINDOWS) == [(0,)]
    assert stack.query("SELECT sum(edits) FROM fronts FINAL") == [(1100,)]
    with reader_client(stack.settings) as client:
        (account,) = run_query(client, "accounting").named_results()
    assert (account["stored"], account["duplicates"], account["dead_letters"]) == (1098, 0, 4)
    assert [position.source_topic for position in stored_positions(stack.settings)] == [TOPIC]
