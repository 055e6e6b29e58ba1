"""One battle: the tug of war over a page's size, and who reverted whom."""

import altair as alt
import pandas as pd

from dashboards.charts.times import time_axis

# Side in the table battles -> name on the board. Not the colours of charts/sides.py: there a side is people or bots.
# Green and vermilion of Okabe and Ito; each side has a shape of its own too.
CAMPS = {"first": "First side", "second": "Second side", "": "Others"}
COLOURS = ["#009E73", "#D55E00", "#8A93A3"]
SHAPES = ["circle", "square", "diamond"]

ARC_HEIGHT = 0.15  # of the span of sizes: far enough from the steps to be told from them
MOST_NAMES = 12  # of the matrix: more have no room on a telephone
LONGEST_NAME = 24  # characters

_EDIT, _ARC, _LOG = "edit", "arc", "log"  # parts of the tug of war, which are the rows of one data set


def tug_rows(
    edits: pd.DataFrame, log: pd.DataFrame, links: list[str | None], begin: pd.Timestamp, end: pd.Timestamp
) -> pd.DataFrame:
    """What the tug of war draws from `begin` to `end`.

    `edits`: rows of query `battle_edits`, newest first; `links`: the address of each, or None; `log`: rows of query
    `battle_log`. Each edit is a step from one size of the page to the next, held until the next edit; an arc leads
    from an edit to the revert that undid it.
    """
    found = edits.assign(link=links).iloc[::-1].dropna(subset=["length_new"])
    # of what was before the beginning only the last edit counts: it made the page that the battle is about
    before = int((found["timestamp"] < begin).sum())
    found = found.iloc[max(before - 1, 0) :]
    found = found[found["timestamp"] <= end]
    time = found["timestamp"].clip(lower=begin)
    steps = pd.DataFrame(
        {
            "part": _EDIT,
            "time": time,
            "until": time.shift(-1).fillna(end),
            "before": found["length_old"].fillna(0),
            "size": found["length_new"],
            "camp": found["side"].map(CAMPS),
            "when": found["timestamp"].dt.strftime("%Y-%m-%d %H:%M:%S"),
            "user": found["user"].replace("", "(hidden)"),
            "grown": found["length_new"] - found["length_old"].fillna(0),
            "reverted": found["reverted"].replace("", "–"),
            "comment": found["comment"],
            "link": found["link"],
            "arc": found["rev_id"],
            "undone": found["reverted_rev_id"],
        }
    )
    shown = log[(log["timestamp"] >= begin) & (log["timestamp"] <= end)]
    entries = pd.DataFrame({"part": _LOG, "time": shown["timestamp"], "what": log_words(shown)})
    return pd.concat([steps, _arcs(steps), entries], ignore_index=True).drop(columns="undone")


def _arcs(steps: pd.DataFrame) -> pd.DataFrame:
    """Three points per revert whose target is drawn: at the edit undone, above the middle, at the revert."""
    pairs = steps[steps["undone"] > 0].merge(steps[["arc", "time", "size"]], left_on="undone", right_on="arc")
    height = ARC_HEIGHT * (steps["size"].max() - steps["size"].min())
    points = [
        (pairs["time_y"], pairs["size_y"]),
        (pairs["time_y"] + (pairs["time_x"] - pairs["time_y"]) / 2, pairs[["size_x", "size_y"]].max(axis=1) + height),
        (pairs["time_x"], pairs["size_x"]),
    ]
    return pd.concat(
        pd.DataFrame({"part": _ARC, "arc": pairs["arc_x"], "camp": pairs["camp"], "time": time, "size": size})
        for time, size in points
    )


def log_words(log: pd.DataFrame) -> list[str]:
    """Rows of query `battle_log` in a word or two each."""
    return [
        f"{action} of {_short(fighter)}" if fighter else f"{kind}: {action}" if action != kind else kind
        for kind, action, fighter in log[["log_type", "log_action", "fighter"]].itertuples(index=False)
    ]


