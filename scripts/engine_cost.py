"""What the battle engine costs: the bytes it keeps of a page, and the worker's speed with it and without.

    python -m scripts.engine_cost [--recording FILE] [--events 60000] [--runs 3] [--json]

State is measured after the whole source was folded: every page then held was changed within the last 26 hours of event
time. Speed is changes per second, of the worker's step alone and of the whole worker between its broker and ClickHouse;
CPU time stands beside it, of the worker's process alone. With and without take turns, and medians are compared.
"Without" is `scripts/without_engine.py`.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import msgspec

from scripts import bench
from scripts.bench import Given, Taken
from scripts.bench_lab import changes_of, events_of, keep_stdout_for_the_report, machine, messages_of, write_events
from scripts.without_engine import without_engine
from services.common.change import Change, shard_of
from services.worker.command import look_for_garbage_rarely
from services.worker.engage import engage
from services.worker.memory import DictState, ShardMemory
from services.worker.pipeline import read_message
from services.worker.state import LAYOUT, PageState

SOURCE = "replay-bench"
WANTED_BYTES = 2_000  # of the median page
WANTED_SPEED = 0.7  # of the worker's without the engine


class Sizes(NamedTuple):
    """Bytes of one kind of page."""

    pages: int
    median: int
    nine_tenths: int
    ninety_nine_hundredths: int
    most: int


def sizes_of(found: Iterable[int]) -> Sizes:
    """The distribution of some sizes."""
    ordered = sorted(found)
    if not ordered:
        return Sizes(0, 0, 0, 0, 0)
    half, nine_tenths, nearly_all = (ordered[int(len(ordered) * share)] for share in (0.5, 0.9, 0.99))
    return Sizes(len(ordered), half, nine_tenths, nearly_all, ordered[-1])


def page_sizes(changes: Iterable[Change]) -> dict[str, Sizes]:
    """Bytes of the records of all pages that are held after the changes, by what happened on them."""
    states: defaultdict[int, DictState] = defaultdict(DictState)
    memories: dict[int, ShardMemory] = {}
    for change in changes:
        shard = shard_of(change.wiki, change.title)
        memory = memories.get(shard) or memories.setdefault(shard, ShardMemory(states[shard], SOURCE, bench.GRACE))
        engage([change], shard, SOURCE, memory)
        memory.write_back()
    decode = msgspec.msgpack.Decoder(PageState).decode
    kept = [
        (len(value), decode(value))
        for state in states.values()
        for name, value in state.items()
        if name.startswith(b"p%d|" % LAYOUT)
    ]
    return {
        "all": sizes_of(size for size, _ in kept),
        "edited twice or more": sizes_of(size for size, page in kept if page.kept > 1),
        "edited ten times or more": sizes_of(size for size, page in kept if page.kept > 9),
        "with reverts": sizes_of(size for size, page in kept if page.marks),
        "with a battle": sizes_of(size for size, page in kept if page.battle),
    }


def speeds(given: Given, runs: int) -> dict[str, dict[str, float]]:
    """CPU microseconds per change of step and worker, with the engine and without, and what of the speed is kept."""
    found: dict[str, dict[str, list[Taken]]] = {"step": {}, "worker": {}}
    for number in range(1, runs + 1):
        for kind in ("without", "with"):
            with without_engine() if kind == "without" else nullcontext():
                found["step"].setdefault(kind, []).append(bench.fold_alone(given))
            program = "scripts.without_engine" if kind == "without" else "services"
            with tempfile.TemporaryDirectory(prefix="battlefield-bench-", ignore_cleanup_errors=True) as work:
                found["worker"].setdefault(kind, []).append(bench.worker(given._replace(work=Path(work)), program))
            print(f"run {number}, {kind} the engine", file=sys.stderr)
    return {stage: kept_speed(taken["with"], taken["without"]) for stage, taken in found.items()}


def kept_speed(with_it: list[Taken], without: list[Taken]) -> dict[str, float]:
    """Medians of CPU time per change and of changes per second, and what share of the rate is kept."""
    used, spared = (statistics.median(one.cpu / one.changes * 1e6 for one in taken) for taken in (with_it, without))
    slow, fast = (statistics.median(one.changes / one.seconds for one in taken) for taken in (with_it, without))
    return {
        "with_us": round(used, 1),
        "without_us": round(spared, 1),
        "with_rate": round(slow),
        "without_rate": round(fast),
        "speed_kept": round(slow / fast, 3),
    }


def main() -> None:
    """Fold, weigh, run, print; exit with 1 where it costs more than is wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=Path, help="A .jsonl or .jsonl.gz file; without it the war game plays.")
    parser.add_argument("--events", type=int, default=60_000, help="Events; a recording plays over and over.")
    parser.add_argument("--seed", type=int, default=1, help="The war game's seed.")
    parser.add_argument("--runs", type=int, default=3, help="Runs of each kind; 0: measure state alone.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    options = parser.parse_args()
    keep_stdout_for_the_report()
    look_for_garbage_rarely()  # as the worker does
    with tempfile.TemporaryDirectory(prefix="battlefield-bench-") as folder:
        file = Path(folder) / "bench.jsonl"
        write_events(file, events_of(options.recording, options.seed, options.events))
        sizes = page_sizes(changes_of(file))
        messages = messages_of(changes_of(file))
        count = sum(len(read_message(str(shard).encode(), value)[1]) for shard, value in messages)
        given = Given(file, options.events, messages, count, Path(folder), None)
        cost = speeds(given, options.runs) if options.runs else {}
    if options.json:
        report = {"machine": machine(bench.PACKAGES), "changes": count, "bytes": sizes, "speed": cost}
        print(json.dumps(report | {"bytes": {kind: one._asdict() for kind, one in sizes.items()}}, indent=2))
    else:
        print(f"{count:,} changes. Bytes kept of a page:")
        for kind, one in sizes.items():
            print(f"  {kind:<26}{one.pages:>8,} pages  median {one.median:,}  90 % {one.nine_tenths:,}  "
                  f"99 % {one.ninety_nine_hundredths:,}  most {one.most:,}")  # fmt: skip
        for stage, figures in cost.items():
            print(f"{stage}: {figures['with_rate']:,} changes/s with the engine, {figures['without_rate']:,} without: "
                  f"{figures['speed_kept']:.0%} of the speed is kept; {figures['with_us']} µs of CPU a change against "
                  f"{figures['without_us']}")  # fmt: skip
    if sizes["all"].median > WANTED_BYTES or (cost and cost["worker"]["speed_kept"] < WANTED_SPEED):
        raise SystemExit("The engine costs more than is wanted.")


if __name__ == "__main__":
    main()
