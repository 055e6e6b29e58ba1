"""Look-up: one page's or one editor's story, as far as it is kept.

Which one stands in the address: `?q=Moon` is what was searched, `?page=Moon&on=enwiki` or `?editor=Ann` what was found.
"""

from functools import partial
from typing import NamedTuple

import pandas as pd
import streamlit as st

from dashboards.battle_tables import PHASES, battles_table
from dashboards.board import RANGES, View, controls, live, moment_of, open_battle, section, show
from dashboards.charts.battle import tug_chart, tug_rows
from dashboards.data import Source, rows
from dashboards.grid import addresses
from dashboards.patrol_tables import watch_table
from dashboards.story_tables import found_table, opponents_table, story_table
from dashboards.words import amount, duration, plain
from services.common import links

MOST_FOUND = 20
MOST_EDITS = 200
LOOKED_BACK = RANGES["30d"]._replace(refresh=15.0)  # edits are kept so long; a story moves slowly
LEAST_MARGIN = pd.Timedelta(seconds=20)
NO_LOG = pd.DataFrame(columns=["timestamp", "log_type", "log_action", "fighter"])


class Subject(NamedTuple):
    """Whose story is told."""

    page: str  # a title, or none
    editor: str
    wikis: list[str]  # the page's; of an editor the viewer's choice, none: all
    server_name: str = ""


def draw(text: str, view: View, source: Source) -> None:
    """What was found, and the story of the one that was chosen or that is the only one of this very name."""
    at = moment_of(view, source.now)
    if text:
        found = rows("search_names", text=text, wikis=at.wikis, until=at.until, limit=MOST_FOUND)
        if found.empty:
            where = f" on {', '.join(map(plain, view.wikis))}" if view.wikis else ""
            st.info(
                f"Nothing{where} begins with “{plain(text)}”. Searched are the names of all pages and editors of the "
                "last 30 days, from their beginning; capitals do not matter."
            )
        else:
            st.caption(f"Pages and editors that begin with “{plain(text)}”. Choose one.")
            if chosen := found_table(found):
                choose(found.iloc[int(chosen)])
            exact = found[found["exact"] == 1]
            if len(exact) == 1 and not subject_of_address(view):
                choose(exact.iloc[0])
    subject = subject_of_address(view)
    if subject:
        story(subject, view, source)
    elif not text:
        st.info("Search a page or an editor by the beginning of the name, such as `Battle of` or `Petra`.")


def choose(found: pd.Series) -> None:
    """Put what was found into the address."""
    for name in ("page", "on", "editor"):
        st.query_params.pop(name, None)
    if found["kind"] == "page":
        st.query_params["page"] = found["name"]
        st.query_params["on"] = found["wiki"]
    else:
        st.query_params["editor"] = found["name"]


def subject_of_address(view: View) -> Subject | None:
    """Whom the address names."""
    if page := st.query_params.get("page"):
        wiki = st.query_params.get("on", "")
        return Subject(page, "", [wiki] if wiki else list(view.wikis))
    if editor := st.query_params.get("editor"):
        return Subject("", editor, list(view.wikis))
    return None


def story(subject: Subject, view: View, source: Source) -> None:
    """One story: queries, then charts."""
    at = moment_of(view, source.now)
    whose = {"title": subject.page, "user": subject.editor, "wikis": subject.wikis}
    edits = rows("story_edits", **whose, until=at.until, limit=MOST_EDITS)
    pairs = rows("story_reverts", **whose, until=at.until)
    span = {"since": at.since, "until": at.until, "wikis": subject.wikis}
    battles = rows("battles", title=subject.page, fighter=subject.editor, brewing=1, **span)
    alerts = rows("three_revert_watch", title=subject.page, user=subject.editor, **span)
    linked = source.kind != "war game"  # a war game's pages exist on no wiki

    headline(subject, edits, linked)
    figures(subject, edits, pairs, battles, alerts, source)
    name = plain(subject.page or subject.editor)
    if subject.page:
        drawn = edits.dropna(subset=["length_new"]).assign(side="")
        addressed = addresses(links.diff, drawn, "rev_id") if linked else [None] * len(drawn)
        steps = tug_rows(drawn, NO_LOG, addressed, *around(drawn["timestamp"], source.now)) if len(drawn) else drawn
        meaning = "Each step is an edit; a dashed arc leads from an edit to the revert that undid it."
        none = f"No edits of {name} are kept."
        section("Size of the page", meaning, steps, none, lambda found: show(tug_chart(found, legend=False), "size"))
    meaning = "Reverts both ways: how often the one reverted the other, and was reverted by the other."
    section("Reverts", meaning, pairs, f"No reverts of {name} are kept.", lambda f: opponents_table(f, linked))

    def table_of_battles(found: pd.DataFrame) -> None:
        if chosen := battles_table(found, source.now):
            open_battle(chosen)

    section("Battles", f"Choose one to open it. {PHASES}", battles, f"No battles of {name}.", table_of_battles)
    meaning = "Three reverts of one editor on one page within 24 hours are a warning, four a breach."
    no_alerts = f"No alerts of the three-revert watch for {name}."
    section("Three-revert watch", meaning, alerts, no_alerts, lambda found: watch_table(found, "story_alerts", linked))
    meaning = f"The newest {MOST_EDITS} edits and entries of the log, the newest first."
    none = f"Nothing of {name} is kept. Edits are kept for 30 days."
    section("Edits", meaning, edits, none, lambda found: story_table(found, bool(subject.page), linked))


