"""A day's edits from a file to the rows and to the page, through every part, as a user would see it."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser import headless_chromium
from tests.e2e.test_up import CATEGORIZED, EVENTS, REVERTS, battlefield_up, environment, recording, wait_for
from tests.recorded import RECORDINGS

REAL = RECORDINGS / "real-edits-2024-12-07.jsonl.gz"
REAL_EDITS = 42_951
PATIENCE = 60_000  # milliseconds


def beside(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in another terminal: it knows the data directory and finds the rest."""
    command = [sys.executable, "-m", "services", *arguments]
    own = environment() | {"DATA_DIR": str(data_dir)}
    return subprocess.run(command, env=own, cwd=data_dir.parent, capture_output=True, text=True, timeout=120)


def stored(data_dir: Path) -> int | None:
    """Rows stored so far; None while nobody can be asked."""
    asked = beside(data_dir, "query", "pulse", "--json")
    return json.loads(asked.stdout)[0]["stored"] if asked.returncode == 0 else None


def account(data_dir: Path) -> dict[str, Any]:
    """The row of the query `accounting`."""
    asked = beside(data_dir, "query", "accounting", "--json")
    assert asked.returncode == 0, asked.stderr
    (row,) = json.loads(asked.stdout)
    return dict(row)


def test_from_a_file_to_the_rows_to_the_page(tmp_path: Path, free_port: Callable[[], int]) -> None:
    real = REAL.exists()
    file = REAL if real else recording(tmp_path / "small.jsonl")
    print(f"plays {file}")  # the generated one where Wikimedia's day is not at hand
    edits = REAL_EDITS if real else EVENTS - len(CATEGORIZED)
    data_dir, port = tmp_path / "data", free_port()
    ports = ["--broker-port", "0", "--clickhouse-port", "0", "--dashboard-port", str(port)]
    with battlefield_up(data_dir, str(file), "--speed", "max", *ports) as process:
        wait_for((data_dir / "stack.env").exists, 60, process)
        wait_for(lambda: stored(data_dir) == edits, 120, process)

        told = account(data_dir)
        assert (told["stored"], told["duplicates"], told["late"]) == (edits, 0, 0)
        assert told["reverts_with_name"] >= (700 if real else len(REVERTS))
        audit = beside(data_dir, "audit", "--since", "30d", "--json")
        assert audit.returncode == 0, audit.stdout + audit.stderr

        with headless_chromium() as browser:
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.goto(f"http://127.0.0.1:{port}/?range=24h", timeout=PATIENCE)
            metrics = page.get_by_test_id("stMetricValue")
            metrics.nth(3).wait_for(timeout=PATIENCE)
            numbers = [int(re.sub(r"\D", "", text)) for text in metrics.all_inner_texts()[:3]]
            assert sum(numbers) == edits
            assert page.get_by_text("replay").first.is_visible()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert not (data_dir / "stack.env").exists()
