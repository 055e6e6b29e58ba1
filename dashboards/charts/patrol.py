"""How fast edits are reverted, and whose."""

import altair as alt
import pandas as pd

from dashboards.charts.sides import SIDES, side_colour
from dashboards.words import duration

# upper bound in seconds, as query `time_to_revert` has them -> words
SPANS = {
    10: "10 s",
    30: "30 s",
    60: "1 min",
    300: "5 min",
    900: "15 min",
    3600: "1 h",
    21_600: "6 h",
    4_294_967_295: "longer",
}
LEAST_EDITS = 5  # a share of fewer edits says nothing


def speed_rows(speeds: pd.DataFrame) -> pd.DataFrame:
    """Rows of query `time_to_revert` as `side, span, order, reverts, share`; share: of the side's own reverts."""
    totals = speeds.groupby("actor")["reverts"].transform("sum")
    return pd.DataFrame(
        {
            "side": speeds["actor"].map(SIDES),
            "span": speeds["up_to"].map(SPANS),
            "order": speeds["up_to"].map(list(SPANS).index),
            "reverts": speeds["reverts"],
            "share": speeds["reverts"] / totals,
        }
    )


def speed_chart(speeds: pd.DataFrame) -> alt.Chart:
    """`speeds`: rows of query `time_to_revert`."""
    chart: alt.Chart = (
        alt.Chart(speed_rows(speeds))
        .mark_bar(cornerRadius=2)
        .encode(
            x=alt.X(
                "span:O",
                scale=alt.Scale(domain=list(SPANS.values())),
                axis=alt.Axis(title="the edit stood for up to", labelAngle=0),
            ),
            xOffset=alt.XOffset("side:N", scale=alt.Scale(domain=list(SIDES.values()))),
            y=alt.Y("share:Q", axis=alt.Axis(title="share of the side's reverts", format="%", tickCount=5)),
            color=side_colour(),
            tooltip=[
                alt.Tooltip("side:N", title="reverted by"),
                alt.Tooltip("span:N", title="after up to"),
                alt.Tooltip("reverts:Q", title="reverts", format=","),
                alt.Tooltip("share:Q", title="share", format=".0%"),
            ],
        )
        .properties(height=300)
    )
    return chart


def _wiki_axis() -> alt.Y:
    axis = alt.Axis(title=None, labelLimit=110, labelOverlap=False, labelFlush=False, ticks=False, grid=True)
    return alt.Y("wiki:N", sort=alt.SortField("rank"), axis=axis)


def speed_by_wiki_chart(wikis: pd.DataFrame) -> alt.LayerChart:
    """`wikis`: rows of query `time_to_revert_by_wiki`, those with the most reverts first."""
    # a logarithm has no place for an edit that was reverted in the same second
    quartiles = wikis[["quarter", "median", "three_quarters"]].clip(lower=1)
    by_side = {
        name: ["–" if pd.isna(seconds) else duration(seconds) for seconds in wikis[name]]
        for name in ("by_person", "by_temporary", "by_bot")
    }
    rows = wikis[["wiki", "reverts"]].assign(rank=range(len(wikis)), **quartiles, **by_side)
    words = {1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 21_600: "6 h", 86_400: "1 day"}
    label = "".join(f"datum.value == {seconds} ? '{text}' : " for seconds, text in words.items()) + "''"
    across = alt.X(
        "quarter:Q",
        scale=alt.Scale(type="log", domainMin=1),
        axis=alt.Axis(title="an edit stood (middle half, and median)", values=list(words), labelExpr=label),
    )
    down = _wiki_axis()
    base = alt.Chart().encode(
        y=down,
        tooltip=[
            alt.Tooltip("wiki:N", title="wiki"),
            alt.Tooltip("median:Q", title="median, seconds", format=",.0f"),
            alt.Tooltip("quarter:Q", title="a quarter within, seconds", format=",.0f"),
            alt.Tooltip("three_quarters:Q", title="three quarters within, seconds", format=",.0f"),
            alt.Tooltip("by_person:N", title="median of people's reverts"),
            alt.Tooltip("by_temporary:N", title="of temporary accounts'"),
            alt.Tooltip("by_bot:N", title="of bots'"),
            alt.Tooltip("reverts:Q", title="reverts", format=","),
        ],
    )
    bars = base.mark_bar(size=8, cornerRadius=4, opacity=0.45, color="#009E73").encode(x=across, x2="three_quarters:Q")
    medians = base.mark_point(filled=True, size=70, opacity=1, color="#009E73").encode(x="median:Q")
    chart: alt.LayerChart = alt.LayerChart(layer=[bars, medians], data=rows).properties(height=340)
    return chart


def share_rows(wikis: pd.DataFrame) -> pd.DataFrame:
    """Rows of query `reverted_share` as one row per wiki and side: `wiki, rank, side, edits, reverted, share`."""
    sides = [
        pd.DataFrame(
            {
                "wiki": wikis["wiki"],
                "rank": range(len(wikis)),
                "side": SIDES[actor],
                "edits": wikis[f"{actor}_edits"],
                "reverted": wikis[f"{actor}_reverted"],
            }
        )
        for actor in ("person", "temporary")
    ]
    rows = pd.concat(sides, ignore_index=True)
    rows = rows[rows["edits"] >= LEAST_EDITS]
    return rows.assign(share=rows["reverted"] / rows["edits"])


def share_chart(wikis: pd.DataFrame) -> alt.Chart:
    """`wikis`: rows of query `reverted_share`."""
    chart: alt.Chart = (
        alt.Chart(share_rows(wikis))
        .mark_point(filled=True, size=90, opacity=1)
        .encode(
            y=_wiki_axis(),
            x=alt.X("share:Q", axis=alt.Axis(title="reverts per edit", format="%", tickCount=5)),
            color=side_colour(),
            tooltip=[
                alt.Tooltip("wiki:N", title="wiki"),
                alt.Tooltip("side:N", title="side"),
                alt.Tooltip("edits:Q", title="edits", format=","),
                alt.Tooltip("reverted:Q", title="reverts of them", format=","),
                alt.Tooltip("share:Q", title="share", format=".1%"),
            ],
        )
        .properties(height=340)
    )
    return chart
