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
LONGEST_NAME = 24  # characters

# The graph: where the sides stand from left to right; how far a curve bows, in fighters; how many straight pieces make
# it; and where on it, from who reverted to whom, its number and its head are. Numbers of neighbours are staggered:
# where curves meet at one whom many reverted, they would lie upon each other
PLACES = {"first": 0.0, "": 0.5, "second": 1.0}
BOW, CURVE_POINTS, HEAD_AT = 0.7, 16, 0.93
COUNTS_AT = (0.58, 0.68, 0.78)
MOST_NAMES = 12  # more have no room on a telephone
MARGIN, NAME_WIDTH = 0.55, 0.25  # room for names: beside the sides, of the distance between them; of the whole width
PLACE_HEIGHT = 46  # pixels a fighter
NAME_COLOUR = "#76808F"  # to be read on white and on black

_EDIT, _ARC, _LOG = "edit", "arc", "log"  # parts of the tug of war, which are the rows of one data set
_FIGHTER, _CURVE, _COUNT, _HEAD = "fighter", "curve", "count", "head"  # parts of the graph


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


def graph_rows(edits: pd.DataFrame, fighters: pd.DataFrame, links: list[str | None]) -> pd.DataFrame:
    """What the graph of a battle draws: the busiest fighters, and a curve from each to each whom he reverted.

    `edits`: rows of query `battle_edits`; `fighters`: rows of query `battle_fighters`, the busiest first; `links`: the
    address of each fighter, or None. The first side stands on the left, the second on the right, and whoever fights
    for neither in the middle; `x` goes from 0 to 1, `y` down from 0, a fighter a unit.
    """
    busiest = fighters.assign(link=links).head(MOST_NAMES)
    rank = busiest.groupby("side").cumcount()
    size = busiest["side"].map(busiest["side"].value_counts())
    nodes = pd.DataFrame(
        {
            "part": _FIGHTER,
            "name": busiest["name"].replace("", "(hidden)"),
            "camp": busiest["side"].map(CAMPS),
            "x": busiest["side"].map(PLACES),
            "y": rank + (size.max() - size) / 2,  # the shorter column is centred
            "made": busiest["reverts"],
            "suffered": busiest["reverted"],
            "link": busiest["link"],
        }
    ).set_index(busiest["name"])
    counts = (
        edits[edits["user"].isin(nodes.index) & edits["reverted"].isin(nodes.index)]
        .groupby(["user", "reverted"], as_index=False)
        .agg(reverts=("rev_id", "count"))
    )
    if counts.empty:
        return nodes.iloc[:0]
    curves = [_curve(nodes.loc[by], nodes.loc[whom], times) for by, whom, times in counts.itertuples(index=False)]
    return pd.concat([nodes, *curves], ignore_index=True)


def _curve(by: pd.Series, whom: pd.Series, reverts: int) -> pd.DataFrame:
    """A curve from who reverted to whom: its points, its number and its head.

    What goes to the right bows up and what goes to the left down, so that the two of a mutual pair lie apart; within
    one side they bow into the middle.
    """
    across, down = whom["x"] - by["x"], whom["y"] - by["y"]
    middle = [(by["x"] + whom["x"]) / 2, (by["y"] + whom["y"]) / 2]
    if across:
        middle[1] -= BOW if across > 0 else -BOW
    else:
        middle[0] += (0.14 if down > 0 else 0.3) * (1 if by["x"] < 1 else -1)

    def at(share: float) -> tuple[float, float]:
        """A point of the quadratic Bézier curve."""
        weights = (1 - share) ** 2, 2 * share * (1 - share), share**2
        x, y = (
            weights[0] * start + weights[1] * bend + weights[2] * end
            for start, bend, end in ((by["x"], middle[0], whom["x"]), (by["y"], middle[1], whom["y"]))
        )
        return x, y

    points = [(_CURVE, share / CURVE_POINTS) for share in range(CURVE_POINTS + 1)]
    shares = [*points, (_COUNT, COUNTS_AT[int(2 * by["y"]) % len(COUNTS_AT)]), (_HEAD, HEAD_AT)]
    level = abs(across) > 0
    head = ("triangle-right" if across > 0 else "triangle-left") if level else "triangle-down"
    head = "triangle-up" if not level and down < 0 else head
    return pd.DataFrame(
        {
            "part": [part for part, _ in shares],
            "order": [share for _, share in shares],
            "x": [at(share)[0] for _, share in shares],
            "y": [at(share)[1] for _, share in shares],
            "curve": f"{by['name']} → {whom['name']}",
            "by": by["name"],
            "whom": whom["name"],
            "reverts": reverts,
            "camp": by["camp"],
            "head": head,
        }
    )


def graph_chart(rows: pd.DataFrame) -> alt.LayerChart:
    """`rows`: of graph_rows. As high as its longer side has fighters."""
    places = int(rows["y"].max()) + 1 if len(rows) else 1
    x = alt.X("x:Q", scale=alt.Scale(domain=[-MARGIN, 1 + MARGIN], nice=False), axis=None)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[places - 0.4, -0.6], nice=False), axis=None)
    domain = list(CAMPS.values())
    colour = alt.Color("camp:N", scale=alt.Scale(domain=domain, range=COLOURS), legend=None)
    words = [
        alt.Tooltip("by:N", title="who reverted"),
        alt.Tooltip("whom:N", title="whom"),
        alt.Tooltip("reverts:Q", title="times"),
    ]
    curves = (
        _part(_CURVE)
        .mark_line(opacity=0.55, strokeCap="round")
        .encode(
            x=x,
            y=y,
            color=colour,
            detail="curve:N",
            order=alt.Order("order:Q"),
            strokeWidth=alt.StrokeWidth(
                "reverts:Q", scale=alt.Scale(type="sqrt", range=[0, 7], zero=True), legend=None
            ),
        )
    )
    heads = (
        _part(_HEAD)
        .mark_point(filled=True, size=150, opacity=1)
        .encode(x=x, y=y, color=colour, shape=alt.Shape("head:N", scale=None), tooltip=words)
    )
    counts = _part(_COUNT).encode(x=x, y=y, tooltip=words)
    bubbles = counts.mark_circle(size=300, opacity=1).encode(color=colour)
    numbers = counts.mark_text(color="white", fontWeight="bold", fontSize=11).encode(text="reverts:Q")
    who = _part(_FIGHTER).encode(
        x=x,
        y=y,
        href="link:N",
        tooltip=[
            alt.Tooltip("name:N", title="fighter"),
            alt.Tooltip("camp:N", title="side"),
            alt.Tooltip("made:Q", title="reverts"),
            alt.Tooltip("suffered:Q", title="was reverted"),
        ],
    )
    marks = who.mark_point(filled=True, size=260, opacity=1).encode(
        color=colour, shape=alt.Shape("camp:N", scale=alt.Scale(domain=domain, range=SHAPES), legend=None)
    )
    limit = alt.ExprRef(f"width * {NAME_WIDTH}")
    names = [
        who.transform_filter(alt.datum.x == place)
        .mark_text(align=align, dx=dx, dy=dy, limit=limit, fontSize=12, fontWeight="bold", color=NAME_COLOUR)
        .encode(text="name:N")
        for place, align, dx, dy in ((0, "right", -14, 0), (0.5, "center", 0, -18), (1, "left", 14, 0))
    ]
    chart: alt.LayerChart = alt.LayerChart(
        layer=[curves, heads, bubbles, numbers, marks, *names],
        data=rows,
        usermeta={"embedOptions": {"loader": {"target": "_blank"}}},
    ).properties(height=PLACE_HEIGHT * places + 12)
    return chart


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
