"""Battles: edit wars on one page each, the fiercest first. Choosing one opens it."""

from functools import partial

import streamlit as st

from dashboards.battle_tables import PHASES, battles_table
from dashboards.board import View, controls, live, moment_of, open_battle, why_empty
from dashboards.data import Source, rows

MOST_BATTLES = 100


def draw(brewing: bool, view: View, source: Source) -> None:
    """One picture: the query, then the table."""
    at = moment_of(view, source.now)
    battles = rows("battles", brewing=int(brewing), limit=MOST_BATTLES, **at._asdict())

    counts = battles["phase"].value_counts()
    with st.container(horizontal=True, gap="small"):
        st.metric("At war", f"{counts.get('war', 0)}", border=True, help="With a revert within the last hour.")
        st.metric("Ceasefire", f"{counts.get('ceasefire', 0)}", border=True, help="No revert for an hour.")
        st.metric("Ended", f"{counts.get('ended', 0)}", border=True, help="Within the range.")
        if brewing:
            st.metric("Brewing", f"{counts.get('brewing', 0)}", border=True, help="Two alternating reverts so far.")
    st.subheader("Battles", help=f"Ranked by intensity, then by reverts. {PHASES}")
    if battles.empty:
        st.info(why_empty("battles", view, source))
        return
    st.caption("Choose a row to open the battle.")
    if chosen := battles_table(battles, source.now):
        open_battle(chosen)


view = controls()
meaning = "Battles too that are no wars yet: someone answered a revert with a revert, and nobody has answered that."
brewing = st.toggle("Show what is brewing", key="brewing", bind="query-params", help=meaning)
live(partial(draw, brewing), view)
