"""What all pages share: the controls, the moment they look at, the line that says what plays, refresh and errors."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import altair as alt
import pandas as pd
import streamlit as st
from clickhouse_connect.driver.exceptions import DatabaseError

from dashboards.data import Source, explain, rows, what_plays
from dashboards.namespaces import NAMESPACES, namespace_name
from dashboards.words import duration, moment, plain


class Range(NamedTuple):
    """How far back a picture goes, how fine it is, and how often it is drawn anew; all in seconds."""

    seconds: int
    step: int
    coarse: int  # step of a heat map and of small charts
    refresh: float
    words: str


# The key stands in the address. Steps keep a chart at 60 to 360 points, a heat map at 30 to 48; what moves slowly is
# read less often. From 7 days on, steps are whole hours: query `tallies` reads the hourly roll-up there.
RANGES = {
    "15m": Range(900, 10, 30, 2.0, "15 min"),
    "1h": Range(3600, 60, 120, 2.0, "1 h"),
    "6h": Range(21_600, 60, 600, 5.0, "6 h"),
    "24h": Range(86_400, 300, 1800, 15.0, "24 h"),
    "7d": Range(604_800, 3600, 14_400, 60.0, "7 days"),
    "30d": Range(2_592_000, 14_400, 86_400, 120.0, "30 days"),
}
PAST_REFRESH = 30.0  # seconds; what is over hardly changes, but ClickHouse may come back
FIRST_EDIT = datetime(2001, 1, 15)


# Wikipedia is never silent this long: there are 33 changes a second
STALE_SECONDS = 30

LEAST_COVERED = 10.0  # seconds, a window of `fronts`: a rate over less is noise

PADDING = {"left": 0, "top": 8, "right": 4, "bottom": 4}  # pixels around a chart; Streamlit would leave 20 below it

WAY_BACK = "way back"  # session state: the address's parameters before a battle was opened


class View(NamedTuple):
    """What a viewer chose."""

    range: Range
    wikis: Sequence[str] = ()  # empty: all
    namespaces: Sequence[int] = ()  # empty: all
    until: pd.Timestamp | None = None  # the board as it was then; None: now

    @property
    def span_words(self) -> str:
        """`in the last 1 h`, or `in the 1 h before 2024-12-07 12:00:00 UTC`."""
        if self.until is None:
            return f"in the last {self.range.words}"
        return f"in the {self.range.words} before {moment(self.until)}"


class Moment(NamedTuple):
    """A view at a moment: the parameters that every query of one picture shares."""

    since: pd.Timestamp
    until: pd.Timestamp
    wikis: Sequence[str]
    namespaces: Sequence[int]


def moment_of(view: View, now: pd.Timestamp) -> Moment:
    """The range that ends now. It begins on a full step, so it is up to one step longer than chosen."""
    until = now.ceil("s")
    since = (until - pd.Timedelta(seconds=view.range.seconds)).floor(f"{view.range.step}s")
    return Moment(since, until, view.wikis, view.namespaces)


def covered_seconds(at: Moment, oldest_event: pd.Timestamp) -> float:
    """How much of the range is known: a game of ten minutes tells nothing of the rest of an hour."""
    return max((at.until - max(at.since, oldest_event)).total_seconds(), LEAST_COVERED)


def controls(ranged: bool = True, more: Callable[[], None] = lambda: None) -> View:
    """Range, moment and filters, kept in the address so that a link shows the same board.

    `?range=1h&until=2024-12-07T12:00&wiki=dewiki&ns=Article`. Without `ranged` the page shows all that is kept.
    `more` draws a page's own controls beside them.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        chosen = "1h"
        if ranged:
            chosen = st.segmented_control(
                "Range",
                list(RANGES),
                default="1h",
                required=True,
                key="range",
                bind="query-params",
                label_visibility="collapsed",
            )
        with st.popover("Filter", icon=":material/tune:", help="The moment, wikis and namespaces that you look at."):
            until = st.datetime_input(
                "As it was at (UTC)",
                value=None,
                min_value=FIRST_EDIT,
                max_value=FIRST_EDIT.replace(year=2100),
                step=60,
                key="until",
                bind="query-params",
                help="The board as it was at a past moment. Empty: now, which is the newest edit of a recording.",
            )
            wikis = st.multiselect(
                "Wikis",
                _known_wikis(),
                key="wiki",
                bind="query-params",
                accept_new_options=True,
                placeholder="All wikis",
                help="Database names: enwiki (English Wikipedia), dewiktionary (German Wiktionary), wikidatawiki.",
            )
            names = st.multiselect(
                "Namespaces",
                list(NAMESPACES.values()),
                key="ns",
                bind="query-params",
                placeholder="All namespaces",
                help="MediaWiki's kinds of pages: articles, their talk pages, users' pages, templates and so on.",
            )
        more()
        then = pd.Timestamp(until, tz="UTC") if until else None
        for words in ([f"as it was at {moment(then)}"] if then else []) + wikis + names:
            st.badge(plain(words), color="gray")
    return View(RANGES[chosen or "1h"], wikis, [number for number, name in NAMESPACES.items() if name in names], then)


