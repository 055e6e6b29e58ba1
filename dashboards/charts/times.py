"""Times in charts are UTC, whatever zone the browser lives in."""

import altair as alt

# for tooltips, which would show the browser's own zone
UTC_TIME = "utcFormat(datum.time, '%Y-%m-%d %H:%M:%S')"

# A tick is written by the coarsest unit that it is the beginning of: whatever the span, neighbours differ.
TICKS = {
    "milliseconds": "",
    "seconds": "%H:%M:%S",
    "minutes": "%H:%M",
    "hours": "%H:%M",
    "day": "%d %b",
    "date": "%d %b",
    "week": "%d %b",
    "month": "%d %b",
    "quarter": "%d %b",
    "year": "%Y",
}


def time_axis(ticks: int = 8, title: str | None = "time (UTC)") -> alt.X:
    """Field `time` from left to right, in UTC, with about so many ticks."""
    axis = alt.Axis(title=title, format=TICKS, grid=False, tickCount=ticks, labelOverlap=True)
    return alt.X("time:T", scale=alt.Scale(type="utc"), axis=axis)
