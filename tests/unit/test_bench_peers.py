"""The peers' benchmark: what a peer says of its progress, medians, ratios, and rows that must agree."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scripts.bench_peers import Run, Told, counts_before, disagreements, medians, ratios, round_of, runs_of, table
from scripts.peers.kafka import properties
from services.common.change import encode
from tests.events import change


def a_run(**changed: Any) -> Run:
    return Run(1000.0, 500.0, 1.0, 2.0, 3.0, 100.0, (1, 2), (3,))._replace(**changed)


def a_round(**runs: Run) -> dict[str, Any]:
    """As it comes out of a file."""
    made: dict[str, Any] = json.loads(json.dumps({"runs": {name: run._asdict() for name, run in runs.items()}}))
    return made


def test_offsets_are_changes_by_what_the_messages_held() -> None:
    messages = [(shard, encode([change()] * size)) for shard, size in ((0, 3), (8, 2), (1, 4))]
    given: Any = SimpleNamespace(messages=messages, made=SimpleNamespace(settings=SimpleNamespace(kafka_partitions=8)))
    counts = counts_before(given)
    assert (counts[0], counts[1], counts[2]) == ([0, 3, 5], [0, 4], [0])
    told = Told()
    told.begin_pass(["both"])
    told.listen("offsets", json.dumps(["both", {"0": 1, "1": 1}]), counts)
    assert told.taken == 7


def test_queries_that_share_the_job_count_by_their_mean() -> None:
    counts, told = {0: [0, 10, 20]}, Told()
    told.begin_pass(["fronts", "pairs"])
    told.listen("offsets", json.dumps(["fronts", {"0": 1}]), counts)
    assert told.taken == 5
    told.listen("offsets", json.dumps(["pairs", {"0": 2}]), counts)
    assert told.taken == 15


def test_a_second_pass_begins_from_nothing_whatever_the_first_still_says() -> None:
    counts, told = {0: [0, 10, 20]}, Told()
    assert not told.begin_pass(["warm"])
    told.listen("offsets", json.dumps(["warm", {"0": 1}]), counts)
    assert told.taken == 10
    assert told.begin_pass(["measured"])
    told.listen("offsets", json.dumps(["warm", {"0": 2}]), counts)
    assert told.taken == 0


def test_each_round_begins_with_another_system() -> None:
    names = ["a", "b", "c"]
    assert [round_of(names, number)[0] for number in range(4)] == ["a", "b", "c", "a"]
    assert sorted(round_of(names, 2)) == names


def test_of_figures_the_median_counts_and_of_memory_the_most() -> None:
    runs = [a_run(changes_per_cpu_s=rate, peak_mib=peak) for rate, peak in ((1.0, 50.0), (3.0, 90.0), (2.0, 70.0))]
    middle = medians({"worker": runs})["worker"]
    assert (middle.changes_per_cpu_s, middle.peak_mib) == (2.0, 90.0)


def test_the_table_has_a_row_a_system_and_the_ratios_are_to_each_of_a_family() -> None:
    found = runs_of([a_round(spark=a_run(), worker=a_run(changes_per_cpu_s=1500.0, peak_mib=25.0))])
    assert list(found) == ["worker", "spark"]
    rows = table(found).splitlines()
    assert len(rows) == 4
    assert {row.count("|") for row in rows} == {9}
    assert "| 1,500 (1,500 to 1,500) |" in rows[2]
    assert ratios(medians(found), "spark") == [
        "worker to spark: 3.00 times the changes per CPU second, 0.25 of the memory"
    ]


def test_a_system_with_other_rows_is_named() -> None:
    good, other = a_run(), a_run(pairs=(4,))
    assert disagreements([a_round(worker=good, spark=good)]) == []
    (found,) = disagreements([a_round(worker=good, spark=good), a_round(worker=good, bytewax=other)])
    assert found.startswith("round 2: bytewax")


def test_kafka_listens_on_this_machine_alone() -> None:
    told = dict(line.split("=", 1) for line in properties(1234, 5678, Path("/somewhere")).splitlines())
    addresses = [address for name, value in told.items() if name.endswith("listeners") for address in value.split(",")]
    assert addresses
    assert all("://127.0.0.1:" in address for address in addresses)
    assert told["log.dirs"] == "/somewhere/data"