def tug_chart(rows: pd.DataFrame, legend: bool = True) -> alt.LayerChart:
    """`rows`: of tug_rows; without a `legend` where no sides are known."""
    time = time_axis()
    size = alt.Y(
        "size:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title="page size (bytes)", format=",d", tickCount=6)
    )
    words = alt.Legend(title=None, orient="top", labelLimit=0) if legend else None
    colour = alt.Color("camp:N", scale=alt.Scale(domain=list(CAMPS.values()), range=COLOURS), legend=words)
    shape = alt.Shape("camp:N", scale=alt.Scale(domain=list(CAMPS.values()), range=SHAPES), legend=words)

    arcs = (
        _part(_ARC)
        .mark_line(interpolate="basis", strokeWidth=1, strokeDash=[4, 3], opacity=0.8)
        .encode(x=time, y=size, color=colour, detail="arc:N", order=alt.Order("time:T"))
    )
    held = _part(_EDIT).mark_rule(strokeWidth=3).encode(x=time, x2="until:T", y=size, color=colour)
    moved = _part(_EDIT).mark_rule(strokeWidth=1.5).encode(x=time, y=alt.Y("before:Q"), y2="size:Q", color=colour)
    marks = (
        _part(_EDIT)
        .mark_point(filled=True, size=90, opacity=1)
        .encode(
            x=time,
            y=size,
            color=colour,
            shape=shape,
            href="link:N",
            tooltip=[
                alt.Tooltip("when:N", title="UTC"),
                alt.Tooltip("user:N", title="editor"),
                alt.Tooltip("camp:N", title="side"),
                alt.Tooltip("grown:Q", title="bytes", format="+,"),
                alt.Tooltip("reverted:N", title="reverted"),
                alt.Tooltip("comment:N", title="comment"),
            ],
        )
    )
    ends = _part(_LOG).mark_rule(strokeDash=[2, 2], strokeWidth=2, color="#8A93A3").encode(x=time)
    entries = (
        _part(_LOG)
        .mark_text(align="right", baseline="top", dx=-4, color="#8A93A3", fontWeight="bold")
        .encode(x=time, y=alt.value(2), text="what:N")
    )
    chart: alt.LayerChart = alt.LayerChart(
        layer=[arcs, moved, held, marks, ends, entries],
        data=rows,
        # a diff opens beside the board, not in its place
        usermeta={"embedOptions": {"loader": {"target": "_blank"}}},
    ).properties(height=340)
    return chart


def _part(name: str) -> alt.Chart:
    return alt.Chart().transform_filter(alt.datum.part == name)


def matrix_rows(edits: pd.DataFrame, fighters: pd.DataFrame) -> pd.DataFrame:
    """Who reverted whom how often: `reverter, reverted, reverts, camp, row, column`, among the busiest fighters.

    `edits`: rows of query `battle_edits`; `fighters`: rows of query `battle_fighters`, the busiest first. The first
    side's fighters come first, so that a war of two sides fills two corners.
    """
    busiest = fighters.head(MOST_NAMES).sort_values("side", kind="stable")
    names = busiest["name"].tolist()
    place = {name: number for number, name in enumerate(names)}
    side = dict(zip(names, busiest["side"], strict=True))
    counts = (
        edits[edits["user"].isin(names) & edits["reverted"].isin(names)]
        .groupby(["user", "reverted"], as_index=False)
        .agg(reverts=("rev_id", "count"))
    )
    return pd.DataFrame(
        {
            "reverter": counts["user"],
            "reverted": counts["reverted"],
            "reverts": counts["reverts"],
            "camp": counts["user"].map(side).map(CAMPS),
            "row": counts["user"].map(place),
            "column": counts["reverted"].map(place),
        }
    )


def matrix_chart(rows: pd.DataFrame) -> alt.LayerChart:
    """`rows`: of matrix_rows."""
    axis = alt.Axis(labelLimit=140, labelOverlap=False, ticks=False, domain=False, grid=True)
    down = alt.Y("reverter:N", sort=alt.SortField("row"), axis=axis.copy(), title="who reverted")
    across = alt.X(
        "reverted:N", sort=alt.SortField("column"), axis=alt.Axis(**axis.to_dict(), labelAngle=-35), title="whom"
    )
    base = alt.Chart().encode(
        x=across,
        y=down,
        tooltip=[
            alt.Tooltip("reverter:N", title="who reverted"),
            alt.Tooltip("reverted:N", title="whom"),
            alt.Tooltip("reverts:Q", title="times"),
        ],
    )
    colour = alt.Color("camp:N", scale=alt.Scale(domain=list(CAMPS.values()), range=COLOURS), legend=None)
    circles = base.mark_circle(opacity=0.85).encode(
        size=alt.Size("reverts:Q", scale=alt.Scale(zero=True, rangeMin=260, rangeMax=900), legend=None), color=colour
    )
    numbers = base.mark_text(color="white", fontWeight="bold").encode(text="reverts:Q")
    chart: alt.LayerChart = alt.LayerChart(layer=[circles, numbers], data=rows).properties(height=alt.Step(38))
    return chart


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
