"""Health: whether what the other pages show is fresh, complete and on time."""

from importlib.metadata import version

import pandas as pd
import streamlit as st

from dashboards.board import View, controls, live, moment_of, section, show, why_empty, why_no_steps
from dashboards.charts.front import complete_steps
from dashboards.charts.rate import rate_chart
from dashboards.data import Source, rows
from dashboards.tables import (
    audits_table,
    coverage_table,
    dead_letters_table,
    dropped_table,
    late_table,
    ledger_table,
)
from dashboards.words import amount, duration, plain

MOST_WIKIS = 20


def draw(view: View, source: Source) -> None:
    """One picture: queries, then charts."""
    at = moment_of(view, source.now)._asdict()
    front = rows("front", step=view.range.step, **at)
    delays = rows("delays", **at)
    ledger = rows("ledger", since=at["since"])
    dropped = rows("dropped")
    late = rows("late", limit=20, **at)
    dead = rows("dead_letters")
    audits = rows("last_audits")
    coverage = rows("coverage", limit=MOST_WIKIS, **at)
    versions = rows("versions").iloc[0]

    steps = complete_steps(front, view.range.step, source.oldest_event, source.newest_event)

    figures(delays, steps, ledger, late, dead, audits, source, view.range.step)
    meaning = "Edits and new pages per second, by the time they were made."
    no_edits = why_no_steps(view.range.step, view, source)
    section("Rate", meaning, steps, no_edits, lambda found: show(rate_chart(found, view.range.step), "rate"))
    meaning = (
        "What was read of each of Wikimedia's own topics, and what became of it. Edits, new pages and log entries are "
        "kept; `categorize` and canary events are dropped; what cannot be used is a dead letter."
    )
    no_ledger = "No page of the ledger yet: the producer writes one per 1,000 source offsets."
    section("The producer's ledger", meaning, ledger, no_ledger, ledger_table)
    left, right = st.columns(2, gap="medium")
    with left:
        meaning = "Left out on purpose, since the ledger began."
        section("Dropped, by reason", meaning, dropped, "Nothing was dropped yet.", dropped_table)
    with right:
        meaning = "Came after their window had closed: stored as edits, but not in the fronts."
        section("Late, by wiki", meaning, late, f"Nothing came late {view.span_words}.", late_table)
    meaning = (
        "How many of each wiki's edits are recognised as reverts, and of how many it is known whom they revert; the "
        "busiest wikis first. Far fewer than on others: its editors may use words that are not known here."
    )
    no_edits = why_empty("edits", view, source)
    section("Reverts recognised, by wiki", meaning, coverage, no_edits, coverage_table)
    meaning = "What could not be used, with the newest of each reason; nothing is thrown away."
    section("Dead letters", meaning, dead, "No dead letters.", dead_letters_table)
    meaning = (
        "An audit recomputes windows, reverts, battles, alerts and roll-ups in SQL from the edits, and compares them "
        "row for row with what the stream wrote."
    )
    none = "No audit has run yet: `battlefield audit` runs one."
    section("Last audit", meaning, audits, none, audits_table)
    st.caption(
        f"ClickHouse {plain(versions['clickhouse'])} · tables at migration {versions['migration']} "
        f"({plain(versions['migration_name'])}) · Streamlit {version('streamlit')} · Altair {version('altair')}"
    )


def figures(
    delays: pd.DataFrame,
    steps: pd.DataFrame,
    ledger: pd.DataFrame,
    late: pd.DataFrame,
    dead: pd.DataFrame,
    audits: pd.DataFrame,
    source: Source,
    step: int,
) -> None:
    """Freshness, delay, rate, lag, late, dead and the last audit at a glance."""

    def delay(label: str, what: str, meaning: str) -> None:
        known = delays.iloc[0] if len(delays) else None
        st.metric(
            label,
            "–" if known is None else f"{known[f'{what}_median']:.1f} s",
            None if known is None else f"95 of 100 in {known[f'{what}_95']:.0f} s",
            delta_color="off",
            delta_arrow="off",
            border=True,
            height="stretch",
            help=meaning,
        )

    def figure(label: str, value: str, meaning: str, detail: str | None = None) -> None:
        st.metric(
            label, value, detail, delta_color="off", delta_arrow="off", border=True, height="stretch", help=meaning
        )

    behind = ledger["behind"].dropna()
    newest = steps[steps["time"] == steps["time"].max()]["edits"].sum() / step if len(steps) else None
    with st.container(horizontal=True, gap="small"):
        if source.kind == "live":  # a recording's edits are as old as they are
            meaning = "The clock minus the time of the newest edit in ClickHouse."
            figure("Freshness", duration(source.quiet_seconds), meaning)
            delay(
                "Edit to read",
                "read",
                "From an edit to the producer's reading it, median over the last hour of the range; Wikimedia takes "
                "about 2 s of it.",
            )
        delay(
            "Read to stored",
            "stored",
            "From the producer's reading to the row in ClickHouse, median over the last hour of the range.",
        )
        figure(
            "Lag",
            amount(int(behind.max()), "offset") if len(behind) else "–",
            "How many source offsets the stored edits are behind the producer's ledger, in the slowest partition. "
            "About half of all offsets are events that are dropped.",
        )
        rate = "–" if newest is None else f"{newest:,.1f} edits/s"
        figure("Rate", rate, f"Edits and new pages per second, in the newest whole step of {duration(step)}.")
        figure("Late", amount(late["changes"].sum(), "change"), "In the range; by wiki below.")
        figure("Dead letters", amount(dead["letters"].sum(), "letter"), "All that are kept; by reason below.")
        figure("Last audit", *audit_words(audits))


def audit_words(audits: pd.DataFrame) -> tuple[str, str, str | None]:
    """What the newest audit of each source found: in a word, what the word means, and how long ago it was."""
    meaning = "Whether the rows that the stream wrote agree with SQL over the edits; by source below."
    if audits.empty:
        return "none yet", meaning, None
    wrong = int(audits[["mismatches", "gaps", "unstored"]].sum().sum())
    ago = duration((pd.Timestamp.now("UTC") - audits["started"].max()).total_seconds())
    return ("agrees" if audits["passed"].all() else amount(wrong, "difference")), meaning, f"{ago} ago"


live(draw, controls())
