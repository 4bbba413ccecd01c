"""Scorecard: one experiment's verdict, what it rests on, and the pictures behind it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd
import streamlit as st

from abplatform.figures import course_plot, forest_plot, share
from dashboards.duels_view import Duel, Prediction, Side
from dashboards.html_pieces import (
    badge,
    headline,
    lamp,
    notice,
    picture,
    section,
    shown,
    table,
    with_code,
)
from dashboards.lift_rows import LiftRow, forest_rows
from dashboards.number_words import moment
from dashboards.page_frame import Data, footer, open_page
from dashboards.pictures import thumbnail
from dashboards.scorecard_view import (
    ScorecardView,
    daily_rates,
    experiment_keys,
    scorecard_view,
)


def show() -> None:
    """Draw the page."""
    data = open_page()
    keys = experiment_keys(data.published)
    if not keys:
        st.html('<h1 class="abp-title">Scorecard</h1>')
        st.html(notice("No experiments yet.", "Write one into `experiments/`, see `abp init`."))
        st.stop()
    key = _choose(keys)
    view = scorecard_view(data.published, key)
    if len(view.treatments) > 1:
        chosen = st.pills("Compared with control", view.treatments, default=view.treatments[0])
        view = scorecard_view(data.published, key, treatment=chosen)
    st.html(_verdict(view, data))
    if view.treatment is None:
        st.html(notice("Nothing to compare yet.", view.ruling.sentence))
    else:
        _numbers(view)
        _course(view)
        _pictures(view, data)
        _tables(view)
        _days(view, data)
    footer(data)


def _choose(keys: Sequence[str]) -> str:
    asked = st.query_params.get("experiment") or st.session_state.get("last_scorecard")
    if "scorecard_experiment" not in st.session_state and asked is not None:
        if asked in keys:
            st.session_state["scorecard_experiment"] = asked
        else:
            st.html(notice(f"There is no experiment {asked}.", "Here is another one."))
    key = st.selectbox("Experiment", keys, key="scorecard_experiment", width=420)
    st.query_params["experiment"] = key
    # A widget's own memory ends when another page is opened; this one stays.
    st.session_state["last_scorecard"] = key
    return key


def _verdict(view: ScorecardView, data: Data) -> str:
    ruling = view.ruling
    kind = ruling.verdict or "none"
    hypothesis = view.facts["hypothesis"]
    gaps = "".join(f"<p>{escape(gap)}</p>" for gap in ruling.gaps)
    parts = [
        f'<section class="abp-verdict abp-{kind.replace("_", "-")}">',
        f"<p>{badge(ruling.verdict or 'no verdict', kind)}</p><h1>{escape(ruling.sentence)}</h1>",
        f'<p class="abp-hypothesis">{escape(hypothesis)}</p>' if hypothesis else "",
        _meta(view, data),
        f'<div class="abp-meta">{lamp(ruling.srm, with_label=False)}',
        f"<span>{escape(ruling.split)}</span></div>",
        _list("abp-reasons", ruling.reasons),
        _list("abp-warnings", ruling.warnings),
        f"<details><summary>What is not computed</summary>{gaps}</details>" if gaps else "",
        "</section>",
    ]
    return "".join(parts)


def _meta(view: ScorecardView, data: Data) -> str:
    ruling, zone = view.ruling, data.workspace.settings.time_zone
    facts = [badge(view.facts["state"], view.facts["state"])]
    if ruling.status:
        facts.append(badge(ruling.status, ruling.status))
    if ruling.as_of:
        facts.append(f"<span>events until {moment(ruling.as_of, zone)}</span>")
    if view.facts["owner"]:
        facts.append(f"<span>{escape(view.facts['owner'])}</span>")
    if ruling.data_version:
        facts.append(f"<span>data <code>{escape(ruling.data_version)}</code></span>")
    return f'<div class="abp-meta">{"".join(facts)}</div>'


def _list(kind: str, sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{with_code(sentence)}</li>" for sentence in sentences)
    return f'<ul class="{kind}">{items}</ul>' if items else ""


def _numbers(view: ScorecardView) -> None:
    numbers = "".join(headline(line.label, line.shown, line.note) for line in view.headlines)
    st.html(f'<div class="abp-headlines">{numbers}</div>')
    legend = "Coloured results are proven, grey ones may be chance."
    if any(row.shrunken for row in view.lifts):
        legend += " Hollow marks are pulled towards what all have in common: the better guess."
    st.html(section("Lift by category", legend))
    metric, control = view.facts["primary_metric"].upper(), view.facts["control"]
    drawing = forest_plot(
        forest_rows(view.lifts, units=view.units),
        title="Lift by category",
        axis=f"relative change of {metric}, {view.treatment} against {control}",
    )
    _draw(drawing)


def _draw(drawing: str) -> None:
    # st.html drops drawings; st.markdown keeps them. Every text in them is escaped by the figure.
    st.markdown(f'<div class="abp-forest">{drawing}</div>', unsafe_allow_html=True)


def _course(view: ScorecardView) -> None:
    if len(view.course) < 2:
        return
    told = "It decides when the dark line passes a dashed one; the band is valid on all days."
    st.html(section("Lift day by day", told))
    _draw(course_plot(view.course, metric=view.facts["primary_metric"].upper()))


def _tables(view: ScorecardView) -> None:
    st.html(section("The numbers", view.adjustment))
    st.html(_lift_table(view.lifts, "Lifts by category"))
    for dimension, rows in view.breakdowns.items():
        st.html(section(f"Lift by {dimension}"))
        st.html(_lift_table(rows, f"Lifts by {dimension}"))
    if view.others:
        st.html(section("Other metrics", "Over all categories."))
        st.html(_lift_table(view.others, "Other metrics"))


def _lift_table(rows: Sequence[LiftRow], label: str) -> str:
    judged = any(row.verdict for row in rows)
    lines = [
        {"": _label(row)}
        | {name: shown(cell, reason=False) for name, cell in row.cells.items()}
        | ({"Verdict": _verdict_cell(row)} if judged else {})
        for row in rows
    ]
    return table(lines, label=label)


def _label(row: LiftRow) -> str:
    why = f"<small>{escape(row.why)}</small>" if row.why else ""
    return f"{escape(row.label)}{why}"


def _verdict_cell(row: LiftRow) -> str:
    if row.verdict is None:
        return ""
    return f'<span title="{escape(row.verdict_reason)}">{badge(row.verdict, row.verdict)}</span>'


def _days(view: ScorecardView, data: Data) -> None:
    frame = daily_rates(data.published, view.key)
    if frame["day"].nunique() < 2:
        return
    st.html(section("Day by day", "CTR of each variant; single days are noisy."))
    variants = [view.facts["control"], *view.treatments]
    st.vega_lite_chart(_day_chart(frame, variants))


def _day_chart(frame: pd.DataFrame, variants: Sequence[str]) -> dict[str, object]:
    # A date with a time of day is read in the viewer's zone, so that a day keeps its name there.
    days = frame.assign(day=frame["day"].map(lambda day: f"{day:%Y-%m-%d}T00:00:00"))
    ticks = {"format": "%-d %b", "tickCount": {"interval": "day", "step": 1}, "grid": False}
    rates = {"format": ".2~%", "tickCount": 5}
    return {
        "data": {"values": days.to_dict("records")},
        "mark": {"type": "line", "point": True, "strokeWidth": 2},
        "height": 240,
        "encoding": {
            "x": {"field": "day", "type": "temporal", "title": None, "axis": ticks},
            "y": {
                "field": "ctr",
                "type": "quantitative",
                "title": None,
                "axis": rates,
                "scale": {"zero": False},
            },
            "color": {
                "field": "variant",
                "title": None,
                "scale": {"domain": list(variants)},
                "legend": {"orient": "top"},
            },
            "tooltip": [
                {"field": "variant"},
                {"field": "day", "type": "temporal"},
                {"field": "ctr", "format": ".2%"},
                {"field": "impressions", "format": ","},
            ],
        },
    }


def _pictures(view: ScorecardView, data: Data) -> None:
    st.html(
        section("Winning and losing pictures", "Two creatives of one product, the surest first.")
    )
    if view.duels:
        cards = "".join(_duel(duel, data) for duel in view.duels)
        st.html(f'<div class="abp-duels">{cards}</div>')
    else:
        st.html(
            notice("No pair of pictures yet.", "`abp pairs` compares creatives of one product.")
        )
    st.html(_prediction(view.prediction))


def _duel(duel: Duel, data: Data) -> str:
    title = escape(duel.title)
    return (
        f'<article class="abp-duel"><header><h3 title="{title}">{title}</h3>'
        f'<span class="abp-quiet">{escape(duel.category)}</span></header>'
        f'<div class="abp-sides">{_side(duel.winner, "won", duel.title, data)}'
        f"{_side(duel.loser, 'lost', duel.title, data)}</div>"
        f"<p class='abp-quiet'>The left one is better with a probability of "
        f"<b>{share(duel.p_win)}</b>.</p></article>"
    )


def _side(side: Side, fate: str, title: str, data: Data) -> str:
    source = badge(side.source, side.source) if side.source else ""
    text = f"<p>{escape(side.text)}</p>" if side.text else ""
    alt = f"{side.source or 'unknown'} creative for {title}, {fate}"
    image = picture(thumbnail(data.workspace.root, side.picture), alt)
    return (
        f'<div class="abp-side abp-{fate}">{image}{source}'
        f"{text}<p>{shown(side.ctr)} CTR</p>"
        f"<small>{escape(side.impressions.text)} impressions</small></div>"
    )


def _prediction(prediction: Prediction) -> str:
    title = section("Predicted against realised", "Did the reward model foresee the winners?")
    if prediction.accuracy.why:
        return title + f'<p class="abp-quiet">Not known: {escape(prediction.accuracy.why)}.</p>'
    foreseen = f"{prediction.agreed:,} of {prediction.pairs:,} pairs"
    return (
        f'{title}<div class="abp-headlines">'
        f"{headline('Foreseen', prediction.accuracy, foreseen)}"
        f"{headline('Possible', prediction.ceiling, 'clicks are noisy, nobody foresees more')}"
        "</div>"
    )


show()