def _known_wikis() -> list[str]:
    """Suggestions for the filter; any other name may be typed. What is wrong, if anything, the page below tells."""
    try:
        source = what_plays()
        if source is None:
            return []
        day = moment_of(View(RANGES["24h"]), source.now.floor("h"))  # the same for an hour, so it is shared
        return sorted(rows("wikis", since=day.since, until=source.now.ceil("h"), limit=1000)["wiki"])
    except DatabaseError:
        return []


def live(draw: Callable[[View, Source], None], view: View) -> None:
    """Draw now, and again every `view.range.refresh` seconds, without running the rest of the page.

    `draw` gets the source as it was at the view's moment.
    """

    def once() -> None:
        try:
            source = what_plays()
            if source is None:
                st.info("Nothing is stored yet. The first changes appear here by themselves.")
                st.caption("Nothing after a minute? See that `battlefield produce` and `battlefield work` run.")
            else:
                status_line(source)
                draw(view, as_it_was(source, view.until))
        except DatabaseError as error:
            trouble = explain(error)
            st.error(f"{plain(trouble.what)} {trouble.remedy}", icon=":material/cloud_off:")
            st.caption("This page tries again every few seconds and comes back by itself.")
            with st.expander("What ClickHouse or the connection said"):
                st.code(trouble.detail, language=None, wrap_lines=True)

    st.fragment(once, run_every=PAST_REFRESH if view.until else view.range.refresh)()


def as_it_was(source: Source, until: pd.Timestamp | None) -> Source:
    """The source at a past moment: nothing is newer than that."""
    if until is None or until >= source.now:
        return source
    return source._replace(now=until, newest_event=min(source.newest_event, until))


def status_line(source: Source) -> None:
    """What plays and how fresh it is."""
    quiet = duration(source.quiet_seconds)
    newest = moment(source.newest_event)
    played = f"played up to {newest}, read {quiet} ago"
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
            # its seed; begin and settings, which keep the topics of games apart, follow in the name
            seed = source.name.partition("-")[0]
            st.badge(f"war game {plain(seed)}", icon=":material/stadia_controller:", color="violet")
            st.caption(played, width="content", help=not_live)


def _live_badge(quiet_seconds: float) -> None:
    icon = ":material/sensors:"
    if quiet_seconds < STALE_SECONDS:
        st.badge("live", icon=icon, color="green")
    else:
        st.badge("live, but stale", icon=icon, color="orange" if quiet_seconds < 10 * STALE_SECONDS else "red")


def why_empty(what: str, view: View, source: Source, ranged: bool = True) -> str:
    """Why a chart or table of `what` has nothing to show, and what to do; markdown.

    Without `ranged` the span is no choice of the viewer's.
    """
    where = f" on {', '.join(map(plain, view.wikis))}" if view.wikis else ""
    if view.namespaces:
        where += f" in {', '.join(map(namespace_name, view.namespaces))}"
    reason = f"No {what}{where} {view.span_words}."
    if view.until and view.until < source.oldest_event:
        return f"{reason} What is kept begins at {moment(source.oldest_event)}."
    if source.kind == "live" and not view.until and source.quiet_seconds > view.range.seconds:
        return (
            f"{reason} The newest edit is {duration(source.quiet_seconds)} old: see that `battlefield produce` and "
            "`battlefield work` run."
        )
    choices = ["a longer range"] if ranged else []
    choices += [f"other {name}" for name, chosen in (("wikis", view.wikis), ("namespaces", view.namespaces)) if chosen]
    return f"{reason} Choose {' or '.join(choices)}." if choices else reason


def why_no_steps(step: int, view: View, source: Source) -> str:
    """Why a chart of steps of `step` seconds shows none: steps that are not known whole are left out."""
    if source.oldest_event < source.newest_event < source.oldest_event.ceil(f"{step}s") + pd.Timedelta(seconds=step):
        return (
            f"What is kept begins at {moment(source.oldest_event)}: no step of {duration(step)} is known whole yet. "
            "Choose a shorter range."
        )
    return why_empty("edits", view, source)


def open_battle(battle_id: str) -> None:
    """Go to the page of one battle, and keep the viewer's choice for the way back."""
    # kept beside the address: Streamlit lets nobody but the widget itself set a parameter that is bound to it
    st.session_state[WAY_BACK] = {name: st.query_params.get_all(name) for name in st.query_params}
    then = {"until": st.query_params["until"]} if "until" in st.query_params else {}
    st.switch_page("views/battle.py", query_params={"battle": battle_id, **then})


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
    specification = chart.properties(data=alt.NamedData("rows"), padding=PADDING).to_dict(validate=False)
    st.vega_lite_chart({**specification, "datasets": {"rows": chart.data}}, key=key, width="stretch")
