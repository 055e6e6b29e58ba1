"""Theatres of war: wikis against time, language against language, and what ground was gained and lost."""

import altair as alt
import pandas as pd

from dashboards.charts.battle import COLOURS
from dashboards.charts.sides import SIDES
from dashboards.charts.times import UTC_TIME, time_axis
from dashboards.namespaces import ground

# measure in the address -> title of its scale, and how it is told
MEASURES = {
    "edits": ("edits per minute", ",.1f"),
    "reverts": ("reverts per hour", ",.1f"),
}
PER = {"edits": 60, "reverts": 3600}  # seconds
# not the colours of the sides
GROUNDS = {"Content": "#009E73", "Talk": "#D55E00", "Users": "#7A5CB8", "Workshop": "#8A93A3"}


def heat_rows(theatres: pd.DataFrame, step: int) -> pd.DataFrame:
    """Rows of query `theatres` as `wiki, rank, time, until, edits, reverts`, both as rates; quiet steps are zeros."""
    ranks = theatres.groupby("wiki")["edits"].sum().sort_values(ascending=False)
    grid = pd.MultiIndex.from_product([ranks.index, all_steps(theatres, step)], names=["wiki", "time"])
    found = theatres.set_index(["wiki", "time"])[["edits", "reverts"]].reindex(grid, fill_value=0).reset_index()
    return pd.DataFrame(
        {
            "wiki": found["wiki"],
            "rank": found["wiki"].map({wiki: rank for rank, wiki in enumerate(ranks.index)}),
            "time": found["time"],
            "until": found["time"] + pd.Timedelta(seconds=step),
            "edits": found["edits"] * PER["edits"] / step,
            "reverts": found["reverts"] * PER["reverts"] / step,
        }
    )


def all_steps(found: pd.DataFrame, step: int) -> pd.DatetimeIndex:
    """Every step from the first row's to the last one's."""
    return pd.date_range(found["time"].min(), found["time"].max(), freq=f"{step}s", name="time")


def heat_chart(rows: pd.DataFrame, measure: str) -> alt.Chart:
    """`rows`: of heat_rows; `measure`: a key of MEASURES."""
    title = MEASURES[measure][0]
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            x=time_axis(),
            x2="until:T",
            y=alt.Y(
                "wiki:N",
                sort=alt.SortField("rank"),
                axis=alt.Axis(
                    title=None, labelLimit=110, labelOverlap=False, labelFlush=False, ticks=False, domain=False
                ),
                scale=alt.Scale(paddingInner=0.08),
            ),
            color=alt.Color(
                f"{measure}:Q",
                # roots: between the largest wiki and the twentieth lie two orders of magnitude
                scale=alt.Scale(type="sqrt", domainMin=0),
                legend=alt.Legend(title=title, orient="top", gradientLength=220, gradientThickness=8, tickCount=4),
            ),
            tooltip=[
                alt.Tooltip("wiki:N", title="wiki"),
                alt.Tooltip("when:N", title="from (UTC)"),
                alt.Tooltip("edits:Q", title="edits per minute", format=MEASURES["edits"][1]),
                alt.Tooltip("reverts:Q", title="reverts per hour", format=MEASURES["reverts"][1]),
            ],
        )
        .transform_calculate(when=UTC_TIME)
        .properties(height=alt.Step(19))
    )
    return chart


def duel_rows(languages: pd.DataFrame, left: str, right: str, step: int, measure: str) -> pd.DataFrame:
    """Rows of query `languages` as `time, language, rate, top`; the first language lies above 0, the second below.

    `rate`: edits per minute, or reverts per hour.
    """
    times = all_steps(languages, step)
    sides = []
    for place, (language, direction) in enumerate(((left, 1), (right, -1))):
        mine = languages[languages["language"] == language].set_index("time")[measure]
        rate = mine.reindex(times, fill_value=0) * PER[measure] / step
        sides.append(pd.DataFrame({"place": place, "language": language, "rate": rate, "top": direction * rate}))
    return pd.concat(sides).reset_index()


