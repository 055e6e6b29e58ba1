"""Hot pages: where this hour is unlike the day before, and what is fought over on several wikis at once."""

import pandas as pd
import streamlit as st

from dashboards.board import RANGES, View, controls, live, moment_of, section, why_empty
from dashboards.data import Source, rows
from dashboards.hot_tables import editor_fronts_table, hot_pages_table, title_fronts_table
from dashboards.words import amount

MOST_PAGES = 30
MOST_FRONTS = 15
LEAST_EDITORS = 3
DAY = 24  # hours


def draw(view: View, source: Source) -> None:
    """One picture: queries, then tables."""
    at = moment_of(view, source.now)._asdict()
    del at["since"]  # both questions have spans of their own
    pages = rows("hot_pages", editors=LEAST_EDITORS, limit=MOST_PAGES, **at)
    fronts = rows("cross_wiki_fronts", hours=DAY, limit=MOST_FRONTS, **at)
    linked = source.kind != "war game"  # a war game's pages exist on no wiki
    titles = fronts[fronts["kind"] == "title"].reset_index(drop=True)
    editors = fronts[fronts["kind"] == "editor"].reset_index(drop=True)
    hour = view._replace(range=RANGES["1h"])
    no_pages = why_empty(
        f"page with unusually many edits by {LEAST_EDITORS} editors or more", hour, source, ranged=False
    )
    no_titles = why_empty("title under reverts on two wikis", view, source, ranged=False)
    no_editors = why_empty("editor reverted on two wikis", view, source, ranged=False)

    figures(pages, titles, editors)
    meaning = (
        "Pages with more edits in the last hour than the day before, and their wiki's pace, lead one to expect; by "
        f"{LEAST_EDITORS} editors or more, bots left out."
    )
    section("Hot pages", meaning, pages, no_pages, lambda found: hot_pages_table(found, linked))
    if not pages.empty and pages["known_hours"].min() < DAY:
        hours = amount(int(pages["known_hours"].min()), "whole hour")
        st.caption(f"Of the day before, {hours} {'is' if hours.startswith('1 ') else 'are'} known.")
    meaning = (
        "Articles and talk pages with the same title whose edits were reverted on several wikis within 24 hours. A "
        "rule of thumb: one word may mean two things, and a topic with another name in another language is not seen."
    )
    section("One title on several wikis", meaning, titles, no_titles, lambda f: title_fronts_table(f, linked))
    meaning = "Accounts whose edits were reverted on several wikis within 24 hours, on whatever pages."
    section("One editor on several wikis", meaning, editors, no_editors, lambda f: editor_fronts_table(f, linked))


def figures(pages: pd.DataFrame, titles: pd.DataFrame, editors: pd.DataFrame) -> None:
    """Hot pages at a glance."""

    def figure(label: str, value: str, meaning: str) -> None:
        st.metric(label, value, border=True, help=meaning)

    with st.container(horizontal=True, gap="small"):
        most = f", {MOST_PAGES} at most" if len(pages) == MOST_PAGES else ""
        figure("Hot", amount(len(pages), "page"), f"Pages above what is expected of them{most}.")
        figure("Of these reverted", amount(int((pages["reverts"] > 0).sum()), "page"), "Hot pages with reverts.")
        figure("Titles on several wikis", amount(len(titles), "front"), "As in the table below.")
        figure("Editors on several wikis", amount(len(editors), "editor"), "As in the table below.")


# an hour against a day: drawn anew as often as a picture of a day
live(draw, controls(ranged=False)._replace(range=RANGES["24h"]))
