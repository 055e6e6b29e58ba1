"""The model of loads: it adds up, it grows with the load, and it says when shards are too few."""

from collections import Counter

import pytest

from scripts.capacity import Costs, day, plan, predicted, shares
from services.common.change import SHARDS

# not the measured ones, which change
COSTS = Costs(producer_us=20, worker_us=30, clickhouse_us=20, broker_us=5, broker_bytes=250, clickhouse_bytes=115)
PAGES = Counter({f"enwiki\0Page {number}": 1 + number % 7 for number in range(20_000)})


def test_each_change_is_some_workers() -> None:
    for workers in (1, 3, 32):
        parts = shares(PAGES, SHARDS, workers)
        assert len(parts) == workers
        assert sum(parts) == pytest.approx(1)
        assert parts[0] >= 1 / workers


def test_more_load_needs_more_until_the_shards_are_too_few() -> None:
    small, large, huge = (plan(times, COSTS, PAGES) for times in (1, 1_000, 20_000))
    assert (small.workers, small.shards) == (1, SHARDS)
    assert small.workers < large.workers < huge.workers
    assert large.shards == SHARDS < huge.shards
    for made in (small, large, huge):
        assert made.workers <= made.shards
        assert made.changes * made.busiest * COSTS.worker_us / 1e6 <= 0.6
    assert huge.clickhouse_gb == pytest.approx(20_000 * small.clickhouse_gb)


def test_a_plan_bears_an_hour_without_workers_and_a_tight_one_does_not() -> None:
    made = plan(100, COSTS, PAGES)
    told = day(made, COSTS, PAGES)
    assert told.caught_up_after is not None
    assert told.largest_backlog == pytest.approx(60 * 60 * made.changes, rel=0.05)
    too_slow = COSTS._replace(worker_us=1_000)  # slower than what comes on average
    assert day(made, too_slow, PAGES).caught_up_after is None


def test_the_machine_bounds_what_more_workers_bring() -> None:
    costs = Costs(50, 100, 50, 50, 1, 1)
    assert predicted(1, 1.0, costs, cores=64) == pytest.approx(10_000)
    assert predicted(4, 0.25, costs, cores=64) == pytest.approx(40_000)
    assert predicted(4, 0.5, costs, cores=64) == pytest.approx(20_000), "the busiest of them"
    assert predicted(4, 0.25, costs, cores=2) == pytest.approx(10_000)
