"""Stored changes per second: the pulse of the whole way."""

import altair as alt
import pandas as pd

from dashboards.charts.times import UTC_TIME, time_axis


def rate_rows(front: pd.DataFrame, step: int) -> pd.DataFrame:
    """Rows of query `front` as `time, rate`: edits per second of all sides."""
    total = front.groupby("time", as_index=False)["edits"].sum()
    return pd.DataFrame({"time": total["time"], "rate": total["edits"] / step})


def rate_chart(front: pd.DataFrame, step: int) -> alt.Chart:
    """`front`: complete rows of query `front`, `step` seconds apart."""
    chart: alt.Chart = (
        alt.Chart(rate_rows(front, step))
        .mark_line(interpolate="monotone", strokeWidth=2)
        .encode(
            x=time_axis(),
            y=alt.Y("rate:Q", axis=alt.Axis(title="edits per second", tickCount=5)),
            tooltip=[
                alt.Tooltip("when:N", title="UTC"),
                alt.Tooltip("rate:Q", title="edits/s", format=",.1f"),
            ],
        )
        .transform_calculate(when=UTC_TIME)
        .properties(height=220)
    )
    return chart
