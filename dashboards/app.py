"""The board: navigation and nothing else. Each page is a file of pages/ that reads controls -> queries -> charts."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

# the icon is a file of our own: for one by name, browsers would ask a font server on the internet
st.set_page_config(page_title="Wiki Battlefield", page_icon=str(HERE / "logo.svg"), layout="wide")
st.logo(str(HERE / "logo.svg"), size="large")
st.html(HERE / "style.css")
st.navigation(
    [
        st.Page("pages/front_line.py", title="Front line", icon=":material/swords:", default=True),
        st.Page("pages/health.py", title="Health", icon=":material/monitor_heart:"),
    ],
    position="top",
).run()
