"""The board: navigation and nothing else. Each page is a file of views/ that reads controls -> queries -> charts.

Not of a folder `pages`: Streamlit would take that for its older kind of navigation, and who opened the address of a
page as the first after a start would get that page alone, without this file.
"""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

# the icon is a file of our own: for one by name, browsers would ask a font server on the internet
st.set_page_config(page_title="Wiki Battlefield", page_icon=str(HERE / "logo.svg"), layout="wide")
st.logo(str(HERE / "logo.svg"), size="large")
st.html(HERE / "style.css")
st.navigation(
    [
        st.Page("views/front_line.py", title="Front line", icon=":material/swords:", default=True),
        st.Page("views/theatres.py", title="Theatres", icon=":material/public:"),
        st.Page("views/hot_pages.py", title="Hot pages", icon=":material/trending_up:"),
        st.Page("views/battles.py", title="Battles", icon=":material/local_fire_department:"),
        # opened by choosing a battle, or by its address
        st.Page("views/battle.py", title="A battle", icon=":material/swords:", visibility="hidden"),
        st.Page("views/three_reverts.py", title="Three-revert watch", icon=":material/looks_3:"),
        st.Page("views/patrol.py", title="Patrol", icon=":material/local_police:"),
        st.Page("views/look_up.py", title="Look-up", icon=":material/search:"),
        st.Page("views/health.py", title="Health", icon=":material/monitor_heart:"),
    ],
    position="top",
).run()
