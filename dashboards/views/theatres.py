"""Theatres: where the war is fought. Wikis against time, language against language, ground gained and lost."""

from functools import partial

import pandas as pd
import streamlit as st

from dashboards.board import (
    Moment,
    View,
    controls,
    covered_seconds,
    live,
    moment_of,
    section,
    show,
    why_empty,
    why_no_steps,
)
from dashboards.charts.front import complete_steps, front_chart
from dashboards.charts.theatres import (
    MEASURES,
    duel_chart,
    duel_rows,
    heat_chart,
    heat_rows,
    language_rows,
    sides_of,
    territory_chart,
    territory_rows,
)
from dashboards.data import Source, rows
from dashboards.languages import LANGUAGES, language_name
from dashboards.theatre_tables import languages_table, territory_table
from dashboards.words import plain

MOST_WIKIS = 20  # of the heat map
MULTIPLES, IN_A_ROW = 6, 3
MOST_LANGUAGES = 40


def draw(measure: str, duel: list[str | None], view: View, source: Source) -> None:
    """One picture: queries, then charts."""
    at = moment_of(view, source.now)
    step = view.range.coarse
    since = at.since.floor(f"{step}s")
    asked = at._replace(since=since)._asdict()
    theatres = rows("theatres", step=step, limit=MOST_WIKIS, **asked)
    languages = rows("languages", step=step, limit=MOST_LANGUAGES, **asked)
    territory = rows("territory", **at._asdict())
    no_edits = why_empty("edits", view, source)
    no_steps = why_no_steps(step, view, source)

    meaning = (
        f"The {MOST_WIKIS} busiest wikis, the busiest on top; the stronger the colour, the more happened in a step of "
        "time. Colours follow the square root, so that small wikis show."
    )
    if not theatres.empty:
        theatres = complete_steps(theatres, step, source.oldest_event, source.newest_event)
        languages = complete_steps(languages, step, source.oldest_event, source.newest_event)
    heat = theatres if theatres.empty else heat_rows(theatres, step)
    section("Wikis against time", meaning, heat, no_steps, lambda found: show(heat_chart(found, measure), "heat"))
    multiples(theatres, step, no_steps)
    left, right = st.columns([3, 2], gap="medium")
    summed = languages if languages.empty else language_rows(languages)
    with left:
        meaning = "Two languages over time, Wikipedia and its sister projects together: one pushes up, one down."
        section("Language against language", meaning, summed, no_steps, partial(fight, languages, duel, step, measure))
    with right:
        meaning = f"The {MOST_LANGUAGES} busiest. Wikidata, Commons and others without a language are left out."
        minutes = covered_seconds(Moment(since, *at[1:]), source.oldest_event) / 60
        section("Languages", meaning, summed, no_steps, lambda found: languages_table(found, minutes))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        meaning = (
            "Bytes by which edits made pages grow (gained) and shrink (lost), where most moved. Content: articles, "
            "Wikidata's properties and lexemes; Users: their own pages; Workshop: files, templates, and the rest."
        )
        section(
            "Territory",
            meaning,
            territory,
            no_edits,
            lambda found: show(territory_chart(territory_rows(found)), "ground"),
        )
    with right:
        meaning = "The same by wiki and namespace, the largest gains first."
        section("Gained and lost", meaning, territory, no_edits, territory_table)


def multiples(theatres: pd.DataFrame, step: int, empty: str) -> None:
    """A small front of each of the busiest wikis, each on its own scale."""
    meaning = "Edits per minute: people and temporary accounts push up, bots push down. Each has a scale of its own."
    st.subheader("The busiest fronts", help=meaning)
    if theatres.empty:
        st.info(empty)
        return
    totals = theatres.groupby("wiki")["edits"].sum().sort_values(ascending=False)
    for first in range(0, min(len(totals), MULTIPLES), IN_A_ROW):
        for place, column in enumerate(st.columns(IN_A_ROW, gap="small"), start=first):
            if place < len(totals):
                wiki, edits = str(totals.index[place]), totals.iloc[place]
                with column, st.container(border=True):
                    st.markdown(f"**{plain(wiki)}** · {edits:,} edits")
                    show(front_chart(sides_of(theatres, wiki, step), step, small=True), f"front_{place}")


def fight(languages: pd.DataFrame, duel: list[str | None], step: int, measure: str, summed: pd.DataFrame) -> None:
    """Two languages: those chosen, else the busiest."""
    busiest = [code for code in summed["language"] if code not in duel]
    first, second = (code or (busiest.pop(0) if busiest else "") for code in duel)
    found = languages.assign(language=languages["language"].map(language_name))
    fought = duel_rows(found, language_name(first), language_name(second), step, measure)
    show(duel_chart(fought, measure), "duel")


def compare() -> None:
    """The page's own controls: what is compared, and which two languages; an empty one is the busiest that is left."""
    st.segmented_control(
        "Compare",
        list(MEASURES),
        default="edits",
        required=True,
        key="measure",
        bind="query-params",
        label_visibility="collapsed",
    )
    with st.popover("Languages", icon=":material/translate:", help="The two languages that stand against each other."):
        for label, key, placeholder in (("Language", "language", "the busiest"), ("Against", "against", "the next")):
            st.selectbox(
                label,
                list(LANGUAGES),
                index=None,
                key=key,
                bind="query-params",
                format_func=language_name,
                placeholder=placeholder,
            )


view = controls(more=compare)
chosen = st.session_state
live(partial(draw, chosen["measure"] or "edits", [chosen["language"], chosen["against"]]), view)
