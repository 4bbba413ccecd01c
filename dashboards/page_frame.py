"""What every page begins with: its data, or a helpful word when there is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from abplatform.errors import AbplatformError
from abplatform.logs.store.published import Published, current_version, read_published
from abplatform.workspace import Workspace, open_workspace
from dashboards.html_pieces import notice
from dashboards.number_words import moment

__all__ = ["Data", "footer", "open_page"]


@dataclass(frozen=True, slots=True)
class Data:
    """What a page shows.

    Args:
        workspace: Where it comes from; pages read pictures there, nothing else.
        published: The current version of the published tables.
    """

    workspace: Workspace
    published: Published


def open_page() -> Data:
    """Read the page's data; where there is none, say what to do and end the page."""
    try:
        workspace = open_workspace()
        version = current_version(workspace.published)
        data = Data(workspace, _read(str(workspace.published), version))
    except AbplatformError as error:
        remedy = error.remedy or ""
        st.html(notice(_sentence(error.message), _sentence(remedy)))
        st.stop()
    return data


def footer(data: Data) -> None:
    """Say from when the numbers are."""
    at = moment(data.published.published_at, data.workspace.settings.time_zone)
    zone = data.workspace.settings.time_zone.key
    st.html(
        f'<p class="abp-footer">Published {at} ({zone}), version {data.published.version}. '
        "Numbers change when a job publishes, never while you look.</p>"
    )


@st.cache_resource(max_entries=2, show_spinner=False)
def _read(root: str, version: int) -> Published:
    """Read a version once for everybody; ``version`` makes a newer one a new entry."""
    del version
    return read_published(Path(root))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
