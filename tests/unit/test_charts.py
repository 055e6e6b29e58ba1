"""Charts as what they hand to the browser: rows, and a Vega-Lite specification that does not change with them."""

import tomllib
from typing import Any

import altair as alt
import pandas as pd
import pytest

from dashboards.charts.front import complete_steps, front_chart, front_rows, reverts_chart, reverts_rows
from dashboards.charts.rate import rate_chart, rate_rows
from dashboards.charts.sides import SIDES
from dashboards.charts.wikis import wiki_rows, wikis_chart
from services.common.settings import PROJECT_ROOT

START = pd.Timestamp("2024-12-07 12:00", tz="UTC")


def front(steps: int = 3, step: int = 10) -> pd.DataFrame:
    """Rows of query `front`: each actor class makes 1, 2, 3, ... edits per step."""
    times = [START + pd.Timedelta(seconds=step * n) for n in range(steps)]
    rows = [{"time": t, "actor": a, "edits": n + 1, "reverts": n} for a in sorted(SIDES) for n, t in enumerate(times)]
    return pd.DataFrame(rows)


def wikis() -> pd.DataFrame:
    """Rows of query `wikis`."""
    return pd.DataFrame(
        [
            {"wiki": "enwiki", "edits": 60, "person": 30, "temporary": 10, "bot": 20, "reverts": 4},
            {"wiki": "dewiki", "edits": 5, "person": 5, "temporary": 0, "bot": 0, "reverts": 0},
        ]
    )


def specification(chart: alt.Chart | alt.LayerChart) -> dict[str, Any]:
    """As dashboards.board.show hands it over, but validated against Vega-Lite's schema."""
    spec: dict[str, Any] = chart.properties(data=alt.NamedData("rows")).to_dict()
    return spec


CHARTS = {
    "front": (front_chart(front(), 10), front_chart(front(9).assign(edits=7), 10)),
    "reverts": (reverts_chart(front(), 10), reverts_chart(front(9).assign(reverts=7), 10)),
    "rate": (rate_chart(front(), 10), rate_chart(front(9).assign(edits=7), 10)),
    "wikis": (wikis_chart(wikis()), wikis_chart(wikis().iloc[::-1].assign(bot=9))),
}


@pytest.mark.parametrize("name", CHARTS)
def test_new_rows_leave_the_specification_as_it_is(name: str) -> None:
    # else the browser would draw the chart anew at each refresh
    first, second = CHARTS[name]

    assert specification(first) == specification(second)


@pytest.mark.parametrize("name", ["front", "reverts", "rate"])
def test_times_are_utc_on_the_axis_and_in_the_tooltip(name: str) -> None:
    spec = specification(CHARTS[name][0])
    views = spec.get("layer", [spec])

    axes = [view["encoding"]["x"] for view in views if "x" in view["encoding"]]
    assert axes
    assert all(x["scale"]["type"] == "utc" for x in axes)
    assert {x["axis"]["title"] for x in axes} == {None if name == "front" else "time (UTC)"}  # the reverts' is below it
    assert "utcFormat(datum.time" in str(spec)


@pytest.mark.parametrize("name", ["front", "wikis"])
def test_each_side_keeps_its_colour(name: str) -> None:
    spec = specification(CHARTS[name][0])
    colour = next(v["encoding"]["color"] for v in spec.get("layer", [spec]) if "color" in v["encoding"])

    assert colour["scale"] == {"domain": ["People", "Temporary accounts", "Bots"]}  # the range is the theme's


def test_the_themes_give_the_sides_colours_that_the_colour_blind_tell_apart() -> None:
    theme = tomllib.loads((PROJECT_ROOT / "dashboards" / ".streamlit" / "config.toml").read_text())["theme"]
    okabe_ito = {"#0072B2", "#56B4E9", "#CC79A7", "#E69F00"}

    for mode in (theme["light"], theme["dark"]):
        assert mode["chartCategoricalColors"] == [mode["blueColor"], mode["violetColor"], mode["orangeColor"]]
        assert set(mode["chartCategoricalColors"]) <= okabe_ito


