"""Front line: who edits, where, and who reverts whom. The page to leave on a wall screen."""

from typing import Literal, TypeAlias

import pandas as pd
import streamlit as st

from dashboards.battle_tables import PHASES, newest_battles_table
from dashboards.board import Moment, View, controls, live, moment_of, open_battle, section, show, why_empty
from dashboards.charts.front import complete_steps, front_chart
from dashboards.charts.sides import SIDES
from dashboards.charts.wikis import wikis_chart
from dashboards.data import Source, rows
from dashboards.tables import newest_table, pages_table, pairs_table
from dashboards.words import change

BUSIEST_WIKIS = 12
TABLE_ROWS = 15
NEWEST_BATTLES = 6
LEAST_COVERED = 10.0  # seconds, a window of `fronts`: a rate over less is noise

Colour: TypeAlias = Literal["blue", "violet", "orange", "red"]  # by .streamlit/config.toml
COLOURS: dict[str, Colour] = {"person": "blue", "temporary": "violet", "bot": "orange"}
MEANINGS = {
    "person": "Edits by people with an account. A new page counts as an edit; log entries do not.",
    "temporary": "Edits without an account: MediaWiki's temporary accounts (names such as ~2026-12345-67) and, "
    "on wikis that have not switched, IP addresses.",
    "bot": "Edits that carry MediaWiki's bot flag.",
}
REVERT = "A revert undoes an edit of someone else. Undoing one's own edit never counts."


def draw(view: View, source: Source) -> None:
    """One picture: queries, then charts."""
    looked_at = moment_of(view, source.now)
    at = looked_at._asdict()
    front = rows("front", step=view.range.step, **at)
    totals = rows("totals", **at)
    wikis = rows("wikis", limit=BUSIEST_WIKIS, **at)
    battles = rows("battles", newest=1, limit=NEWEST_BATTLES, **at)
    pages = rows("pages_under_fire", limit=TABLE_ROWS, **at)
    pairs = rows("who_reverted_whom", limit=TABLE_ROWS, **at)
    newest = rows("newest_reverts", limit=TABLE_ROWS, **at)

    steps = complete_steps(front, view.range.step, source.oldest_event, source.newest_event)
    no_edits = why_empty("edits", view, source)
    no_reverts = why_empty("reverts", view, source)
    linked = source.kind != "war game"  # a war game's pages exist on no wiki

    def battles_table(found: pd.DataFrame) -> None:
        if chosen := newest_battles_table(found, source.now):
            open_battle(chosen)

    figures(totals, steps, view, looked_at, source)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        meaning = "Edits per minute: people and temporary accounts push up, bots push down."
        section("The front", meaning, steps, no_edits, lambda found: show(front_chart(found, view.range.step), "front"))
    with right:
        meaning = f"The {BUSIEST_WIKIS} busiest wikis: people to the right, bots to the left."
        section("By wiki", meaning, wikis, no_edits, lambda found: show(wikis_chart(found), "wikis"))
    meaning = f"Edit wars, the newest first. Choose one to open it. Phases: {PHASES}"
    section("Newest battles", meaning, battles, why_empty("battles", view, source), battles_table)
    left, right = st.columns(2, gap="medium")
    with left:
        meaning = f"The pages with the most reverts. {REVERT}"
        section("Pages under fire", meaning, pages, no_reverts, lambda found: pages_table(found, linked))
    with right:
        meaning = "Pairs of editors on one page. Mutual pairs, where each reverted the other, come first."
        section("Who reverted whom", meaning, pairs, no_reverts, lambda found: pairs_table(found, linked))
    section("Newest reverts", REVERT, newest, no_reverts, lambda found: newest_table(found, linked))


def covered_seconds(at: Moment, oldest_event: pd.Timestamp) -> float:
    """How much of the range is known: a game of ten minutes tells nothing of the rest of an hour."""
    return max((at.until - max(at.since, oldest_event)).total_seconds(), LEAST_COVERED)


def figures(totals: pd.DataFrame, steps: pd.DataFrame, view: View, at: Moment, source: Source) -> None:
    """Totals of the range with their course, against the range before where that is known whole."""
    minutes = covered_seconds(at, source.oldest_event) / 60
    before_is_known = source.oldest_event <= source.now - pd.Timedelta(seconds=2 * view.range.seconds)

    def figure(label: str, unit: str, now: int, before: int, course: pd.Series, colour: Colour, meaning: str) -> None:
        against = change(now, before) if before_is_known else None
        st.metric(
            label,
            f"{now:,} {unit}",
            against or f"{now / minutes:,.1f} per min",
            delta_color=colour,  # the side's colour, not a judgement
            delta_arrow="auto" if against else "off",
            delta_description=f"vs {view.range.words} before" if against else None,
            chart_data=course.tolist() or None,
            chart_type="area",
            border=True,
            height="stretch",
            help=meaning,
        )

    with st.container(horizontal=True, gap="small"):
        for actor, side in SIDES.items():
            mine = totals[totals["actor"] == actor]
            now, before = int(mine["edits"].sum()), int(mine["edits_before"].sum())
            figure(side, "edits", now, before, steps[steps["actor"] == actor]["edits"], COLOURS[actor], MEANINGS[actor])
        now, before = int(totals["reverts"].sum()), int(totals["reverts_before"].sum())
        figure("All sides", "reverts", now, before, steps.groupby("time")["reverts"].sum(), "red", REVERT)


live(draw, controls())
