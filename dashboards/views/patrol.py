"""Patrol: how fast edits are reverted, by whom, and whose."""

import pandas as pd
import streamlit as st

from dashboards.board import View, controls, live, moment_of, section, show, why_empty
from dashboards.charts.patrol import share_chart, share_rows, speed_by_wiki_chart, speed_chart
from dashboards.data import Source, rows
from dashboards.patrol_tables import bursts_table, patrollers_table
from dashboards.words import amount

QUICK = 60  # seconds
MOST_BURSTS = 100


def draw(view: View, source: Source) -> None:
    """One picture: queries, then charts."""
    at = moment_of(view, source.now)._asdict()
    speeds = rows("time_to_revert", **at)
    by_wiki = rows("time_to_revert_by_wiki", **at)
    patrollers = rows("patrollers", **at)
    shares = rows("reverted_share", **at)
    bursts = rows("bursts", limit=MOST_BURSTS, **at)
    linked = source.kind != "war game"  # a war game's pages exist on no wiki
    no_reverts = why_empty("reverts", view, source)

    figures(speeds, shares, bursts)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        meaning = "Of each side's reverts, how many came so soon after the edit; where the reverted edit is known."
        section("Time to revert", meaning, speeds, no_reverts, lambda found: show(speed_chart(found), "speeds"))
    with right:
        meaning = "The middle half of each wiki's reverts, and their median; the wikis with most reverts first."
        section("By wiki", meaning, by_wiki, no_reverts, lambda found: show(speed_by_wiki_chart(found), "by_wiki"))
    bots = patrollers["actor"] == "bot"
    left, right = st.columns(2, gap="medium")
    with left:
        meaning = "The people and temporary accounts who reverted most."
        holders = patrollers[~bots].reset_index(drop=True)
        section("Who holds the line", meaning, holders, no_reverts, lambda f: patrollers_table(f, "people", linked))
    with right:
        meaning = "The bots that reverted most."
        machines = patrollers[bots].reset_index(drop=True)
        no_bots = why_empty("reverts by bots", view, source)
        section("Bots on patrol", meaning, machines, no_bots, lambda found: patrollers_table(found, "bots", linked))
    left, right = st.columns([2, 3], gap="medium")
    with left:
        meaning = "Reverts that hit temporary accounts and people, per edit that they made in the same range."
        no_edits = why_empty("edits by temporary accounts", view, source)
        section("Reverted share", meaning, share_rows(shares), no_edits, lambda _: show(share_chart(shares), "shares"))
    with right:
        meaning = "Temporary accounts that were reverted on two pages or more: vandalism in a burst."
        no_bursts = why_empty("accounts reverted on several pages", view, source)
        section("Bursts", meaning, bursts, no_bursts, lambda found: bursts_table(found, linked))


def figures(speeds: pd.DataFrame, shares: pd.DataFrame, bursts: pd.DataFrame) -> None:
    """Patrol at a glance."""
    reverts = speeds["reverts"].sum()
    quick = speeds[speeds["up_to"] <= QUICK]["reverts"].sum()
    by_bots = speeds[speeds["actor"] == "bot"]["reverts"].sum()

    def share(label: str, part: int, whole: int, of: str, meaning: str) -> None:
        shown = f"{100 * part / whole:.0f} % of {of}" if whole else "–"
        st.metric(label, shown, border=True, help=meaning)

    with st.container(horizontal=True, gap="small"):
        share(
            "Within a minute",
            quick,
            reverts,
            "reverts",
            "Reverts that came within 60 seconds of the edit, where it is known.",
        )
        share("By bots", by_bots, reverts, "reverts", "Reverts made by bots, of those whose edit is known.")
        hit, made = shares["temporary_reverted"].sum(), shares["temporary_edits"].sum()
        meaning = "Reverts that hit temporary accounts, per edit of theirs, on the wikis where they edit most."
        share("Temporary reverted", hit, made, "edits", meaning)
        st.metric(
            "Bursts", amount(len(bursts), "account"), border=True, help="Temporary accounts reverted on several pages."
        )


live(draw, controls())
