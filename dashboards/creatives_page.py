"""Creatives: every picture with how it did and how it came to be."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from abplatform.figures import share
from dashboards.creatives_view import (
    ORDERS,
    Choices,
    CreativeCard,
    Filters,
    choices,
    creative_cards,
)
from dashboards.html_pieces import badge, facts, notice, picture, shown
from dashboards.page_frame import Data, footer, open_page
from dashboards.pictures import thumbnail

_PER_PAGE = 24
_ALL = "All"


def show() -> None:
    """Draw the page."""
    data = open_page()
    offered = choices(data.published)
    st.html('<h1 class="abp-title">Creatives</h1>')
    if not offered.experiments:
        st.html(notice("No creatives yet.", "Draw some with `abp generate`, or run `abp demo`."))
        st.stop()
    with st.container(key="abp-filters"):
        *columns, last = st.columns([3, 3, 2, 2, 1.4])
    cards = creative_cards(data.published, _filters(offered, columns))
    with last:
        first = _page_of(len(cards))
    visible = cards[first : first + _PER_PAGE]
    words = _counted(len(cards), first, len(visible))
    scored = any(card.predicted.why is None for card in visible)
    if visible and not scored:
        words += "; no reward model had scored them before they ran"
    st.html(f'<p class="abp-quiet">{words}.</p>')
    gallery = "".join(_card(card, data, scored=scored) for card in visible)
    st.html(f'<div class="abp-gallery">{gallery}</div>')
    footer(data)


def _filters(offered: Choices, columns: Sequence[DeltaGenerator]) -> Filters:
    asked = st.query_params.get("experiment")
    if asked in offered.experiments:
        st.session_state.setdefault("creatives_experiment", asked)
    with columns[0]:
        experiment = st.selectbox(
            "Experiment", [_ALL, *offered.experiments], key="creatives_experiment"
        )
    with columns[1]:
        product = st.selectbox("Product", [_ALL, *offered.products], key="creatives_product")
    with columns[2]:
        source = st.selectbox("Source", [_ALL, *offered.sources], key="creatives_source")
    with columns[3]:
        order = st.selectbox(
            "First", list(ORDERS), format_func=lambda name: ORDERS[name], key="creatives_order"
        )
    return Filters(
        experiment=None if experiment == _ALL else experiment,
        product=None if product == _ALL else product,
        source=None if source == _ALL else source,
        order=order,
    )


def _page_of(number: int) -> int:
    pages = -(-number // _PER_PAGE)
    if pages <= 1:
        return 0
    page = st.number_input(f"Page of {pages}", 1, pages, key="creatives_page")
    return (int(page) - 1) * _PER_PAGE


def _counted(number: int, first: int, visible: int) -> str:
    if number == 0:
        return "No creative fits these filters"
    if number == visible:
        return f"{number} creative{'' if number == 1 else 's'}"
    return f"{first + 1} to {first + visible} of {number:,} creatives"


def _standing(card: CreativeCard) -> str:
    if card.standing is None or card.p_win is None:
        return ""
    sure = f"probability of a higher CTR than the control's creative: {share(card.p_win)}"
    if card.p_win_explored is not None:
        sure += f"; by the floor's own draws alone: {share(card.p_win_explored)}"
    words = badge(f"{card.standing} {share(card.p_win)}", card.standing)
    return f'<span title="{escape(sure)}">{words}</span>'


def _card(card: CreativeCard, data: Data, *, scored: bool) -> str:
    review = badge(card.review, card.review) if card.review else ""
    alt = f"{card.source} creative for {card.title}"
    lineage = facts(card.lineage) if card.lineage else "<p>Nothing is known about its making.</p>"
    image = picture(thumbnail(data.workspace.root, card.picture), alt)
    predicted = (
        f'<div><span class="abp-label">Predicted</span>{shown(card.predicted)}</div>'
        if scored
        else ""
    )
    place = dict.fromkeys([card.category, card.experiment, card.variant])
    place.pop(card.source, None)
    return (
        f'<article class="abp-creative">{image}'
        f"<div class='abp-body'><h3>{escape(card.title)}</h3>"
        f"<p>{badge(card.source, card.source)}{review}{_standing(card)}</p>"
        f'<div class="abp-row"><div><span class="abp-label">CTR</span>{shown(card.ctr)}'
        f'<small>{escape(card.interval)}</small></div><div><span class="abp-label">Seen</span>'
        f"{shown(card.impressions)}</div>{predicted}"
        f"</div><p class='abp-quiet'>{escape(' · '.join(place))}</p>"
        f"<details><summary>Lineage</summary>{lineage}</details></div></article>"
    )


show()
