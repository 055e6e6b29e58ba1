"""The charts of patrol, as what they hand to the browser."""

from typing import Any

import altair as alt
import pandas as pd
import pytest

from dashboards.charts.patrol import SPANS, share_chart, share_rows, speed_by_wiki_chart, speed_chart, speed_rows
from dashboards.charts.sides import SIDES
from services.common.queries import load

SPEEDS = pd.DataFrame(
    [("bot", 10, 6), ("bot", 30, 2), ("person", 60, 5), ("temporary", 4_294_967_295, 1)],
    columns=["actor", "up_to", "reverts"],
)
BY_WIKI = pd.DataFrame(
    [("enwiki", 9, 0, 30, 90, 45, 600, 2), ("dewiki", 2, 5, 5, 5, None, None, 5)],
    columns=["wiki", "reverts", "quarter", "median", "three_quarters", "by_person", "by_temporary", "by_bot"],
)
SHARES = pd.DataFrame(
    [("enwiki", 100, 10, 400, 4), ("dewiki", 4, 4, 50, 1)],
    columns=["wiki", "temporary_edits", "temporary_reverted", "person_edits", "person_reverted"],
)


def specification(chart: alt.Chart | alt.LayerChart) -> dict[str, Any]:
    """As dashboards.board.show hands it over, but validated against Vega-Lite's schema."""
    spec: dict[str, Any] = chart.properties(data=alt.NamedData("rows")).to_dict()
    return spec


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (speed_chart(SPEEDS), speed_chart(SPEEDS.head(1))),
        (speed_by_wiki_chart(BY_WIKI), speed_by_wiki_chart(BY_WIKI.head(1))),
        (share_chart(SHARES), share_chart(SHARES.head(1))),
    ],
    ids=["speed", "speed by wiki", "share"],
)
def test_new_rows_leave_the_specification_as_it_is(first: alt.Chart, second: alt.Chart) -> None:
    assert specification(first) == specification(second)


def test_the_query_and_the_chart_know_the_same_spans() -> None:
    assert str(list(SPANS)) in load("time_to_revert").sql


def test_shares_are_of_the_sides_own_reverts_and_spans_keep_their_order() -> None:
    rows = speed_rows(SPEEDS)

    assert list(rows["share"]) == [0.75, 0.25, 1.0, 1.0]
    assert list(rows["span"]) == ["10 s", "30 s", "1 min", "longer"]
    x = specification(speed_chart(SPEEDS))["encoding"]["x"]
    assert x["scale"]["domain"] == list(SPANS.values())


@pytest.mark.parametrize("chart", [speed_chart(SPEEDS), share_chart(SHARES)], ids=["speed", "share"])
def test_each_side_keeps_its_colour(chart: alt.Chart) -> None:
    assert specification(chart)["encoding"]["color"]["scale"] == {"domain": list(SIDES.values())}


def test_an_edit_reverted_in_its_own_second_has_a_place_on_the_logarithm() -> None:
    chart = speed_by_wiki_chart(BY_WIKI)

    assert chart.data["quarter"].min() == 1
    bars = specification(chart)["layer"][0]["encoding"]
    assert bars["x"]["scale"]["type"] == "log"
    assert "'10 min'" in bars["x"]["axis"]["labelExpr"]


def test_the_medians_of_each_class_stand_in_words() -> None:
    rows = speed_by_wiki_chart(BY_WIKI).data

    assert rows[["by_person", "by_temporary", "by_bot"]].to_numpy().tolist() == [
        ["45 s", "10 min", "2 s"],
        ["–", "–", "5 s"],
    ]


def test_shares_of_a_handful_of_edits_are_not_shown() -> None:
    rows = share_rows(SHARES).set_index(["wiki", "side"])["share"].to_dict()

    assert rows == {
        ("enwiki", "People"): 0.01,
        ("enwiki", "Temporary accounts"): 0.1,
        ("dewiki", "People"): 0.02,  # of dewiki's temporary accounts there are four edits
    }
