"""What the growth benchmark makes of what it saw: ages of changes, parts, rows that replace older ones, charts."""

import pytest

from scripts.bench_growth import RATES, delays, merged, on_pages, quantile, role_of
from scripts.growth_charts import charts, days_table, pages_table, rate_table
from tests.events import change


def test_a_change_is_as_old_as_the_first_look_that_shows_it() -> None:
    looks = [(1_000.0, {1: 5}), (2_000.0, {1: 5, 2: 1}), (4_000.0, {1: 7, 2: 1})]
    assert delays(looks, [(1, 5, 500)]) == [0.5]
    assert delays(looks, [(1, 6, 1_500), (1, 7, 3_900)]) == [2.5, pytest.approx(0.1)]
    assert delays(looks, [(2, 1, 1_000)]) == [1.0]


def test_a_change_that_no_look_shows_is_left_out() -> None:
    assert delays([(1_000.0, {1: 5})], [(1, 6, 900), (9, 1, 900)]) == []


def test_quantiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([3.0], 0.99)) == (51.0, 100.0, 3.0)


@pytest.mark.parametrize(
    ("command", "part"),
    [
        (["python", "-m", "services", "work", "--name", "worker-1"], "worker"),
        (["python", "-m", "services", "serve-clickhouse"], "ClickHouse"),
        (["python", "-m", "streamlit", "run", "app.py"], "dashboard"),
        (["python", "-m", "services"], "other"),
        ([], "other"),
    ],
)
def test_parts_are_known_by_their_command(command: list[str], part: str) -> None:
    assert role_of(command) == part


def test_a_new_measurement_replaces_the_row_of_its_key_alone() -> None:
    before = {"rate": [{"rate": 33, "x": 1}, {"rate": 330, "x": 1}]}
    assert merged(before, "rate", [{"rate": 330, "x": 2}, {"rate": 100, "x": 2}], "rate") == [
        {"rate": 33, "x": 1},
        {"rate": 100, "x": 2},
        {"rate": 330, "x": 2},
    ]


def test_changes_are_spread_over_as_many_pages_as_asked_and_stay_the_same_otherwise() -> None:
    made = [change(number, title="Same") for number in range(500)]
    spread = list(on_pages(iter(made), 10))
    assert {one.title for one in spread} == {f"Page {number}" for number in range(10)}
    assert [one.source_offset for one in spread] == list(range(500))
    assert spread == list(on_pages(iter(made), 10))


def test_only_what_was_measured_is_drawn() -> None:
    assert list(charts({})) == []
    rate = [
        {"rate": rate, "cpu_percent": {"worker": 1.0, "broker": 2.0}, "freshness": {"median_s": 0.5, "p99_s": 1.0}}
        for rate in RATES
    ]
    drawn = dict(charts({"rate": rate}))
    assert set(drawn) == {"rate-cpu", "rate-freshness"}
    (values,) = drawn["rate-cpu"].to_dict()["datasets"].values()
    assert {(row["part"], row["% of one core"]) for row in values} == {("worker", 1.0), ("broker", 2.0)}


def test_tables_have_a_row_a_measurement() -> None:
    rate = {
        "rate": 330.0,
        "stored_per_s": 171.2,
        "cpu_percent": {"worker": 1.0, "simulator": 2.0},
        "stack_percent": 1.0,
        "freshness": {"median_s": 0.5, "p99_s": 1.0},
    }
    assert rate_table([rate]).splitlines()[2] == "| 330 | 171 | 1.0 | 2.0 | 1.0 | 0.5 s | 1.0 s |"
    pages = dict.fromkeys(("changes_per_s", "worker_us", "clickhouse_us", "worker_mib", "state_mib"), 7)
    (row,) = pages_table([pages | {"pages": 1000, "changes": 2000}]).splitlines()[2:]
    assert row.startswith("| 1,000 | 2,000 | 7 |")
    day = dict.fromkeys(("disk_mib", "at_rest_mib", "peak_mib"), 5) | {"days": 30, "edits": 3000}
    ranges = {"15 min": {"median_ms": 1.5, "slowest_ms": 20, "slowest": "battles"}}
    (row,) = days_table([day | {"ranges": ranges}]).splitlines()[2:]
    assert row == "| 30 | 3,000 | 5 | 5, 5 | 1.5 ms, 20 ms (battles) |"
