"""What all pages share: the controls, the moment they look at, the line that says what plays, refresh and errors."""

from collections.abc import Callable
from typing import NamedTuple

import altair as alt
import pandas as pd
import streamlit as st
from clickhouse_connect.driver.exceptions import DatabaseError

from dashboards.data import Source, explain, rows, what_plays
from dashboards.words import duration, moment, plain


class Range(NamedTuple):
    """How far back a picture goes, how fine it is, and how often it is drawn anew; all in seconds."""

    seconds: int
    step: int
    refresh: float
    words: str


# The key stands in the address. Steps keep a chart at 60 to 360 points; what moves slowly is read less often.
RANGES = {
    "15m": Range(900, 10, 2.0, "15 min"),
    "1h": Range(3600, 60, 2.0, "1 h"),
    "6h": Range(21_600, 60, 5.0, "6 h"),
    "24h": Range(86_400, 300, 15.0, "24 h"),
}


# Wikipedia is never silent this long: there are 33 changes a second
STALE_SECONDS = 30

WAY_BACK = "way back"  # session state: the address's parameters before a battle was opened


class View(NamedTuple):
    """What a viewer chose."""

    range: Range
    wikis: list[str]  # empty: all


class Moment(NamedTuple):
    """A view at a moment: the parameters that every query of one picture shares."""

    since: pd.Timestamp
    until: pd.Timestamp
    wikis: list[str]


def moment_of(view: View, now: pd.Timestamp) -> Moment:
    """The range that ends now. It begins on a full step, so it is up to one step longer than chosen."""
    until = now.ceil("s")
    since = (until - pd.Timedelta(seconds=view.range.seconds)).floor(f"{view.range.step}s")
    return Moment(since, until, view.wikis)


def controls() -> View:
    """Range and wikis, kept in the address (`?range=1h&wiki=dewiki`) so that a link shows the same board."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.segmented_control(
            "Range",
            list(RANGES),
            default="1h",
            required=True,
            key="range",
            bind="query-params",
            help="How far back the board looks. It ends now while Wikipedia is live, else at the newest edit played.",
        )
        wikis = st.multiselect(
            "Wikis",
            _known_wikis(),
            key="wiki",
            bind="query-params",
            accept_new_options=True,
            placeholder="All wikis",
            width=420,
            help="Database names, such as enwiki (English Wikipedia), dewiktionary (German Wiktionary), wikidatawiki.",
        )
    return View(RANGES[chosen or "1h"], wikis)


def _known_wikis() -> list[str]:
    """Suggestions for the filter; any other name may be typed. What is wrong, if anything, the page below tells."""
    try:
        source = what_plays()
        if source is None:
            return []
        day = moment_of(View(RANGES["24h"], []), source.now.floor("h"))  # the same for an hour, so it is shared
        return sorted(rows("wikis", since=day.since, until=source.now.ceil("h"), limit=1000)["wiki"])
    except DatabaseError:
        return []


def live(draw: Callable[[View, Source], None], view: View) -> None:
    """Draw now, and again every `view.range.refresh` seconds, without running the rest of the page."""

    def once() -> None:
        try:
            source = what_plays()
            if source is None:
                st.info("Nothing is stored yet. The first changes appear here by themselves.")
                st.caption("Nothing after a minute? See that `battlefield produce` and `battlefield work` run.")
            else:
                status_line(source)
                draw(view, source)
        except DatabaseError as error:
            trouble = explain(error)
            st.error(f"{plain(trouble.what)} {trouble.remedy}", icon=":material/cloud_off:")
            st.caption("This page tries again every few seconds and comes back by itself.")
            with st.expander("What ClickHouse or the connection said"):
                st.code(trouble.detail, language=None, wrap_lines=True)

    st.fragment(once, run_every=view.range.refresh)()


def status_line(source: Source) -> None:
    """What plays and how fresh it is."""
    quiet = duration(source.quiet_seconds)
    newest = moment(source.newest_event)
    played = f"played up to {newest}, last change read {quiet} ago"
    not_live = "Not Wikipedia as it is now: on this board, now is the time of the newest edit that was played."
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if source.kind == "live":
            _live_badge(source.quiet_seconds)
            meaning = "Freshness: the clock minus the time of the newest edit in ClickHouse; Wikimedia takes 2 s of it."
            st.caption(f"newest edit {quiet} old, {newest}", width="content", help=meaning)
        elif source.kind == "replay":
            st.badge(f"replay of {plain(source.name)}", icon=":material/replay:", color="blue")
            st.caption(played, width="content", help=not_live)
        else:
            st.badge(f"war game {plain(source.name)}", icon=":material/stadia_controller:", color="violet")
            st.caption(played, width="content", help=not_live)


def _live_badge(quiet_seconds: float) -> None:
    icon = ":material/sensors:"
    if quiet_seconds < STALE_SECONDS:
        st.badge("live", icon=icon, color="green")
    else:
        st.badge("live, but stale", icon=icon, color="orange" if quiet_seconds < 10 * STALE_SECONDS else "red")


def why_empty(what: str, view: View, source: Source) -> str:
    """Why a chart or table of `what` has nothing to show, and what to do; markdown."""
    where = f" on {', '.join(map(plain, view.wikis))}" if view.wikis else ""
    reason = f"No {what}{where} in the last {view.range.words}."
    if source.kind == "live" and source.quiet_seconds > view.range.seconds:
        return (
            f"{reason} The newest edit is {duration(source.quiet_seconds)} old: see that `battlefield produce` and "
            "`battlefield work` run."
        )
    return f"{reason} Choose a longer range{' or other wikis' if view.wikis else ''}."


def open_battle(battle_id: str) -> None:
    """Go to the page of one battle, and keep the viewer's choice for the way back."""
    # kept beside the address: Streamlit lets nobody but the widget itself set a parameter that is bound to it
    st.session_state[WAY_BACK] = {name: st.query_params.get_all(name) for name in st.query_params}
    st.switch_page("views/battle.py", query_params={"battle": battle_id})


def way_back() -> None:
    """A link from a battle to all of them, as the viewer left them."""
    address = st.session_state.get(WAY_BACK, {})
    st.page_link("views/battles.py", label="All battles", icon=":material/arrow_back:", query_params=address)


def section(title: str, meaning: str, found: pd.DataFrame, empty: str, draw: Callable[[pd.DataFrame], None]) -> None:
    """A headed part of a page: what `draw` makes of the rows found, or why there are none (markdown)."""
    st.subheader(title, help=meaning)
    if found.empty:
        st.info(empty)
    else:
        draw(found)


def show(chart: alt.Chart | alt.LayerChart, key: str) -> None:
    """Put a chart on the page so that new rows move it, and nothing flickers.

    Altair names a chart's rows after their content, so each second would be a new chart to the browser and be drawn
    from nothing. Under one name for ever, new rows reach the chart that is already there.
    """
    # not validated here: that takes longer than all the rest, and the tests of charts/ do it
    specification = chart.properties(data=alt.NamedData("rows")).to_dict(validate=False)
    st.vega_lite_chart({**specification, "datasets": {"rows": chart.data}}, key=key, width="stretch")
