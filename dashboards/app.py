"""The dashboard's routes; `abp dashboard` starts this file with Streamlit."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent

page = st.navigation(
    [
        st.Page(_HERE / "home_page.py", title="Home", url_path="home", default=True),
        st.Page(_HERE / "scorecard_page.py", title="Scorecard", url_path="scorecard"),
        st.Page(_HERE / "creatives_page.py", title="Creatives", url_path="creatives"),
    ],
    position="top",
)
st.set_page_config(
    page_title=f"{page.title} · abplatform", page_icon=str(_HERE / "icon.svg"), layout="wide"
)
st.logo(_HERE / "wordmark.svg", size="large", icon_image=_HERE / "icon.svg")
page.run()
