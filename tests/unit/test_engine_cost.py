"""What the engine costs: how sizes and speeds are summed up, and that what is left out of the worker is the engine."""

from scripts.bench import Taken
from scripts.engine_cost import kept_speed, page_sizes, sizes_of
from scripts.without_engine import without_engine
from services.worker.engage import engage
from services.worker.memory import ShardMemory
from tests.events import change
from tests.unit.test_worker_engage import GRACE, ROLLBACK, Memory

WAR = [
    change(n, user=user, comment=ROLLBACK.format(other) if other else "copy edit")
    for n, (user, other) in enumerate([("Ann", ""), ("Bob", "Ann"), ("Ann", "Bob"), ("Bob", "Ann")])
]


def test_sizes_are_told_by_quantiles() -> None:
    assert sizes_of(range(1, 101)) == (100, 51, 91, 100, 100)
    assert sizes_of([7]) == (1, 7, 7, 7, 7)
    assert sizes_of([]) == (0, 0, 0, 0, 0)


def test_pages_are_weighed_by_what_happened_on_them() -> None:
    sizes = page_sizes([*WAR, change(9, title="Quiet")])

    assert {kind: one.pages for kind, one in sizes.items()} == {
        "all": 2,
        "edited twice or more": 1,
        "edited ten times or more": 0,
        "with reverts": 1,
        "with a battle": 1,
    }
    assert sizes["with a battle"] == sizes["with reverts"] == sizes["edited twice or more"]


def test_the_speed_that_is_kept_is_of_medians() -> None:
    with_it = [Taken(1_000_000, seconds, cpu) for seconds, cpu in ((40.0, 30), (50.0, 40), (999.0, 50))]
    without = [Taken(1_000_000, seconds, cpu) for seconds, cpu in ((1.0, 10), (25.0, 20), (40.0, 25))]

    assert kept_speed(with_it, without) == {
        "with_us": 40,
        "without_us": 20,
        "with_rate": 20_000,
        "without_rate": 40_000,
        "speed_kept": 0.5,
    }


def test_without_the_engine_changes_and_windows_are_the_same_and_nothing_else_is_there() -> None:
    whole, bare = ShardMemory(Memory(), "live", GRACE), ShardMemory(kept := Memory(), "live", GRACE)

    rows = engage(WAR, 3, "live", whole)
    with without_engine():
        without = engage(WAR, 3, "live", bare)
        bare.write_back()

    assert (len(rows.reverts), len(rows.battles)) == (3, 1)
    assert (without.reverts, without.battles, without.alerts) == ([], {}, [])
    assert len(without.edits) == len(rows.edits) == 4
    assert {key[:4] for key in without.fronts} <= {key[:4] for key in rows.fronts}
    assert not [name for name in kept if name.startswith(b"p")]
