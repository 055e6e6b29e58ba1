"""Front line: who edits, where, and who reverts whom. The page to leave on a wall screen."""

from typing import Literal, TypeAlias

import pandas as pd
import streamlit as st

from dashboards.battle_tables import PHASES, newest_battles_table
from dashboards.board import (
    Moment,
    View,
    controls,
    covered_seconds,
    live,
    moment_of,
    open_battle,
    section,
    show,
    why_empty,
    why_no_steps,
)
from dashboards.charts.front import complete_steps, front_chart, reverts_chart
from dashboards.charts.sides import SIDES
from dashboards.charts.wikis import wikis_chart
from dashboards.data import Source, rows
from dashboards.tables import newest_table, pages_table, pairs_table
from dashboards.words import change

BUSIEST_WIKIS = 12
TABLE_ROWS = 15
NEWEST_BATTLES = 6

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
    before = totals_before(looked_at, source)
    wikis = rows("wikis", limit=BUSIEST_WIKIS, **at)
    battles = rows("battles", newest=1, limit=NEWEST_BATTLES, **at)
    pages = rows("pages_under_fire", limit=TABLE_ROWS, **at)
    pairs = rows("who_reverted_whom", limit=TABLE_ROWS, **at)
    newest = rows("newest_reverts", limit=TABLE_ROWS, **at)

    steps = complete_steps(front, view.range.step, source.oldest_event, source.newest_event)
    no_edits = why_empty("edits", view, source)
    no_steps = why_no_steps(view.range.step, view, source)
    no_reverts = why_empty("reverts", view, source)
    linked = source.kind != "war game"  # a war game's pages exist on no wiki

    def battles_table(found: pd.DataFrame) -> None:
        if chosen := newest_battles_table(found, source.now):
            open_battle(chosen)

    figures(totals, before, steps, view, looked_at, source)
    left, right = st.columns([2, 1], gap="medium")
    with left:
        meaning = "Edits per minute: people and temporary accounts push up, bots push down."
        section("The front", meaning, steps, no_steps, lambda found: show(front_chart(found, view.range.step), "front"))
        meaning = f"Reverts per minute, by all sides. {REVERT}"
        section(
            "Reverts", meaning, steps, no_steps, lambda found: show(reverts_chart(found, view.range.step), "reverts")
        )
    with right:
        meaning = f"The {BUSIEST_WIKIS} busiest wikis, in the front's colours: people to the right, bots to the left."
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


def totals_before(at: Moment, source: Source) -> pd.DataFrame | None:
    """Totals of the range of the same length before this one, where that is known whole."""
    before = at._replace(since=at.since - (at.until - at.since), until=at.since)
    return rows("totals", **before._asdict()) if source.oldest_event <= before.since else None


def figures(
    totals: pd.DataFrame, before: pd.DataFrame | None, steps: pd.DataFrame, view: View, at: Moment, source: Source
) -> None:
    """Totals of the range with their course, against the range before where that is known whole."""
    minutes = covered_seconds(at, source.oldest_event) / 60

    def figure(label: str, unit: str, actors: list[str], course: pd.Series, colour: Colour, meaning: str) -> None:
        now, earlier = (
            0 if found is None else int(found[found["actor"].isin(actors)][unit].sum()) for found in (totals, before)
        )
        against = None if before is None else change(now, earlier)
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
            course = steps[steps["actor"] == actor]["edits"]
            figure(side, "edits", [actor], course, COLOURS[actor], MEANINGS[actor])
        figure("All sides", "reverts", list(SIDES), steps.groupby("time")["reverts"].sum(), "red", REVERT)


live(draw, controls())