def duel_chart(rows: pd.DataFrame, measure: str) -> alt.LayerChart:
    """`rows`: of duel_rows."""
    title, number = MEASURES[measure]
    time = time_axis()
    colour = alt.Color(
        "language:N",
        sort=alt.SortField("place"),
        scale=alt.Scale(range=COLOURS[:2]),
        legend=alt.Legend(title=None, orient="top", labelLimit=0, symbolType="square"),
    )
    axis = alt.Axis(title=title, labelExpr="format(abs(datum.value), '~s')", tickCount=5)
    areas = (
        alt.Chart()
        .mark_area(interpolate="step-after", opacity=0.85, line=False)
        .encode(x=time, y=alt.Y("top:Q", stack=None, axis=axis), color=colour)
    )
    line = alt.Chart().mark_rule(color="#888").encode(y=alt.datum(0))
    hover = alt.selection_point(name="moment", fields=["time"], nearest=True, on="pointerover", empty=False)
    hair = (
        alt.Chart()
        .transform_calculate(when=UTC_TIME)
        .mark_point(filled=True, size=60)
        .encode(
            x=time,
            y=alt.Y("top:Q", stack=None),
            color=colour,
            opacity=alt.condition(hover, alt.value(1), alt.value(0)),
            tooltip=[
                alt.Tooltip("when:N", title="from (UTC)"),
                alt.Tooltip("language:N", title="language"),
                alt.Tooltip("rate:Q", title=title, format=number),
            ],
        )
        .add_params(hover)
    )
    chart: alt.LayerChart = alt.LayerChart(layer=[areas, line, hair], data=rows).properties(height=300)
    return chart


def language_rows(languages: pd.DataFrame) -> pd.DataFrame:
    """Rows of query `languages` summed over time, the busiest first: sums, and shares of them."""
    sums = languages.groupby("language").sum(numeric_only=True)
    sums = sums.sort_values("edits", ascending=False).reset_index()
    return sums.assign(
        people=100 * (sums["person"] + sums["temporary"]) / sums["edits"],
        reverted=100 * sums["reverts"] / sums["edits"],
        net=sums["bytes_added"] - sums["bytes_removed"],
    )


def territory_rows(territory: pd.DataFrame) -> pd.DataFrame:
    """Rows of query `territory` as `wiki, rank, ground, order, what, bytes, length`; losses are negative lengths."""
    ranks = (territory["bytes_added"] + territory["bytes_removed"]).groupby(territory["wiki"]).sum()
    order = {wiki: rank for rank, wiki in enumerate(ranks.sort_values(ascending=False).index)}
    grounds = territory.assign(ground=territory["namespace"].map(ground))
    sums = grounds.groupby(["wiki", "ground"], as_index=False)[["bytes_added", "bytes_removed"]].sum()
    parts = [
        pd.DataFrame(
            {
                "wiki": sums["wiki"],
                "rank": sums["wiki"].map(order),
                "ground": sums["ground"],
                "order": sums["ground"].map(list(GROUNDS).index),
                "what": what,
                "bytes": sums[column],
                "length": sums[column] * direction,
            }
        )
        for what, column, direction in (("Gained", "bytes_added", 1), ("Lost", "bytes_removed", -1))
    ]
    return pd.concat(parts, ignore_index=True)


def territory_chart(rows: pd.DataFrame) -> alt.Chart:
    """`rows`: of territory_rows."""
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_bar(size=14)
        .encode(
            y=alt.Y(
                "wiki:N",
                sort=alt.SortField("rank"),
                axis=alt.Axis(title=None, labelLimit=110, labelOverlap=False, labelFlush=False, ticks=False),
            ),
            x=alt.X(
                "length:Q",
                stack="zero",
                axis=alt.Axis(title="← bytes lost · gained →", labelExpr="format(abs(datum.value), '~s')", tickCount=5),
            ),
            color=alt.Color(
                "ground:N",
                scale=alt.Scale(domain=list(GROUNDS), range=list(GROUNDS.values())),
                legend=alt.Legend(title=None, orient="top", labelLimit=0, symbolType="square"),
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("wiki:N", title="wiki"),
                alt.Tooltip("ground:N", title="ground"),
                alt.Tooltip("what:N", title="what"),
                alt.Tooltip("bytes:Q", title="bytes", format=","),
            ],
        )
        .properties(height=360)
    )
    return chart


def sides_of(theatres: pd.DataFrame, wiki: str, step: int) -> pd.DataFrame:
    """A wiki's rows of query `theatres` as rows of query `front`: `time, actor, edits`, quiet steps with zeros."""
    mine = theatres[theatres["wiki"] == wiki].set_index("time")[list(SIDES)]
    mine = mine.reindex(all_steps(theatres, step), fill_value=0)
    return mine.reset_index().melt("time", var_name="actor", value_name="edits")