def around(times: pd.Series, now: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The span from the first to the last of these times with a margin, so that none lies on the edge."""
    margin = max((times.max() - times.min()) / 20, LEAST_MARGIN)
    return times.min() - margin, min(times.max() + margin, max(now, times.max()))


def headline(subject: Subject, edits: pd.DataFrame, linked: bool) -> None:
    """The name, where it is, and its place on the wiki."""
    st.header(plain(subject.page or subject.editor), anchor=False)
    server = edits["server_name"].iloc[0] if len(edits) else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge("page" if subject.page else "editor", color="blue")
        where = ", ".join(map(plain, subject.wikis)) or "all wikis"
        st.caption(where, width="content")
        if linked and subject.page and (history := links.history(server, subject.page)):
            st.link_button("Page history", history, type="tertiary", icon=":material/history:")
        if linked and subject.editor and (work := links.contributions(server, subject.editor)):
            st.link_button("Contributions", work, type="tertiary", icon=":material/history:")


def figures(
    subject: Subject,
    edits: pd.DataFrame,
    pairs: pd.DataFrame,
    battles: pd.DataFrame,
    alerts: pd.DataFrame,
    source: Source,
) -> None:
    """The story at a glance."""
    with st.container(horizontal=True, gap="small"):
        shown = f"{len(edits):,}{' or more' if len(edits) == MOST_EDITS else ''} edits"
        newest = (
            f"newest {duration((source.now - edits['timestamp'].max()).total_seconds())} ago" if len(edits) else None
        )
        st.metric(
            "Edits",
            shown,
            newest,
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help="Edits, new pages and log entries that are kept and listed below.",
        )
        made, suffered = pairs["reverts"].sum(), pairs["reverted_back"].sum()
        st.metric(
            "Reverts",
            amount(made if subject.editor else made + suffered, "revert"),
            f"{suffered:,} suffered" if subject.editor else None,
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help="Reverts of others, as below; reverting oneself never counts.",
        )
        st.metric(
            "Battles",
            amount(len(battles), "battle"),
            border=True,
            height="stretch",
            help="Edit wars of the last 30 days.",
        )
        st.metric(
            "Alerts", amount(len(alerts), "alert"), border=True, height="stretch", help="Of the three-revert watch."
        )


def search() -> None:
    """A new search: the address has its words, and names nobody any more."""
    for name in ("page", "on", "editor", "q"):
        st.query_params.pop(name, None)
    if words := st.session_state["q"]:
        st.query_params["q"] = words


# Not bound to the address: the widget would write its own parameter there while `search` writes the others, and which
# came last would be what stays.
st.session_state.setdefault("q", st.query_params.get("q", ""))
with st.container(horizontal=True, vertical_alignment="center", gap="small"):
    searched = st.text_input(
        "Page or editor",
        key="q",
        max_chars=255,
        placeholder="Page or editor, from its beginning",
        icon=":material/search:",
        label_visibility="collapsed",
        on_change=search,
        width=420,
    )
    view = controls(ranged=False)._replace(range=LOOKED_BACK)
live(partial(draw, (searched or "").strip()), view)
