"""The front: people and temporary accounts above the line, bots below it."""

import altair as alt
import pandas as pd

from dashboards.charts.sides import SIDES, side_colour
from dashboards.charts.times import UTC_TIME, time_axis

# The newest changes of a step arrive a few seconds after it ended; without this wait the line dips at its end
SETTLE_SECONDS = 5
HEIGHT, SMALL_HEIGHT, REVERTS_HEIGHT = 260, 120, 140  # pixels
LABELS_WIDTH = 36  # pixels left of the front and of the reverts below it: their times stand one above the other
REVERT_COLOUR = "#D55E00"  # as the themes' red, on both backgrounds


def complete_steps(
    front: pd.DataFrame, step: int, oldest_event: pd.Timestamp, newest_event: pd.Timestamp
) -> pd.DataFrame:
    """Rows of query `front` for steps that are known whole.

    A step that is open, or outside of all that is stored, holds few edits or none; it would look like a calm.
    """
    ended = newest_event - pd.Timedelta(seconds=step + SETTLE_SECONDS)
    return front[(front["time"] >= oldest_event) & (front["time"] <= ended)]


def front_rows(front: pd.DataFrame, step: int) -> pd.DataFrame:
    """Rows of query `front` as `time, side, rate, bottom, top`, all in edits per minute; bots lie below 0.

    Stacked here and not by Vega-Lite, which puts a bot's 0 on top of the people: the area would leap over the line.
    """
    rates = (
        front.pivot(index="time", columns="actor", values="edits").reindex(columns=list(SIDES)).fillna(0) * 60 / step
    )
    nothing = rates["person"] * 0
    spans = {
        "person": (nothing, rates["person"]),
        "temporary": (rates["person"], rates["person"] + rates["temporary"]),
        "bot": (nothing, -rates["bot"]),
    }
    sides = [
        pd.DataFrame({"side": SIDES[actor], "rate": rates[actor], "bottom": bottom, "top": top})
        for actor, (bottom, top) in spans.items()
    ]
    return pd.concat(sides).reset_index()


def front_chart(front: pd.DataFrame, step: int, small: bool = False) -> alt.LayerChart:
    """`front`: complete rows of query `front`, `step` seconds apart; `small`: one of several, without words.

    What its times are is said by the axis of the reverts below it.
    """
    time = time_axis(4 if small else 8, title=None)
    ticks = {"labelExpr": "format(abs(datum.value), '~s')", "tickCount": 3 if small else 6, "labelFlush": False}
    ticks |= {"labelOverlap": False} if small else {"minExtent": LABELS_WIDTH}
    areas = (
        alt.Chart()
        .mark_area(interpolate="monotone", opacity=0.85, line=False)
        .encode(
            x=time,
            y=alt.Y("top:Q", stack=None, axis=alt.Axis(title=None if small else "edits per minute", **ticks)),
            y2="bottom:Q",
            color=side_colour(legend=not small),
        )
    )
    line = alt.Chart().mark_rule(color="#888").encode(y=alt.datum(0))
    rates = alt.Chart().transform_pivot("side", value="rate", groupby=["time"])
    tooltips = [alt.Tooltip(f"{side}:Q", title=f"{side}, edits/min", format=",.0f") for side in SIDES.values()]
    hair = _hair(rates, time, [alt.Tooltip("when:N", title="UTC"), *tooltips])
    height = SMALL_HEIGHT if small else HEIGHT
    return alt.LayerChart(layer=[areas, line, hair], data=front_rows(front, step)).properties(height=height)


def _hair(rows: alt.Chart, time: alt.X, tooltips: list[alt.Tooltip]) -> alt.Chart:
    """A hair line at the moment that is pointed at, which carries its tooltips: an area has one for all its points."""
    hover = alt.selection_point(name="moment", fields=["time"], nearest=True, on="pointerover", empty=False)
    return (
        rows.transform_calculate(when=UTC_TIME)
        .mark_rule(color="#888")
        .encode(x=time, opacity=alt.condition(hover, alt.value(0.7), alt.value(0)), tooltip=tooltips)
        .add_params(hover)
    )


def reverts_rows(front: pd.DataFrame, step: int) -> pd.DataFrame:
    """Rows of query `front` as `time, reverts, rate`: reverts by all sides, and how many that is a minute."""
    total = front.groupby("time", as_index=False)["reverts"].sum()
    return total.assign(rate=total["reverts"] * 60 / step)


def reverts_chart(front: pd.DataFrame, step: int) -> alt.LayerChart:
    """`front`: complete rows of query `front`, `step` seconds apart; each moment stands below the front's."""
    time = time_axis()
    axis = alt.Axis(title="per minute", format="~s", tickCount=3, minExtent=LABELS_WIDTH, labelFlush=False)
    rate = alt.Y("rate:Q", axis=axis, scale=alt.Scale(zero=True))
    area = alt.Chart().mark_area(interpolate="monotone", color=REVERT_COLOUR, opacity=0.85, line=False)
    tooltips = [
        alt.Tooltip("when:N", title="from (UTC)"),
        alt.Tooltip("rate:Q", title="reverts per minute", format=",.1f"),
        alt.Tooltip("reverts:Q", title="reverts", format=","),
    ]
    hair = _hair(alt.Chart(), time, tooltips)
    layers = [area.encode(x=time, y=rate), hair]
    return alt.LayerChart(layer=layers, data=reverts_rows(front, step)).properties(height=REVERTS_HEIGHT)
