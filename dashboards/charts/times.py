"""Times in charts are UTC, whatever zone the browser lives in."""

import altair as alt

# for tooltips, which would show the browser's own zone
UTC_TIME = "utcFormat(datum.time, '%Y-%m-%d %H:%M:%S')"


def time_axis(time_format: str = "%H:%M") -> alt.X:
    """Field `time` from left to right, in UTC."""
    # more ticks than eight would fall between minutes, and the same minute be written twice
    axis = alt.Axis(title="time (UTC)", format=time_format, grid=False, tickCount=8)
    return alt.X("time:T", scale=alt.Scale(type="utc"), axis=axis)


def format_for(seconds: float) -> str:
    """A format in which neighbours of eight ticks over so many seconds differ."""
    return "%H:%M:%S" if seconds < 8 * 60 else "%H:%M" if seconds < 86_400 else "%d %b %H:%M"
