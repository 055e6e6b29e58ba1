"""How every table is put on a page, and how a row of it is chosen."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from dashboards.columns import Column

ROW_HEIGHT = 33  # pixels, as Streamlit draws them at the font size of config.toml
MOST_ROWS = 22  # a longer table scrolls in itself


def table(frame: pd.DataFrame, key: str, columns: dict[str, Column]) -> None:
    """A table to read; its toolbar downloads it as CSV."""
    st.dataframe(frame, key=key, hide_index=True, placeholder="–", column_config=columns)


def choosing_table(
    frame: pd.DataFrame, ids: pd.Series, key: str, columns: dict[str, Column], most_rows: int = MOST_ROWS
) -> str | None:
    """A table one of whose rows can be chosen, by its box or by any cell; the chosen row's id, once."""
    drawn, chosen = f"{key} drawn", f"{key} chosen"

    def choose() -> None:
        # this runs before the table is drawn anew, so `drawn` is what the viewer saw: meanwhile the order may change
        selection = st.session_state[key].selection
        row = next(iter([*selection.rows, *(row for row, _ in selection.cells)]), None)
        if row is not None and row < len(st.session_state[drawn]):
            st.session_state[chosen] = st.session_state[drawn][row]

    st.dataframe(
        frame,
        key=key,
        hide_index=True,
        placeholder="–",
        column_config=columns,
        height=ROW_HEIGHT * (min(len(frame), most_rows) + 1) + 2,
        on_select=choose,
        selection_mode=["single-row", "single-cell"],
    )
    st.session_state[drawn] = ids.tolist()
    choice: str | None = st.session_state.pop(chosen, None)
    return choice


def addresses(build: Callable[..., str | None], found: pd.DataFrame, column: str) -> list[str | None]:
    """The address that a function of links.py builds for each row, of its `server_name` and another column."""
    return [build(*row) for row in found[["server_name", column]].itertuples(index=False)]