def test_people_push_up_and_bots_push_down_in_edits_per_minute() -> None:
    rows = front_rows(front(step=10), step=10).set_index(["side", "time"])

    spans = {side: tuple(rows.loc[(side, START), ["bottom", "top"]]) for side in SIDES.values()}
    assert spans == {"People": (0, 6), "Temporary accounts": (6, 12), "Bots": (0, -6)}  # one edit in ten seconds
    assert set(rows.loc[pd.IndexSlice[:, START], "rate"]) == {6.0}


def test_reverts_of_all_sides_are_told_per_minute() -> None:
    rows = reverts_rows(front(step=30), step=30)

    assert list(rows["reverts"]) == [0, 3, 6]
    assert list(rows["rate"]) == [0, 6, 12]
    rate = specification(CHARTS["reverts"][0])["layer"][0]["encoding"]["y"]
    assert rate["scale"]["zero"]
    assert rate["axis"]["title"] == "per minute"


def test_the_times_of_reverts_stand_below_those_of_the_front() -> None:
    axes = [CHARTS[name][0].to_dict()["layer"][0]["encoding"] for name in ("front", "reverts")]

    assert axes[0]["y"]["axis"]["minExtent"] == axes[1]["y"]["axis"]["minExtent"]


def test_a_side_without_edits_lies_on_the_line() -> None:
    people = front()[front()["actor"] == "person"]

    rows = front_rows(people, step=10).set_index(["side", "time"])

    assert set(rows.loc["Bots", "top"]) == {0.0}
    assert list(rows.loc["Temporary accounts", "top"]) == list(rows.loc["People", "top"]) == [6.0, 12.0, 18.0]


def test_the_front_shows_no_negative_numbers() -> None:
    areas = specification(CHARTS["front"][0])["layer"][0]

    assert "abs(" in areas["encoding"]["y"]["axis"]["labelExpr"]
    assert areas["encoding"]["y"]["axis"]["title"] == "edits per minute"
    assert (areas["encoding"]["y"]["field"], areas["encoding"]["y2"]["field"]) == ("top", "bottom")
    assert areas["encoding"]["y"]["stack"] is None  # the rows are stacked already


def test_the_hair_line_tells_every_side_of_its_moment() -> None:
    hair = specification(CHARTS["front"][0])["layer"][2]

    assert [tip["field"] for tip in hair["encoding"]["tooltip"]] == ["when", "People", "Temporary accounts", "Bots"]


def test_only_steps_that_are_known_whole_are_drawn() -> None:
    rows = front(6, step=10)  # 12:00:00 to 12:00:50
    oldest = START + pd.Timedelta(seconds=5)  # in the first step: half of it is not known
    newest = START + pd.Timedelta(seconds=55)  # in the last step, and the one before has just settled

    drawn = complete_steps(rows, 10, oldest, newest)

    assert sorted(set(drawn["time"].dt.second)) == [10, 20, 30, 40]


def test_no_rows_give_no_steps() -> None:
    empty = front().iloc[:0]

    assert complete_steps(empty, 10, START, START).empty


def test_wikis_are_ranked_and_bots_go_left() -> None:
    rows = wiki_rows(wikis()).set_index(["wiki", "side"])

    assert rows.loc[("enwiki", "Bots"), "length"] == -20
    assert rows.loc[("enwiki", "Bots"), "edits"] == 20
    assert rows.loc[("enwiki", "Temporary accounts"), "length"] == 10
    assert rows.loc[("enwiki", "People"), "rank"] == 0
    assert rows.loc[("dewiki", "People"), "rank"] == 1
    assert specification(CHARTS["wikis"][0])["encoding"]["y"]["sort"] == {"field": "rank"}


def test_the_rate_is_the_sum_of_all_sides_per_second() -> None:
    assert list(rate_rows(front(step=10), 10)["rate"]) == pytest.approx([0.3, 0.6, 0.9])
