"""Home: what runs, what it says so far, and whether the data can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote
from zoneinfo import ZoneInfo

import streamlit as st

from dashboards.home_view import ExperimentCard, Overview, SourceHealth, overview
from dashboards.html_pieces import (
    badge,
    headline,
    lamp,
    notice,
    section,
    shown,
    table,
    with_code,
)
from dashboards.number_words import Shown, count, moment, plain
from dashboards.page_frame import footer, open_page

_CARDS = 12
_CONCERNS = 6


def show() -> None:
    """Draw the page."""
    data = open_page()
    zone = data.workspace.settings.time_zone
    view = overview(data.published, now=data.workspace.clock())
    st.html(_top(view))
    if not view.experiments:
        st.html(notice("No experiments yet.", "Write one into `experiments/`, see `abp init`."))
    cards = _chosen(view.experiments)
    st.html(f'<div class="abp-cards">{"".join(_card(card, zone) for card in cards[:_CARDS])}</div>')
    if len(cards) > _CARDS:
        st.html(section(f"{len(cards) - _CARDS:,} more", "Search for a key to see its card."))
        st.html(_list(cards[_CARDS:][:200]))
    st.html(section("Data health", "Where the logs come from and whether they are complete."))
    st.html(_sources(view.sources, zone))
    footer(data)


def _top(view: Overview) -> str:
    running = view.states["running"]
    words = {
        "Experiments": (len(view.experiments), ", ".join(_states(view)) or "none yet"),
        "Creatives": (view.creatives, "shown so far"),
        "Events": (sum(source.counts["accepted"] for source in view.sources), "accepted"),
    }
    numbers = [headline(label, count(value), note) for label, (value, note) in words.items()]
    alarms = sum(light.level == "alarm" for light in view.concerns)
    watches = len(view.concerns) - alarms
    note = f"{watches} to watch" if watches else "nothing else to watch"
    attention = Shown(f"{alarms} alarm{'' if alarms == 1 else 's'}" if alarms else "All in order")
    numbers.append(headline("Health", attention, note))
    concerns = "".join(f"<li>{lamp(light)}</li>" for light in view.concerns[:_CONCERNS])
    if len(view.concerns) > _CONCERNS:
        concerns += f'<li class="abp-quiet">and {len(view.concerns) - _CONCERNS:,} more</li>'
    below = f'<ul class="abp-concerns">{concerns}</ul>' if concerns else ""
    title = (
        "Nothing runs right now"
        if running == 0
        else f"{running:,} experiment{' runs' if running == 1 else 's run'}"
    )
    tiles = f'<div class="abp-headlines">{"".join(numbers)}</div>'
    return f'<h1 class="abp-title">{title}</h1>{tiles}{below}'


def _states(view: Overview) -> list[str]:
    return [f"{number:,} {state}" for state, number in view.states.items() if number]


def _chosen(cards: Sequence[ExperimentCard]) -> Sequence[ExperimentCard]:
    """Offer a search once there are more experiments than cards."""
    if len(cards) <= _CARDS:
        return cards
    wanted = st.text_input("Search", placeholder="key, owner or verdict", key="search").lower()
    return [
        card
        for card in cards
        if wanted in " ".join([card.key, card.owner or "", plain(card.verdict or "")]).lower()
    ]


def _card(card: ExperimentCard, zone: ZoneInfo) -> str:
    verdict = badge(card.verdict, card.verdict) if card.verdict else ""
    hypothesis = f'<p class="abp-quiet">{escape(card.hypothesis)}</p>' if card.hypothesis else ""
    return (
        f'<a class="abp-card" href="scorecard?experiment={quote(card.key)}" target="_self">'
        f"<header><h3>{escape(card.key)}</h3><span>{badge(card.state, card.state)}{verdict}</span>"
        f"</header>{hypothesis}<p class='abp-sentence'>{with_code(card.sentence)}</p>"
        f'<div class="abp-row"><div><span class="abp-label">Lift of {escape(card.metric.upper())}'
        f"</span>{shown(card.lift)}</div><div><span class='abp-label'>Interval</span>"
        f"{shown(card.interval) if card.interval.why is None else ''}</div>"
        f'<div><span class="abp-label">Time</span>{escape(_time(card, zone))}</div></div>'
        f"<footer>{lamp(card.srm, with_label=False)}</footer></a>"
    )


def _time(card: ExperimentCard, zone: ZoneInfo) -> str:
    if card.started_at:
        began = moment(card.started_at, zone).partition(",")[0]
        if card.ended_at is None:
            return f"since {began}"
        ended = moment(card.ended_at, zone).partition(",")[0]
        return f"{began.removesuffix(ended[-5:])} to {ended}"
    return "assigned elsewhere" if card.external else "not started"


def _list(cards: Sequence[ExperimentCard]) -> str:
    rows = [
        {
            "Experiment": f'<a href="scorecard?experiment={quote(card.key)}" target="_self">'
            f"{escape(card.key)}</a>",
            "State": badge(card.state, card.state),
            "Verdict": badge(card.verdict, card.verdict) if card.verdict else "",
            "Lift": shown(card.lift),
        }
        for card in cards
    ]
    return table(rows, label="Further experiments")


def _sources(sources: Sequence[SourceHealth], zone: ZoneInfo) -> str:
    if not sources:
        return notice("No logs yet.", "Bring some with `abp ingest FILE`.")
    return f'<div class="abp-cards">{"".join(_source(source, zone) for source in sources)}</div>'


def _source(source: SourceHealth, zone: ZoneInfo) -> str:
    until = moment(source.watermark, zone) if source.watermark else "nothing loaded"
    fates = "".join(
        f'<div><span class="abp-label">{fate}</span>'
        f'<span class="abp-number">{number:,}</span></div>'
        for fate, number in source.counts.items()
        if number or fate in ("received", "accepted", "quarantined")
    )
    reasons = ", ".join(f"{plain(word)} {number:,}" for word, number in source.reasons.items())
    why = f'<p class="abp-quiet">In quarantine: {escape(reasons)}.</p>' if reasons else ""
    lights = "".join(
        f"<li>{lamp(light, with_label=False)}</li>"
        for light in (source.freshness, source.quarantine, source.balance)
    )
    return (
        f'<div class="abp-card"><header><h3>{escape(source.source)}</h3>'
        f'<span class="abp-quiet">{escape(until)}</span></header>'
        f'<div class="abp-row">{fates}</div><ul class="abp-lights">{lights}</ul>{why}</div>'
    )


show()
