"""Three-revert watch: who is one revert away from breaking the rule, and who broke it, with the diffs that show it."""

import streamlit as st

from dashboards.board import View, controls, live, moment_of, section, why_empty
from dashboards.data import Source, rows
from dashboards.patrol_tables import watch_table
from dashboards.words import amount

MOST_ROWS = 200
RULE = (
    "Wikipedia's three-revert rule: nobody makes more than three reverts on one page within 24 hours. Consecutive "
    "reverts count once, reverts of oneself never."
)
CLAIM = "Reverts of obvious vandalism and the like are exempt. Claims are taken from the comments and not verified."


def draw(view: View, source: Source) -> None:
    """One picture: the query, then the tables."""
    alerts = rows("three_revert_watch", limit=MOST_ROWS, **moment_of(view, source.now)._asdict())
    linked = source.kind != "war game"  # a war game's pages exist on no wiki

    breaches = alerts[alerts["kind"] == "three_revert_breach"].reset_index(drop=True)
    warnings = alerts[alerts["kind"] == "three_revert_warning"].reset_index(drop=True)
    claimed = alerts[(alerts["exempt_claims"] == alerts["reverts"]) & (alerts["reverts"] > 0)]
    with st.container(horizontal=True, gap="small"):
        st.metric("Breaches", amount(len(breaches), "case"), border=True, help=f"Four reverts or more. {RULE}")
        st.metric(
            "Warnings", amount(len(warnings), "case"), border=True, help=f"Three reverts: one more breaks it. {RULE}"
        )
        st.metric(
            "Claimed exempt", amount(len(claimed), "case"), border=True, help=f"Each of the reverts claims it. {CLAIM}"
        )
    no_breaches = why_empty("breaches of the three-revert rule", view, source)
    section("Breaches", RULE, breaches, no_breaches, lambda found: watch_table(found, "breaches", linked))
    no_warnings = why_empty("editors with three reverts on a page", view, source)
    section("Warnings", RULE, warnings, no_warnings, lambda found: watch_table(found, "warnings", linked))
    st.caption(f"One row per editor and page, with the highest count in the range. {CLAIM}")


live(draw, controls())
