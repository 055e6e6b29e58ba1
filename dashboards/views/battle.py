"""A battle: who fights whom over one page, blow by blow. Its id stands in the address (`?battle=<id>`)."""

from functools import partial

import pandas as pd
import streamlit as st

from dashboards.battle_tables import (
    ALTERNATIONS,
    INTENSITY,
    KINDS,
    PHASES,
    battle_edits_table,
    battle_log_table,
    fighters_table,
    phase_words,
    why_words,
)
from dashboards.board import RANGES, View, controls, live, moment_of, section, show, way_back
from dashboards.charts.battle import graph_chart, graph_rows, tug_chart, tug_rows
from dashboards.data import Source, rows
from dashboards.grid import addresses
from dashboards.words import amount, duration, moment, plain
from services.common import links

LEAST_MARGIN = pd.Timedelta(seconds=20)


def draw(battle_id: str, view: View, source: Source) -> None:
    """One picture: queries, then charts."""
    at = moment_of(view, source.now)
    found = rows("battles", battle=battle_id, **at._asdict())
    if found.empty:
        known = "There is no battle with this id" + (" that had begun then." if view.until else ".")
        st.info(f"{known} Battles are kept for two years from when they were stored.")
        return
    battle = found.iloc[0]
    edits = rows("battle_edits", battle=battle_id, until=at.until)
    fighters = rows("battle_fighters", battle=battle_id, until=at.until)
    log = rows("battle_log", battle=battle_id, until=at.until)
    linked = source.kind != "war game"  # a war game's pages exist on no wiki

    headline(battle, linked)
    figures(battle, source)
    begin, end = span(battle, source.now)
    addressed = addresses(links.diff, edits, "rev_id") if linked else [None] * len(edits)
    tug = tug_rows(edits, log, addressed, begin, end)
    meaning = (
        "The page's size over time. Each step is an edit, in the colour of who made it and so holds the page; a dashed "
        "arc leads from an edit to the revert that undid it. Choosing a mark opens its diff on the wiki."
    )
    gone = "Its edits are not kept any more: edits are kept for 30 days."
    section("Tug of war", meaning, tug, gone, lambda drawn: show(tug_chart(drawn), "tug"))
    left, right = st.columns(2, gap="medium")
    with left:
        meaning = (
            "A curve leads from who reverted to whom, with how often; the first side stands on the left, the second on "
            "the right. Choosing a fighter opens the contributions on the wiki."
        )
        works = addresses(links.contributions, fighters, "name") if linked else [None] * len(fighters)
        graph = graph_rows(edits, fighters, works)
        section("Who reverted whom", meaning, graph, gone, lambda drawn: show(graph_chart(drawn), "graph"))
    with right:
        meaning = "Everyone who reverted or was reverted in this battle."
        section("Fighters", meaning, fighters, "Nobody is known.", lambda drawn: fighters_table(drawn, linked))
    meaning = "Log entries of the page and blocks of its fighters, until a day after the newest revert."
    none = "Nothing is logged for this battle."
    section("What the administrators did", meaning, log, none, lambda drawn: battle_log_table(drawn, linked))
    section("Edits", "The newest first.", edits, gone, lambda drawn: battle_edits_table(drawn, linked))


def headline(battle: pd.Series, linked: bool) -> None:
    """The page's name, where it is, and how the battle stands."""
    st.header(plain(battle["title"]), anchor=False)
    history = links.history(battle["server_name"], battle["title"]) if linked else None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        colour = {"war": "red", "ceasefire": "orange", "brewing": "blue"}.get(battle["phase"], "gray")
        st.badge(phase_words(battle["phase"], battle["ended_by"]), color=colour, help=PHASES)  # type: ignore[arg-type]
        if kind := KINDS.get(battle["page_kind"]):
            st.badge(kind, color="gray", help="On talk and project pages, arguing is more usual.")
        when = f" · ended {moment(battle['ended_at'])}" if battle["ended_by"] else ""
        st.caption(f"{plain(battle['wiki'])} · first revert {moment(battle['opened'])}{when}", width="content")
        if history:
            st.link_button("Page history", history, type="tertiary", icon=":material/history:")


def figures(battle: pd.Series, source: Source) -> None:
    """Its size at a glance."""

    def figure(label: str, value: str, meaning: str, detail: str | None = None) -> None:
        st.metric(
            label, value, detail, delta_color="off", delta_arrow="off", border=True, height="stretch", help=meaning
        )

    last = battle["ended_at"] if battle["ended_by"] else source.now
    with st.container(horizontal=True, gap="small"):
        claims = f"{battle['exempt_claims']} claim an exemption" if battle["exempt_claims"] else None
        figure("Reverts", amount(battle["reverts"], "revert"), "Reverts by all who fight.", claims)
        figure("Alternations", amount(battle["alternations"], "revert"), ALTERNATIONS)
        figure("Intensity", f"M = {battle['intensity']:,}", INTENSITY, why_words(battle["editors"], battle["pairs"]))
        figure("Edits", amount(battle["edits"], "edit"), "Edits of the page since the first revert, reverts included.")
        lasted = duration((last - battle["opened"]).total_seconds())
        ago = f"newest revert {duration((source.now - battle['updated']).total_seconds())} ago"
        figure("Lasted" if battle["ended_by"] else "Lasts", lasted, "From the first revert to the end, or to now.", ago)


def span(battle: pd.Series, now: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The time that is drawn: the battle with a margin, so that neither its cause nor its end lies on the edge."""
    last = max(battle["updated"], battle["ended_at"]) if battle["ended_by"] else battle["updated"]
    margin = max((last - battle["opened"]) / 8, LEAST_MARGIN)
    return battle["opened"] - margin, min(last + margin, max(now, last))


with st.container(horizontal=True, vertical_alignment="center"):
    way_back()
    until = controls(ranged=False).until
live(partial(draw, st.query_params.get("battle", "")), View(RANGES["1h"], until=until))
