"""Times in charts are UTC, whatever zone the browser lives in."""

import altair as alt

# for tooltips, which would show the browser's own zone
UTC_TIME = "utcFormat(datum.time, '%Y-%m-%d %H:%M:%S')"


def time_axis() -> alt.X:
    """Field `time` from left to right, in UTC."""
    # more ticks than eight would fall between minutes, and the same minute be written twice
    axis = alt.Axis(title="time (UTC)", format="%H:%M", grid=False, tickCount=8)
    return alt.X("time:T", scale=alt.Scale(type="utc"), axis=axis)
