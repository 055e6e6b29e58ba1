"""The front: people and temporary accounts above the line, bots below it."""

import altair as alt
import pandas as pd

from dashboards.charts.sides import SIDES, direction, side_colour
from dashboards.charts.times import UTC_TIME, time_axis

# The newest changes of a step arrive a few seconds after it ended; without this wait the line dips at its end
SETTLE_SECONDS = 5


def complete_steps(
    front: pd.DataFrame, step: int, oldest_event: pd.Timestamp, newest_event: pd.Timestamp
) -> pd.DataFrame:
    """Rows of query `front` for steps that are known whole.

    A step that is open, or outside of all that is stored, holds few edits or none; it would look like a calm.
    """
    ended = newest_event - pd.Timedelta(seconds=step + SETTLE_SECONDS)
    return front[(front["time"] >= oldest_event) & (front["time"] <= ended)]


def front_rows(front: pd.DataFrame, step: int) -> pd.DataFrame:
    """Rows of query `front` as `time, side, order, rate, height`: edits per minute; height is below 0 for bots."""
    rate = front["edits"] * 60.0 / step
    return pd.DataFrame(
        {
            "time": front["time"],
            "side": front["actor"].map(SIDES),
            "order": front["actor"].map(list(SIDES).index),  # stacks temporary accounts outside people
            "rate": rate,
            "height": rate * front["actor"].map(direction),
        }
    )


def front_chart(front: pd.DataFrame, step: int) -> alt.LayerChart:
    """`front`: complete rows of query `front`, `step` seconds apart."""
    time = time_axis()
    areas = (
        alt.Chart()
        .mark_area(interpolate="monotone", opacity=0.85, line=False)
        .encode(
            x=time,
            y=alt.Y(
                "height:Q",
                stack="zero",
                axis=alt.Axis(title="edits per minute", labelExpr="format(abs(datum.value), ',d')", tickCount=6),
            ),
            color=side_colour(),
            order=alt.Order("order:Q"),
        )
    )
    line = alt.Chart().mark_rule(color="#888").encode(y=alt.datum(0))
    # an area has one tooltip for all its points, so a hair line carries each moment's
    hover = alt.selection_point(name="moment", fields=["time"], nearest=True, on="pointerover", empty=False)
    hair = (
        alt.Chart()
        .transform_pivot("side", value="rate", groupby=["time"])
        .transform_calculate(when=UTC_TIME)
        .mark_rule(color="#888")
        .encode(
            x=time,
            opacity=alt.condition(hover, alt.value(0.7), alt.value(0)),
            tooltip=[
                alt.Tooltip("when:N", title="UTC"),
                *(alt.Tooltip(f"{side}:Q", title=f"{side}, edits/min", format=",.0f") for side in SIDES.values()),
            ],
        )
        .add_params(hover)
    )
    return alt.LayerChart(layer=[areas, line, hair], data=front_rows(front, step)).properties(height=380)
