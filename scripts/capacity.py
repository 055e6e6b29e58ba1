"""What a load needs (partitions, shards, workers, cores, bytes), from costs a change, with skew and an outage.

    python -m scripts.capacity [--times 1 --times 100 --times 10000] [--recording FILE] [--measured scale.json]

A model, and a small one. Costs a change are those of COSTS below, measured once, or come from a run of
`scripts.scale_out`; what is assumed beside them is printed under the table. Which shard is how busy is simulated: the
pages of a recording, or of the war game, go through the project's own hash. Whether a plan holds is simulated minute
by minute: a day with Wikipedia's ups and downs, and an hour in which no worker runs. With --measured the model is also
held against what was measured: it prints both and the difference.
"""

import gzip
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import click
import msgspec

from scripts.scale_out import INTERVAL, Result
from services.common.change import SHARDS, Change
from services.producer.events import read_event
from services.simulator.events import stamp
from services.simulator.wargame import WarGame

EVENTS = 33.0  # events/s that Wikimedia sends on average
KEPT = 0.5  # of them changes; the others are dropped on purpose
PEAK = 2.7  # the busiest quarter of an hour against the average: 90 events/s
BUSY = 0.6  # of a core that a worker may need at the peak: the rest is for catching up
MOST_INSERTS = 10.0  # inserts/s into one table; more makes parts faster than ClickHouse merges them
OUTAGE = 60  # minutes without workers, in the simulated day, at its peak
DAY = 1440  # minutes
BROKER_DAYS, RAW_DAYS = 7, 30
SHARDS_TRIED = (SHARDS, 64, 128, 256, 512, 1024)


class Costs(NamedTuple):
    """What a change costs; `producer_us` is that of an event read. µs of CPU, bytes on the disk."""

    producer_us: float
    worker_us: float
    clickhouse_us: float
    broker_us: float
    broker_bytes: float
    clickhouse_bytes: float


# Measured, and where that stands in docs/benchmarks.md; the machine had two cores. `--measured` takes another run's.
COSTS = Costs(
    producer_us=21.7,  # "Stages", 2026-11-25
    worker_us=20.4,  # likewise, one worker with full messages
    clickhouse_us=21.1,  # likewise, what that worker's rows cost the embedded engine
    broker_us=4.8,  # "Several workers": Apache Kafka, one consumer; the producer's side left out
    broker_bytes=250.0,  # docs/architecture.md, 0.2 to 0.3 KB in the embedded broker; 162 in full messages on a disk
    clickhouse_bytes=115.0,  # "Several workers": a real recording
)
PRODUCER_LIMIT = 40_000.0  # events/s that one connection and one process read: "Stages", 43,683 changes/s at least

# What is not measured but chosen or read elsewhere; the table is worth what these are.
ASSUMED = (
    f"{EVENTS:g} events/s on average, {PEAK:g} times that at the peak, {KEPT:.0%} of them changes (from one capture)",
    f"a worker may be busy {BUSY:.0%} at the peak, and a table takes {MOST_INSERTS:g} inserts/s",
    "a change costs the same at every load, and as much on servers of your own as in the embedded engine",
    "busy pages stay as busy against the others as in the war game, or the recording given",
)


class Plan(NamedTuple):
    """What one load needs."""

    times: float
    events: float  # /s at the peak
    changes: float  # /s at the peak
    shards: int
    workers: int
    busiest: float  # share of the worker that has the most
    worker_cores: float  # that they need at the peak, together
    clickhouse_cores: float
    broker_cores: float
    producers: int
    broker_mb_s: float
    broker_gb: float  # for BROKER_DAYS at the average rate, one copy
    rows_s: float  # into `edits`, at the peak
    clickhouse_gb: float  # for RAW_DAYS at the average rate, one copy
    commit_interval: float  # seconds, so that `edits` gets MOST_INSERTS at most


class Day(NamedTuple):
    """How the simulated day went."""

    largest_backlog: float  # changes
    caught_up_after: int | None  # minutes after the outage; None: not that day


