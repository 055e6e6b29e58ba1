"""Both streams from the simulator through producer and worker, with everything going wrong on the way."""

import json
import signal
from datetime import UTC, datetime
from pathlib import Path

from scripts.drill import sent_changes
from services.audit.definitions import ALERTS_DEFINED, BATTLES_DEFINED, FRONTS_DEFINED, REVERTS_DEFINED, compare
from services.audit.spans import Span
from services.common.clickhouse import writer_client
from tests.integration.conftest import Stack, simulator

EVENTS = 5_000
FAULTS = (
    *(
        "--cut-every",
        "1",
        "--duplicate-every",
        "300",
        "--resend-every",
        "70",
        "--swap-every",
        "1500",
        "--refuse",
        "0.2",
    ),
)
ALL = Span(datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))


def test_every_revert_of_a_game_is_known_as_it_truly_was_whoever_is_killed(stack: Stack, tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    changes = len(sent_changes(None, 3, EVENTS))  # as many, whatever their summaries say
    game = ("--seed", "3", "--events", str(EVENTS), "--speed", "25", "--declared", "0.5", "--truth", str(truth))
    with simulator(stack, *game, *FAULTS) as (url, status):
        worker = stack.start("work")
        killed = stack.start("produce", eventstreams_url=url)
        stack.wait_for(lambda: stack.is_at_work(worker, "worker-1") and stack.count("edits"))
        for process in (worker, killed):
            stack.stop(process, signal.SIGKILL)
        worker = stack.start("work")
        producer = stack.start("produce", eventstreams_url=url)
        stack.wait_for(lambda: stack.is_at_work(producer, "producer") and status()["finished"])
        stack.wait_for(lambda: not stack.figures("producer")["unacknowledged"])
        assert stack.figures("producer")["declared"] == "on"
        assert stack.stop(producer) == 0
        stack.wait_for(lambda: stack.count("edits") == changes)
        whole = "SELECT sum(kept) FROM ledger FINAL WHERE source_topic LIKE '%recentchange'"
        stack.wait_for(lambda: stack.query(whole) == [(changes + stack.count("duplicates"),)])
        assert stack.stop(worker) == 0

    stories = [json.loads(line) for line in truth.read_text().splitlines()]
    true = {(s["wiki"], r["rev_id"]): (r["reverter"], r["reverted"], r["form"]) for s in stories for r in s["reverts"]}
    stored = stack.query("SELECT wiki, rev_id, reverter, reverted FROM reverts FINAL WHERE evidence = 'declared'")
    assert {(wiki, rev_id): who for wiki, rev_id, *who in stored} == {k: [v[0], v[1]] for k, v in true.items()}
    assert stack.query("SELECT count() FROM reverts FINAL WHERE evidence != 'declared'") == [(0,)]
    silent = {rev_id for (_, rev_id), (_, _, form) in true.items() if form == "silent"}
    assert len(silent) > 5, "no summary tells of them"

    with writer_client(stack.settings) as client:
        for definition in (REVERTS_DEFINED, FRONTS_DEFINED, BATTLES_DEFINED, ALERTS_DEFINED):
            found = compare(client, definition, ALL, "")
            assert (found.mismatches, found.examples) == (0, []), definition.table.name
            assert found.rows > 0

    told = stack.query("SELECT sum(dropped['declared_revert']) FROM ledger FINAL WHERE source_topic LIKE '%-create'")
    assert told[0][0] >= len(true)
    gaps = "SELECT sum(last_offset - first_offset + 1 - read) FROM ledger FINAL"
    assert stack.query(gaps) == [(0,)], "of both streams every offset was read"
