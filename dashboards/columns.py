"""Columns of tables. A table draws text as it is, on a canvas: nothing that a stranger wrote is markup there."""

from typing import Any, TypeAlias

import streamlit as st

Column: TypeAlias = Any  # Streamlit's own type is not public

# What a heading means where a table says nothing of its own; each is one sentence.
MEANINGS = {
    "Account": "An editor without an account: a temporary account or an IP address.",
    "Active last (UTC)": "The time of the newest change that is kept.",
    "As it came (begins with)": "The first bytes of what could not be used.",
    "Audited (UTC)": "When the audit began.",
    "By": "Who did it.",
    "By whom": "The contributions of who did it, on the wiki.",
    "Class": "People have an account, temporary accounts and IP addresses have none, bots carry MediaWiki's bot flag.",
    "Code": "What the names of the language's databases begin with.",
    "Comment": "What the editor wrote as a summary of the edit.",
    "Diff": "What the edit changed, on the wiki.",
    "Editor": "Who made the edit or the revert.",
    "Editor's": "The editor's contributions, on the wiki.",
    "From (UTC)": "The event time from which on it looked.",
    "Fighter": "Who reverted or was reverted in the battle.",
    "First (UTC)": "The time of the first revert.",
    "First side": "The side of the editor who reverted first, and of his allies.",
    "History": "All versions of the page, on the wiki.",
    "Kind": "A page or an editor.",
    "Language": "Its Wikipedia and its sister projects, such as Wiktionary, together.",
    "Last": "What the newest revert changed, on the wiki.",
    "Last (UTC)": "The time of the newest revert.",
    "Last on": "The page of the newest revert between the two.",
    "Method": "Undo: one edit; rollback: an editor's last edits; restore: an old version; manual: by hand.",
    "Log": "The wiki's log of the page or of the blocked user.",
    "Mostly on": "The wiki with most of the reverts.",
    "Name": "The page's title, or the editor's name.",
    "Namespace": "MediaWiki's kind of page, such as articles, talk pages and templates.",
    "Newest (UTC)": "The time of the newest one.",
    "Newest edit": "What the newest edit changed, on the wiki.",
    "Newest error": "Why the newest one could not be used.",
    "Opponent": "The other one of the two who reverted each other.",
    "Opponent's": "The opponent's contributions, on the wiki.",
    "Page": "The page's title, with its namespace.",
    "Page's": "All versions of the page, on the wiki.",
    "Pages, five at most": "The titles of the pages.",
    "Raised (UTC)": "When the last of the reverts was made that make the case.",
    "Reason": "Why: each reason is explained in docs/architecture.md.",
    "Reverted": "Whose edit was undone; not known where the comment and the page's history do not tell.",
    "Reverter": "Who undid the edit.",
    "Reverter's": "The reverter's contributions, on the wiki.",
    "Second side": "Those who are reverted by the first side, and revert it.",
    "Side": "On which side of the battle: who revert each other are on two, who restore each other's versions on one.",
    "Source topic": "Wikimedia's own log that the changes came from.",
    "Time (UTC)": "When the edit was made.",
    "Up to (UTC)": "The event time up to which it looked.",
    "War since (UTC)": "When the third alternating revert made it a war.",
    "What": "The entry of the log.",
    "Wiki": "The wiki's database name, such as enwiki for the English Wikipedia.",
    "Work": "The editor's contributions, on the wiki.",
}


def _meaning(label: str) -> str | None:
    return "What this revert changed, on the wiki." if label.startswith("Revert ") else MEANINGS.get(label)


def text(label: str, width: int = 100, meaning: str | None = None) -> Column:
    """Text; `width` in pixels. No alignment: the grid finds each cell's own, and cuts off what it is forced to."""
    return st.column_config.TextColumn(label, width=width, help=meaning or _meaning(label))


def number(label: str, meaning: str, width: int = 70, number_format: str = "localized") -> Column:
    """A number, a whole one where `number_format` does not say else; `width` in pixels."""
    return st.column_config.NumberColumn(label, width=width, help=meaning, format=number_format)


def share(label: str, meaning: str, width: int = 110) -> Column:
    """A share from 0 to 100, as a bar with its number; `width` in pixels."""
    return st.column_config.ProgressColumn(
        label, width=width, help=meaning, format="%.0f %%", min_value=0, max_value=100
    )


def clock(label: str) -> Column:
    """A time in UTC, with its date: a range may be of weeks, or of years ago."""
    shown = {"format": "YYYY-MM-DD HH:mm:ss", "timezone": "UTC"}
    return st.column_config.DatetimeColumn(label, width=150, help=_meaning(label), **shown)


def link(label: str, words: str, width: int = 70) -> Column:
    """An address of services/common/links.py under fixed words; `width` in pixels."""
    return st.column_config.LinkColumn(label, width=width, display_text=words, help=_meaning(label))


def course(label: str, meaning: str, width: int = 110) -> Column:
    """Numbers over time, as small bars; `width` in pixels."""
    return st.column_config.BarChartColumn(label, width=width, help=meaning, y_min=0, color="red")
