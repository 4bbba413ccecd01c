"""The dashboard's routes and its top line; `abp dashboard` starts this file with Streamlit."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from abplatform.figures import plot_style

_HERE = Path(__file__).parent

pages = [
    st.Page(_HERE / "home_page.py", title="Home", url_path="home", default=True),
    st.Page(_HERE / "scorecard_page.py", title="Scorecard", url_path="scorecard"),
    st.Page(_HERE / "creatives_page.py", title="Creatives", url_path="creatives"),
]
page = st.navigation(pages, position="hidden")
st.set_page_config(
    page_title=f"{page.title} · abplatform", page_icon=str(_HERE / "icon.svg"), layout="wide"
)
st.html(_HERE / "style.css")
st.html(f"<style>{plot_style()}</style>")
with st.container(key="abp-top", horizontal=True, vertical_alignment="center", gap="small"):
    st.html('<span class="abp-brand"><i></i><i></i>abplatform</span>', width="content")
    for linked in pages:
        st.page_link(linked)
page.run()