def pages_of(recording: Path | None, events: int) -> Counter[str]:
    """How many changes each page has, by the text that is hashed."""
    pages: Counter[str] = Counter()
    lines: Iterable[bytes]
    if recording is None:
        lines = (line for block in WarGame(1, events=events).read(0) for line in block)
    else:
        with gzip.open(recording) if recording.suffix == ".gz" else recording.open("rb") as file:
            lines = file.read().splitlines()
    for number, line in enumerate(lines):
        data, _ = stamp(line, b'"capacity.mediawiki.recentchange"', number)
        outcome = read_event(data.decode(errors="replace"), 0).outcome
        if isinstance(outcome, Change):
            pages[f"{outcome.wiki}\0{outcome.title}"] += 1
    return pages


def shares(pages: Counter[str], shards: int, workers: int) -> list[float]:
    """Each worker's share of the changes, the largest first; shards are given out in turn, as partitions are."""
    held = [0] * workers
    for page, changes in pages.items():
        held[crc32(page.encode()) % shards % workers] += changes
    total = sum(held)
    return sorted((changes / total for changes in held), reverse=True)


def plan(times: float, costs: Costs, pages: Counter[str]) -> Plan:
    """The fewest workers, over the fewest shards, of which the busiest is within BUSY at the peak."""
    average, peak = EVENTS * times, EVENTS * times * PEAK
    changes = peak * KEPT
    for shards in SHARDS_TRIED:
        fewest = max(1, math.ceil(changes * costs.worker_us / 1e6 / BUSY))
        for workers in range(fewest, shards + 1):
            busiest = shares(pages, shards, workers)[0]
            if changes * busiest * costs.worker_us / 1e6 <= BUSY:
                break
        else:
            continue
        break
    else:
        raise click.ClickException(f"{times:g} times: one page alone is more than a worker can bear")
    kept = average * KEPT * 86_400
    return Plan(
        times,
        peak,
        changes,
        shards,
        workers,
        busiest,
        changes * costs.worker_us / 1e6,
        changes * costs.clickhouse_us / 1e6,
        changes * costs.broker_us / 1e6,
        math.ceil(peak / PRODUCER_LIMIT),
        changes * costs.broker_bytes / 1e6,
        kept * BROKER_DAYS * costs.broker_bytes / 1e9,
        changes,
        kept * RAW_DAYS * costs.clickhouse_bytes / 1e9,
        max(INTERVAL, 2 * workers / MOST_INSERTS),  # a worker writes at each checkpoint and half-way
    )


def day(made: Plan, costs: Costs, pages: Counter[str]) -> Day:
    """A day minute by minute: a sine from the average to the peak, an outage at its top, a queue for each worker."""
    limit = 60e6 / costs.worker_us  # changes a minute
    parts = shares(pages, made.shards, made.workers)
    waiting = [0.0] * made.workers
    begin = DAY // 4  # where the sine is highest
    largest, done = 0.0, None
    for minute in range(DAY):
        wave = (1 + math.sin(2 * math.pi * minute / DAY)) / 2
        arriving = 60 * made.changes * (1 / PEAK + (1 - 1 / PEAK) * wave)
        away = begin <= minute < begin + OUTAGE
        for number, part in enumerate(parts):
            waiting[number] = max(0.0, waiting[number] + arriving * part - (0.0 if away else limit))
        largest = max(largest, sum(waiting))
        if done is None and minute >= begin + OUTAGE and not any(waiting):
            done = minute - begin - OUTAGE
    return Day(largest, done)


def predicted(workers: int, busiest: float, costs: Costs, cores: int) -> float:
    """Changes/s that so many workers reach: until the busiest has a whole core, or all together have the machine."""
    of_workers = 1e6 / (costs.worker_us * busiest) if workers > 1 else 1e6 / costs.worker_us
    of_machine = cores * 1e6 / (costs.worker_us + costs.clickhouse_us + costs.broker_us)
    return min(of_workers, of_machine)


