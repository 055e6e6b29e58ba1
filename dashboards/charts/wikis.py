"""The busiest wikis: people and temporary accounts to the right, bots to the left."""

import altair as alt
import pandas as pd

from dashboards.charts.sides import SIDES, direction, side_colour


def wiki_rows(wikis: pd.DataFrame) -> pd.DataFrame:
    """Rows of query `wikis` as one row per wiki and side: `wiki, rank, reverts, edits, side, order, length`."""
    ranked = wikis[["wiki", "reverts", *SIDES]].assign(rank=range(len(wikis)))
    long = ranked.melt(["wiki", "rank", "reverts"], list(SIDES), var_name="actor", value_name="edits")
    return long.assign(
        side=long["actor"].map(SIDES),
        order=long["actor"].map(list(SIDES).index),
        # unsigned in ClickHouse: a negative one would wrap around
        length=long["edits"].astype("int64") * long["actor"].map(direction),
    ).drop(columns="actor")


def wikis_chart(wikis: pd.DataFrame) -> alt.Chart:
    """`wikis`: rows of query `wikis`, the busiest first."""
    chart: alt.Chart = (
        alt.Chart(wiki_rows(wikis))
        .mark_bar(cornerRadius=2, size=14)  # pixels: one wiki alone must not fill the chart
        .encode(
            # sorted by a field: a list of names would make a new chart each time two wikis change places
            y=alt.Y(
                "wiki:N",
                sort=alt.SortField("rank"),
                axis=alt.Axis(title=None, labelLimit=110, labelOverlap=False, labelFlush=False, ticks=False),
            ),
            x=alt.X(
                "length:Q",
                stack="zero",
                axis=alt.Axis(
                    title="← bots · edits · people →", labelExpr="format(abs(datum.value), '~s')", tickCount=5
                ),
            ),
            color=side_colour(legend=False),  # it stands beside the front, which has it
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("wiki:N", title="wiki"),
                alt.Tooltip("side:N", title="side"),
                alt.Tooltip("edits:Q", title="edits", format=","),
                alt.Tooltip("reverts:Q", title="reverts by all sides", format=","),
            ],
        )
        .properties(height=446)
    )
    return chart
