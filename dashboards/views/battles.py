"""Battles: edit wars on one page each, the fiercest first. Choosing one opens it."""

from functools import partial

import streamlit as st

from dashboards.battle_tables import PHASES, battles_table
from dashboards.board import View, controls, live, moment_of, open_battle, why_empty
from dashboards.data import Source, rows
from dashboards.words import amount

MOST_BATTLES = 100


def draw(brewing: bool, view: View, source: Source) -> None:
    """One picture: the query, then the table."""
    at = moment_of(view, source.now)
    battles = rows("battles", brewing=int(brewing), limit=MOST_BATTLES, **at._asdict())

    counts = battles["phase"].value_counts()

    def count(phase: str) -> str:
        return amount(counts.get(phase, 0), "battle")

    with st.container(horizontal=True, gap="small"):
        st.metric("At war", count("war"), border=True, help="With a revert within the last hour.")
        st.metric("Ceasefire", count("ceasefire"), border=True, help="No revert for an hour.")
        st.metric("Ended", count("ended"), border=True, help="Within the range.")
        if brewing:
            st.metric("Brewing", count("brewing"), border=True, help="Two alternating reverts so far.")
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