def table(plans: Sequence[Plan], days: Sequence[Day]) -> str:
    """As Markdown."""
    rows = [
        ("times today's load", [f"{p.times:,.0f}" for p in plans]),
        ("events/s at the peak", [f"{p.events:,.0f}" for p in plans]),
        ("changes/s at the peak", [f"{p.changes:,.0f}" for p in plans]),
        ("producers", [f"{p.producers:,}" for p in plans]),
        ("shards", [f"{p.shards:,}" for p in plans]),
        ("workers, and partitions at least", [f"{p.workers:,}" for p in plans]),
        ("share of the busiest worker", [f"{p.busiest:.1%}" for p in plans]),
        ("cores: workers", [f"{p.worker_cores:,.2f}" for p in plans]),
        ("cores: ClickHouse", [f"{p.clickhouse_cores:,.2f}" for p in plans]),
        ("cores: broker", [f"{p.broker_cores:,.2f}" for p in plans]),
        ("`WORKER_COMMIT_INTERVAL`, s", [f"{p.commit_interval:.1f}" for p in plans]),
        ("broker, MB/s in", [f"{p.broker_mb_s:,.2f}" for p in plans]),
        (f"broker, GB for {BROKER_DAYS} days", [f"{p.broker_gb:,.0f}" for p in plans]),
        ("rows/s into `edits`", [f"{p.rows_s:,.0f}" for p in plans]),
        (f"ClickHouse, GB for {RAW_DAYS} days", [f"{p.clickhouse_gb:,.0f}" for p in plans]),
        (f"backlog after {OUTAGE} min without workers", [f"{d.largest_backlog:,.0f}" for d in days]),
        (
            "minutes until it is worked off",
            ["not that day" if d.caught_up_after is None else f"{d.caught_up_after}" for d in days],
        ),
    ]
    head = ["| | " + " | ".join(" " for _ in plans) + " |", "| --- |" + " ---: |" * len(plans)]
    return "\n".join([*head, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows)])


def check(result: Result, costs: Costs) -> list[str]:
    """What the model says of the measured points."""
    lines = []
    for point in result.points:
        told = predicted(point.workers, point.largest_share, costs, result.cores)
        lines.append(
            f"{point.workers} workers: measured {point.rate:,.0f} changes/s, by the model {told:,.0f}"
            f" ({told / point.rate - 1:+.0%})"
        )
    return lines


@click.command()
@click.option("--times", "loads", multiple=True, type=float, default=(1, 100, 10_000), show_default=True)
@click.option("--recording", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Whose pages. [a game]")
@click.option("--events", default=60_000, show_default=True, help="Of the war game.")
@click.option("--measured", type=click.Path(exists=True, path_type=Path), help="What scripts.scale_out printed.")
def main(loads: tuple[float, ...], recording: Path | None, events: int, measured: Path | None) -> None:
    """Print what loads need; with --measured also how well the model agrees with measured points."""
    costs = COSTS
    result = msgspec.convert(json.loads(measured.read_text()), Result) if measured else None
    if result:
        # the fewest workers were least in each other's way
        one = min(result.points, key=lambda point: point.workers)
        costs = COSTS._replace(
            producer_us=result.producer_us,
            worker_us=one.worker_us,
            clickhouse_us=one.clickhouse_us,
            broker_us=one.broker_us,
            broker_bytes=result.broker_bytes,
            clickhouse_bytes=result.clickhouse_bytes,
        )
    pages = pages_of(recording, events)
    plans = [plan(times, costs, pages) for times in loads]
    click.echo(table(plans, [day(made, costs, pages) for made in plans]))
    click.echo("\nMeasured: " + ", ".join(f"{name} {value:g}" for name, value in costs._asdict().items()))
    click.echo("\n".join(f"ASSUMED: {text}" for text in ASSUMED))
    if result:
        click.echo()
        click.echo("\n".join(check(result, costs)))


if __name__ == "__main__":
    main()
