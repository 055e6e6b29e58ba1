"""The tug of war and the graph of a battle, as what they hand to the browser."""

from typing import Any

import altair as alt
import pandas as pd

from dashboards.charts.battle import CAMPS, MOST_NAMES, graph_chart, graph_rows, log_words, tug_chart, tug_rows

START = pd.Timestamp("2024-12-07 12:00", tz="UTC")
END = START + pd.Timedelta(seconds=600)

# rev_id, minute, editor, side, size before and after, whom it reverted, which revision
EDITS = [
    (1, -50, "Zoe", "", 90, 100, "", 0),
    (2, -10, "Bob", "second", 100, 400, "", 0),
    (3, 1, "Ann", "first", 400, 100, "Bob", 2),
    (4, 3, "Bob", "second", 100, 400, "Ann", 3),
    (5, 5, "Ann", "first", 400, 100, "Bob", 4),
]


def edits(*rows: tuple[Any, ...]) -> pd.DataFrame:
    """Rows of query `battle_edits`, the newest first."""
    columns = ["rev_id", "minute", "user", "side", "length_old", "length_new", "reverted", "reverted_rev_id"]
    frame = pd.DataFrame(rows or EDITS, columns=columns).iloc[::-1].reset_index(drop=True)
    times = START + pd.to_timedelta(frame.pop("minute"), unit="min")
    return frame.assign(timestamp=times, comment="")


def log(*rows: tuple[int, str, str, str]) -> pd.DataFrame:
    """Rows of query `battle_log`: minute, type, action, fighter."""
    frame = pd.DataFrame(rows, columns=["minute", "log_type", "log_action", "fighter"])
    times = START + pd.to_timedelta(frame.pop("minute").astype("float"), unit="min")
    return frame.assign(timestamp=pd.to_datetime(times, utc=True))


def fighters(*rows: tuple[str, str]) -> pd.DataFrame:
    """Rows of query `battle_fighters`."""
    found = pd.DataFrame(rows or [("Bob", "second"), ("Ann", "first")], columns=["name", "side"])
    return found.assign(reverts=2, reverted=1)


def graph(found: pd.DataFrame, who: pd.DataFrame) -> pd.DataFrame:
    """What the graph draws; each fighter's link is the name."""
    return graph_rows(found, who, list(who["name"]))


def rows(found: pd.DataFrame | None = None, entries: pd.DataFrame | None = None) -> pd.DataFrame:
    """What the tug of war draws."""
    found = edits() if found is None else found
    addresses = [f"https://en.wikipedia.org/wiki/Special:Diff/{rev_id}" for rev_id in found["rev_id"]]
    return tug_rows(found, log() if entries is None else entries, addresses, START, END)


def part(drawn: pd.DataFrame, name: str) -> pd.DataFrame:
    """One part of the tug of war."""
    return drawn[drawn["part"] == name].reset_index(drop=True)


def specification(chart: alt.LayerChart) -> dict[str, Any]:
    """As dashboards.board.show hands it over, but validated against Vega-Lite's schema."""
    spec: dict[str, Any] = chart.properties(data=alt.NamedData("rows")).to_dict()
    return spec


def test_each_edit_holds_its_size_until_the_next_in_the_colour_of_its_side() -> None:
    steps = part(rows(), "edit")

    assert list(steps["camp"]) == ["Second side", "First side", "Second side", "First side"]
    assert list(steps["before"]) == [100, 400, 100, 400]
    assert list(steps["size"]) == [400, 100, 400, 100]
    assert list(steps["until"])[:-1] == list(steps["time"])[1:]
    assert steps["until"].iloc[-1] == END


def test_of_what_was_before_only_the_edit_that_made_the_page_is_drawn_at_the_edge() -> None:
    steps = part(rows(), "edit")

    assert list(steps["arc"]) == [2, 3, 4, 5]
    assert steps["time"][0] == START
    assert steps["when"][0] == "2024-12-07 11:50:00"  # the tooltip tells the truth


def test_an_arc_leads_from_the_edit_undone_to_its_revert() -> None:
    arcs = part(rows(), "arc")

    assert sorted(arcs["arc"].unique()) == [3, 4, 5]
    first = arcs[arcs["arc"] == 3]
    assert list(first["time"]) == [START, START + pd.Timedelta(seconds=30), START + pd.Timedelta(seconds=60)]
    assert list(first["size"]) == [400, 445, 100]  # 0.15 of the span above the higher one
    assert set(first["camp"]) == {"First side"}


def test_a_revert_whose_target_is_not_drawn_has_no_arc() -> None:
    assert part(rows(edits((9, 1, "Ann", "first", 400, 100, "Bob", 77))), "arc").empty


def test_new_pages_count_from_nothing_and_edits_without_a_size_are_left_out() -> None:
    found = edits((1, 1, "Ann", "first", None, 50, "", 0), (2, 2, "Bob", "second", 50, None, "", 0))

    steps = part(rows(found), "edit")

    assert list(steps["before"]) == [0]
    assert list(steps["grown"]) == [50]


