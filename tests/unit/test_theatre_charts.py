"""The charts of theatres, as what they hand to the browser."""

from typing import Any

import altair as alt
import pandas as pd
import pytest

from dashboards.charts.battle import COLOURS
from dashboards.charts.front import front_chart
from dashboards.charts.theatres import (
    GROUNDS,
    duel_chart,
    duel_rows,
    heat_chart,
    heat_rows,
    language_rows,
    sides_of,
    territory_chart,
    territory_rows,
)
from dashboards.charts.times import TICKS
from dashboards.namespaces import NAMESPACES, ground

START = pd.Timestamp("2024-12-07 12:00", tz="UTC")
STEP = 120


def theatres() -> pd.DataFrame:
    """Rows of query `theatres`: dewiki was quiet in the second of three steps."""
    rows = [("dewiki", 0, 2, 0), ("dewiki", 2, 2, 1), ("enwiki", 0, 20, 0), ("enwiki", 1, 30, 0), ("enwiki", 2, 10, 2)]
    return pd.DataFrame(
        [
            {
                "wiki": wiki,
                "time": START + pd.Timedelta(seconds=STEP * step),
                "person": edits - 1,
                "temporary": 0,
                "bot": 1,
                "edits": edits,
                "reverts": reverts,
            }
            for wiki, step, edits, reverts in rows
        ]
    )


def languages() -> pd.DataFrame:
    """Rows of query `languages`."""
    found = theatres().rename(columns={"wiki": "language"})
    return found.assign(language=found["language"].str[:2], bytes_added=100, bytes_removed=30)


TERRITORY = pd.DataFrame(
    [("enwiki", 0, 900, 100), ("enwiki", 1, 50, 0), ("enwiki", 3, 5, 0), ("dewiki", 10, 10, 70), ("dewiki", 2, 1, 0)],
    columns=["wiki", "namespace", "bytes_added", "bytes_removed"],
)


def specification(chart: alt.Chart | alt.LayerChart) -> dict[str, Any]:
    """As dashboards.board.show hands it over, but validated against Vega-Lite's schema."""
    spec: dict[str, Any] = chart.properties(data=alt.NamedData("rows")).to_dict()
    return spec


HEAT = heat_rows(theatres(), STEP)
DUEL = duel_rows(languages(), "en", "de", STEP, "edits")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (heat_chart(HEAT, "edits"), heat_chart(HEAT.head(2), "edits")),
        (duel_chart(DUEL, "edits"), duel_chart(DUEL.assign(language="Welsh"), "edits")),
        (territory_chart(territory_rows(TERRITORY)), territory_chart(territory_rows(TERRITORY.head(1)))),
    ],
    ids=["heat", "duel", "territory"],
)
def test_new_rows_leave_the_specification_as_it_is(first: alt.Chart, second: alt.Chart) -> None:
    assert specification(first) == specification(second)


def test_the_heat_map_has_a_cell_for_every_wiki_and_step_with_the_busiest_on_top() -> None:
    cells = HEAT.set_index(["wiki", "time"])

    assert len(cells) == 6
    assert cells.loc[("enwiki", START), "rank"] == 0
    assert cells.loc[("enwiki", START), "edits"] == 10  # a minute
    assert cells.loc[("dewiki", START + pd.Timedelta(seconds=STEP)), "edits"] == 0
    assert cells.loc[("dewiki", START + pd.Timedelta(seconds=2 * STEP)), "reverts"] == 30  # an hour
    assert set(HEAT["until"] - HEAT["time"]) == {pd.Timedelta(seconds=STEP)}


@pytest.mark.parametrize(("measure", "unit"), [("edits", "edits per minute"), ("reverts", "reverts per hour")])
def test_the_scale_of_the_heat_map_names_its_unit_and_leaves_the_colours_to_the_theme(measure: str, unit: str) -> None:
    colour = specification(heat_chart(HEAT, measure))["encoding"]["color"]

    assert (colour["field"], colour["legend"]["title"]) == (measure, unit)
    assert colour["scale"] == {"type": "sqrt", "domainMin": 0}


def test_one_language_pushes_up_the_other_down_in_colours_of_their_own() -> None:
    tops = DUEL.groupby("language")["top"].agg(list).to_dict()

    assert tops == {"en": [10, 15, 5], "de": [-1, 0, -1]}
    assert set(DUEL["rate"]) == {10, 15, 5, 1, 0}
    assert specification(duel_chart(DUEL, "edits"))["layer"][0]["encoding"]["color"]["scale"] == {"range": COLOURS[:2]}


def test_languages_are_ranked_with_shares() -> None:
    rows = language_rows(languages()).set_index("language")

    assert list(rows.index) == ["en", "de"]
    assert rows.loc["en", ["edits", "people", "net"]].tolist() == [60, 95, 210]
    assert rows.loc["de", "reverted"] == 25  # reverts per 100 edits


def test_territory_is_summed_by_ground_and_losses_go_left() -> None:
    rows = territory_rows(TERRITORY).set_index(["wiki", "ground", "what"])

    assert rows.loc[("enwiki", "Talk", "Gained"), "length"] == 55
    assert rows.loc[("dewiki", "Workshop", "Lost"), "length"] == -70
    assert rows.loc[("dewiki", "Workshop", "Lost"), "bytes"] == 70
    assert rows.loc[("enwiki", "Content", "Gained"), "rank"] == 0
    assert {ground(number) for number in NAMESPACES} == set(GROUNDS)


def test_a_small_front_has_no_words_and_knows_quiet_steps() -> None:
    front = sides_of(theatres(), "dewiki", STEP)
    spec = specification(front_chart(front, STEP, small=True))

    assert front[front["actor"] == "person"]["edits"].tolist() == [1, 0, 1]
    areas = spec["layer"][0]["encoding"]
    assert (areas["color"]["legend"], areas["y"]["axis"]["title"], areas["x"]["axis"]["title"]) == (None, None, None)


def test_neighbouring_ticks_differ_whatever_the_span() -> None:
    # a tick is written by the coarsest unit that begins there: seconds within a minute, minutes, days
    axis = specification(heat_chart(HEAT, "edits"))["encoding"]["x"]["axis"]

    assert axis["format"] == TICKS
    assert len({TICKS["seconds"], TICKS["minutes"], TICKS["date"]}) == 3
