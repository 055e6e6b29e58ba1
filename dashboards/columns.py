"""Columns of tables. A table draws text as it is, on a canvas: nothing that a stranger wrote is markup there."""

from typing import Any, TypeAlias

import streamlit as st

Column: TypeAlias = Any  # Streamlit's own type is not public


def text(label: str, width: int = 100, meaning: str | None = None) -> Column:
    """Text; `width` in pixels. No alignment: the grid finds each cell's own, and cuts off what it is forced to."""
    return st.column_config.TextColumn(label, width=width, help=meaning)


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
    return st.column_config.DatetimeColumn(label, width=150, format="YYYY-MM-DD HH:mm:ss", timezone="UTC")


def link(label: str, words: str, width: int = 70) -> Column:
    """An address of services/common/links.py under fixed words; `width` in pixels."""
    return st.column_config.LinkColumn(label, width=width, display_text=words)


def course(label: str, meaning: str, width: int = 110) -> Column:
    """Numbers over time, as small bars; `width` in pixels."""
    return st.column_config.BarChartColumn(label, width=width, help=meaning, y_min=0, color="red")