def test_log_entries_stand_where_they_happened_and_say_what_they_did() -> None:
    entries = log(
        (6, "protect", "protect", ""), (7, "block", "block", "Bob"), (8, "move", "move_redir", ""), (99, *"xyz")
    )

    drawn = part(rows(entries=entries), "log")

    assert list(drawn["what"]) == ["protect", "block of Bob", "move: move_redir"]
    assert drawn["time"][0] == START + pd.Timedelta(minutes=6)
    assert len(log_words(log((1, "block", "block", "A" * 255)))[0]) < 40


def test_new_rows_leave_the_specification_as_it_is() -> None:
    # else the browser would draw the chart anew at each refresh
    more = edits(*EDITS, (6, 6, "Bob", "second", 100, 400, "Ann", 5))

    assert specification(tug_chart(rows())) == specification(tug_chart(rows(more)))
    assert specification(graph_chart(graph(edits(), fighters()))) == specification(
        graph_chart(graph(more, fighters(("Ann", "first"), ("Bob", "second"))))
    )


def test_sides_keep_colour_and_shape_and_marks_link_to_diffs() -> None:
    spec = specification(tug_chart(rows()))
    marks = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "point")

    assert marks["encoding"]["color"]["scale"]["domain"] == list(CAMPS.values())
    assert marks["encoding"]["shape"]["scale"]["domain"] == list(CAMPS.values())
    assert marks["encoding"]["href"]["field"] == "link"
    assert part(rows(), "edit")["link"].iloc[-1] == "https://en.wikipedia.org/wiki/Special:Diff/5"
    assert spec["usermeta"]["embedOptions"]["loader"]["target"] == "_blank"
    assert "utc" in str(marks["encoding"]["x"]["scale"])


def test_the_graph_counts_who_reverted_whom_and_puts_the_sides_against_each_other() -> None:
    drawn = graph(edits(), fighters())

    counts = part(drawn, "count").set_index(["by", "whom"])
    assert counts["reverts"].to_dict() == {("Ann", "Bob"): 2, ("Bob", "Ann"): 1}
    assert counts.loc[("Ann", "Bob"), "camp"] == "First side"
    who = part(drawn, "fighter").set_index("name")
    assert who[["x", "y"]].to_dict("index") == {"Bob": {"x": 1, "y": 0}, "Ann": {"x": 0, "y": 0}}


def test_a_curve_leads_from_who_reverted_to_whom_and_the_two_of_a_pair_lie_apart() -> None:
    drawn = graph(edits(), fighters())

    curves = part(drawn, "curve")
    there, back = (curves[curves["by"] == name].sort_values("order") for name in ("Ann", "Bob"))
    assert list(there["x"])[:: len(there) - 1] == [0, 1]
    assert list(back["x"])[:: len(back) - 1] == [1, 0]
    assert there["y"].min() < 0 < back["y"].max()
    assert there["y"].max() == back["y"].min() == 0
    assert part(drawn, "head").set_index("by")["head"].to_dict() == {"Ann": "triangle-right", "Bob": "triangle-left"}


def test_reverts_within_a_side_bow_into_the_middle_and_point_up_or_down() -> None:
    found = edits((1, 1, "Ann", "first", 1, 2, "Cat", 0), (2, 2, "Cat", "first", 1, 2, "Ann", 0))

    drawn = graph(found, fighters(("Ann", "first"), ("Cat", "first"), ("Bob", "second"), ("Zoe", "")))

    assert part(drawn, "head").set_index("by")["head"].to_dict() == {"Ann": "triangle-down", "Cat": "triangle-up"}
    assert part(drawn, "curve")["x"].between(0, 0.5).all()
    places = part(drawn, "fighter").set_index("name")
    assert places["x"].to_dict() == {"Ann": 0, "Cat": 0, "Bob": 1, "Zoe": 0.5}
    assert places.loc["Bob", "y"] == 0.5  # the shorter side stands in the middle of the longer one


def test_the_graph_keeps_to_the_busiest_and_to_the_width() -> None:
    many = [("A" * 255, "first"), *((f"Editor {n}", "first") for n in range(40))]
    found = edits(*((n, 1, f"Editor {n}", "first", 1, 2, "A" * 255, 0) for n in range(40)))

    drawn = graph(found, fighters(*many))

    assert len(part(drawn, "fighter")) == MOST_NAMES
    assert len(part(drawn, "count")) == MOST_NAMES - 1
    assert (
        specification(graph_chart(drawn))["height"] > specification(graph_chart(graph(edits(), fighters())))["height"]
    )


def test_fighters_link_to_their_contributions_in_a_page_of_its_own() -> None:
    spec = specification(graph_chart(graph(edits(), fighters())))

    assert [layer["encoding"].get("href", {}).get("field") for layer in spec["layer"]].count(
        "link"
    ) == 4  # marks, names
    assert spec["usermeta"]["embedOptions"]["loader"]["target"] == "_blank"
    assert part(graph(edits(), fighters()), "fighter")["link"].tolist() == ["Bob", "Ann"]


def test_no_edits_give_no_rows() -> None:
    nothing = edits().iloc[:0]

    assert rows(nothing).empty
    assert graph(nothing, fighters()).empty
