"""Figures, completeness and the summary of a run."""

import io
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from services.common.heartbeat import beat
from services.common.settings import Settings
from services.embedded.memory import MEASURE, memory_in_use
from services.embedded.meter import Account, Figures, Finish, Meter, Playing, is_complete
from services.embedded.plan import Plan, Play, Ports
from services.embedded.run import STALL_LIMIT, is_stalled
from services.embedded.screen import Screen, caught_up_share, figures_line, waiting_line
from services.embedded.source import Source
from services.embedded.summary import summarise, summary_text
from services.embedded.supervisor import Part, Phase, Slot, Stage

FIRST = datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)
ACCOUNT = Account(
    read=100, kept=60, refused=3, dropped={"categorize": 37}, stored=58, late=1, first_received=FIRST,
    duplicates=2, dead_letters=3, reverts=5, reverts_with_name=4, windows=40,
)  # fmt: skip


@pytest.fixture
def meter(tmp_path: Path) -> Meter:
    plan = Plan(
        Source("recording", "replay-x", recording=tmp_path / "x.jsonl"), tmp_path, Ports(1, 2, 3, 4), Play("max"),
        since="", workers=2, dashboard=False, broker_memory_mb=512,
    )  # fmt: skip
    return Meter(plan, Settings(_env_file=None), finite=True)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("changed", "complete"),
    [
        ({}, True),
        ({"read": 99}, False),  # one event is still on its way to the ledger
        ({"stored": 57}, False),  # one change is not stored
        ({"dead_letters": 2}, False),  # a dead letter is not stored
        ({"stored": 57, "dead_letters": 4}, True),  # the worker could not use one change: it is a dead letter now
        ({"stored": 57, "duplicates": 3}, True),
    ],
)
def test_all_is_stored_when_every_event_is_accounted_for(changed: dict[str, int], complete: bool) -> None:
    assert is_complete(ACCOUNT._replace(**changed), 100) is complete


def test_the_summary_counts_from_the_first_change_read_to_the_last_stored() -> None:
    finish = Finish(FIRST.timestamp() + 2.5, ACCOUNT)
    summary = summarise("x", ACCOUNT, Playing(empty_lines=2), finish, 3 * 2**20, "PSS")
    assert (summary.seconds, summary.changes_per_s) == (2.5, 40.0)
    assert summary.dropped == {"categorize": 37, "empty_lines": 2}
    assert (summary.peak_memory_mib, summary.memory_measure) == (3.0, "PSS")
    text = summary_text(summary)
    assert "39  (37 categorize, 2 empty_lines)" in text
    assert "5  (4 name the reverted editor)" in text
    assert "2.5  (40 changes/s)" in text


def test_a_run_with_nothing_left_to_read_has_no_rate() -> None:
    account = ACCOUNT._replace(first_received=None)
    summary = summarise("x", account, Playing(), Finish(0.0, account), 0, "PSS")
    assert (summary.seconds, summary.changes_per_s) == (None, None)
    assert "nothing left to read" in summary_text(summary)


def test_a_run_stands_still_only_after_the_limit_and_with_something_to_do(meter: Meter) -> None:
    began = meter.progressed
    assert not is_stalled(meter._plan, meter, began + STALL_LIMIT)
    assert is_stalled(meter._plan, meter, began + STALL_LIMIT + 1)
    # at its own pace a recording may be silent for longer ...
    slow = meter._plan._replace(play=Play("real"))
    meter.figures = Figures(playing=Playing(events=10, sent=9))
    assert not is_stalled(slow, meter, began + STALL_LIMIT + 1)
    # ... but not once all of it was sent
    meter.figures = Figures(playing=Playing(events=10, sent=10))
    assert is_stalled(slow, meter, began + STALL_LIMIT + 1)


def test_figures_come_from_the_heartbeats_of_all_workers(meter: Meter, tmp_path: Path) -> None:
    told = {"read": 7, "rate": 3.5, "lag_s": 1.25, "newest_dt_ms": 1_790_000_000_500}
    beat(tmp_path, "producer", "running", told)
    beat(tmp_path, "worker-1", "running", {"lag": 2})
    beat(tmp_path, "worker-2", "running", {"lag": 3})
    figures = replace(Figures(), **meter._told_by_heartbeats())
    assert (figures.read, figures.rate, figures.source_lag) == (7, 3.5, 1.25)
    assert figures.newest_read == 1_790_000_000.5
    assert figures.messages_behind == 5


def test_the_line_of_figures() -> None:
    figures = Figures(read=12345, rate=98.4, stored=12000, reverts=31, wars=2, messages_behind=17)
    assert figures_line(figures, live=True) == (
        "in 12,345 (98/s) · stored 12,000 · lag 17 messages · freshness – · reverts 31 · battles 2"
    )
    live = replace(figures, messages_behind=0, newest_event=datetime.now(UTC) - timedelta(seconds=2))
    assert "no lag · freshness 2." in figures_line(live, live=True)
    replay = replace(figures, newest_event=datetime(2024, 12, 7, 1, 2, 3, tzinfo=UTC))
    assert "at 2024-12-07 01:02:03" in figures_line(replay, live=False)


def test_the_bar_is_there_only_while_catching_up() -> None:
    now, begin = 10_000.0, 6_400.0
    assert caught_up_share(Figures(), None, now) is None
    assert caught_up_share(Figures(newest_read=begin), begin, now) == 0.0
    assert caught_up_share(Figures(newest_read=8_200.0), begin, now) == 0.5
    assert caught_up_share(Figures(newest_read=9_990.0), begin, now) is None


def test_what_is_waited_for_is_named() -> None:
    slots = {name: Slot(Part(name, [], Stage.STORE)) for name in ("broker", "clickhouse")}
    slots["migrate"] = Slot(Part("migrate", [], Stage.STORE, needs=["broker", "clickhouse"]))
    assert waiting_line(slots["migrate"], slots, 0.0) == "migrate: waits for broker and clickhouse"
    slots["broker"].phase = Phase.READY
    assert waiting_line(slots["migrate"], slots, 0.0) == "migrate: waits for clickhouse"
    slots["broker"].phase, slots["broker"].retry_at = Phase.DOWN, 8.0
    assert waiting_line(slots["broker"], slots, 5.0) == "broker: starts again in 3 s"


def test_without_a_terminal_figures_are_plain_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1_000.0
    monkeypatch.setattr(time, "time", lambda: clock)
    text = io.StringIO()
    with Screen(Console(file=text, width=200), live=False) as screen:
        screen.say("worker-1 [red] was ended")
        for clock in (1_000.0, 1_005.0, 1_009.9, 1_010.0):
            screen.show_figures(Figures(read=int(clock)))
    lines = text.getvalue().splitlines()
    assert lines[0] == "worker-1 [red] was ended"
    assert [line.split(" · ")[0] for line in lines[1:]] == ["in 1,000 (0/s)", "in 1,010 (0/s)"]


def test_memory_is_that_of_children_too() -> None:
    before = memory_in_use()
    script = "block = b'x' * (64 * 2**20); print(len(block), flush=True); input()"
    command = [sys.executable, "-S", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert memory_in_use() - before > 60 * 2**20
        child.kill()
    assert MEASURE in ("PSS", "RSS")
