"""Time every named query as the board asks it, over several ranges: median and worst.

    python -m scripts.query_times --data-dir /tmp/month [--only battles,front] [--rounds 7] [--json]

The data directory is one of `scripts/fill.py` or of a run that has ended. Ranges end at the newest event; battles are
asked for a moment three days before it too, since those that went on are then computed from their edits. Each query is
run once to warm up, then `--rounds` times; queries of `battlefield audit` and `rebuild`, which go hour by hour, are
left out. First ClickHouse may finish its merges: where it has slept for long, it throws away at its start what has
expired meanwhile, for a minute on both cores.
"""

import argparse
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from scripts.fill import endpoint
from services.common.clickhouse import reader_client
from services.common.queries import NamedQuery, all_queries, bind, board_now, load
from services.common.settings import Settings

MEDIAN_LIMIT, WORST_LIMIT = 0.3, 1.0  # seconds
QUIET = 10.0  # seconds without a merge: then there is no next one either
PATIENCE = 600.0  # seconds
RANGES = {"15 min": timedelta(minutes=15), "1 day": timedelta(days=1), "30 days": timedelta(days=30)}
STEPS = {"15 min": 10, "1 day": 300, "30 days": 14_400}  # seconds of one point of a chart
PAST = timedelta(days=3)  # before now, with the longest range
OF_THE_PAST = ("battles",)  # where the past costs more than the present
# what they ask is not for a screen: whole tables row by row, the account of a whole run, what others build on
NOT_THE_BOARDS = ("audit_", "recomputed_", "resolved_", "accounting", "tallies", "battles_then")


class Timing(NamedTuple):
    """A query over a range."""

    query: str
    range: str
    median: float  # seconds
    worst: float
    cpu: float  # seconds of processor time of a round, with whatever ClickHouse did beside it: load does not blur it
    rows: int
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether a viewer does not wait."""
        return not self.error and self.median <= MEDIAN_LIMIT and self.worst <= WORST_LIMIT


def examples(client: Client) -> dict[str, Any]:
    """Values for parameters that name one thing: a busy one of its kind."""

    def first(sql: str) -> tuple[Any, ...]:
        rows = client.query(sql).result_rows
        return tuple(rows[0]) if rows else ("", "")

    hour = "toStartOfHour(timestamp) >= (SELECT toStartOfHour(max(timestamp)) - 3600 FROM edits) AND type != 'log'"
    battle = first("SELECT toString(battle_id) FROM battles FINAL WHERE war ORDER BY opened DESC LIMIT 1")
    page = first(f"SELECT wiki, title FROM edits WHERE {hour} GROUP BY ALL ORDER BY count() DESC LIMIT 1")  # noqa: S608 - no input
    return {"battle": battle[0], "wiki": page[0], "title": page[1]}


def values_of(query: NamedQuery, name: str, now: datetime, known: dict[str, Any]) -> dict[str, Any]:
    """What the board would pass."""
    values: dict[str, Any] = {"until": now, "since": now - RANGES[name], "step": STEPS[name]}
    if query.name.startswith(("story_", "search_")):
        values |= {"title": known["title"], "wikis": [known["wiki"]], "text": known["title"][:-1]}
    if query.name.startswith(("battle_", "one_battle")):  # `battles` is asked for all of them
        values["battle"] = known["battle"]
    return {name: value for name, value in values.items() if name in query.parameters}


def settle(client: Client) -> float:
    """Wait until ClickHouse merges nothing; return how long it did, in seconds."""
    began = merged = time.monotonic()
    while time.monotonic() < min(merged + QUIET, began + PATIENCE):
        if client.query("SELECT count() FROM system.merges").first_row != (0,):
            merged = time.monotonic()
        time.sleep(0.2)
    return merged - began


def processor_seconds() -> float:
    """What the endpoint, a child of this process, has used."""
    times = [child.cpu_times() for child in psutil.Process().children()]
    return sum(time.user + time.system for time in times)


def time_query(
    client: Client, query: NamedQuery, values: dict[str, Any], rounds: int
) -> tuple[list[float], float, int]:
    """Seconds of each round, processor seconds of one, and the rows of the answer."""
    bound = bind(query, values, lambda: board_now(client))
    taken = []
    used = processor_seconds()
    for _ in range(rounds + 1):
        began = time.perf_counter()
        answer = client.raw_query(query.sql, parameters=bound, fmt="JSONCompact")
        taken.append(time.perf_counter() - began)
    return taken[1:] or taken, (processor_seconds() - used) / len(taken), int(json.loads(answer)["rows"])


def time_all(settings: Settings, only: list[str], rounds: int) -> Iterator[Timing]:
    """Every query over every range."""
    with reader_client(settings, query_retries=0) as client:
        now = board_now(client)
        known = examples(client)
        for query in all_queries():
            if query.name.startswith(NOT_THE_BOARDS) or (only and query.name not in only):
                continue
            ranges = RANGES if {"since", "until"} & query.parameters.keys() else ["30 days"]
            asked = {name: values_of(query, name, now, known) for name in ranges}
            if query.name in OF_THE_PAST:
                asked["3 days ago"] = values_of(query, "30 days", now - PAST, known)
            for name, values in asked.items():
                try:
                    taken, cpu, rows = time_query(client, query, values, rounds)
                    yield Timing(query.name, name, statistics.median(taken), max(taken), cpu, rows)
                except ClickHouseError as error:
                    yield Timing(query.name, name, 0, 0, 0, 0, str(error)[:150])


def main() -> None:
    """Print a line a query; exit with 1 where one is too slow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--only", default="", help="Names of queries, separated by commas.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="Print a JSON array instead of lines.")
    arguments = parser.parse_args()
    only = [name for name in arguments.only.split(",") if name]
    for name in only:
        load(name)
    timings = []
    logging.disable(logging.CRITICAL)  # the driver logs what it cannot reach while the endpoint starts
    with endpoint(arguments.data_dir.resolve()) as settings:
        load_before = os.getloadavg()[0]
        with reader_client(settings) as client:
            merging = settle(client)
        print(f"load {load_before:.1f} on {os.cpu_count()} cores; merges for {merging:.0f} s", file=sys.stderr)
        for timing in time_all(settings, only, arguments.rounds):
            timings.append(timing)
            if not arguments.json:
                sign = " " if timing.good else "!"
                times = (f"{seconds * 1000:7.0f}" for seconds in (timing.median, timing.worst, timing.cpu))
                figures = "median {} ms, worst {} ms, processor {} ms, {:,} rows".format(*times, timing.rows)
                print(f"{sign} {timing.query:<28} {timing.range:<10} {timing.error or figures}", flush=True)
    if arguments.json:
        print(json.dumps([timing._asdict() for timing in timings], indent=2))
    sys.exit(0 if all(timing.good for timing in timings) else 1)


if __name__ == "__main__":
    main()
