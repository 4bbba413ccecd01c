"""Forest plots: estimates with their intervals around a zero line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from abplatform.figures.amounts import MINUS, percent, shorten
from abplatform.figures.axes import digits_of, ticks

__all__ = ["ForestRow", "Tone", "forest_plot"]

Tone = Literal["better", "worse", "open", "missing"]
"""Whether a result is proven better, proven worse, not proven, or not there at all."""

_WIDTH = 920
_LABELS = 210
_PLOT = 430
_ROW = 34
_TOP = 30
_BOTTOM = 44


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One line of a forest plot.

    Args:
        label: What it is about.
        note: Small print under the label, such as how much it rests on.
        estimate: Where the dot stands, as a fraction; None if there is none.
        low: Lower end of the interval; None where it is open.
        high: Upper end of the interval; None where it is open.
        tone: Chooses the colour.
        why: Shown in place of the dot when there is none.
        strong: Whether the line is the summary of the others.
        pulled: Where the estimate stands after shrinkage, drawn hollow below the raw one.
        pulled_low: Lower end of the shrunken estimate's interval.
        pulled_high: Upper end of it.
    """

    label: str
    note: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    tone: Tone = "open"
    why: str | None = None
    strong: bool = False
    pulled: float | None = None
    pulled_low: float | None = None
    pulled_high: float | None = None


def forest_plot(rows: Sequence[ForestRow], *, title: str, axis: str) -> str:
    """Draw estimates with their intervals around a zero line.

    Args:
        rows: From top to bottom.
        title: For readers who do not see the picture.
        axis: What the horizontal axis means.

    Returns:
        An ``<svg>`` element; its colours come from the page's custom properties.
    """
    low, high = _limits(rows)
    height = _TOP + _ROW * max(len(rows), 1) + _BOTTOM
    bottom = height - _BOTTOM
    scale = _Scale(low, high)
    size = f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}"'
    parts = [f'<svg class="forest" {size} xmlns="http://www.w3.org/2000/svg">']
    for tick in ticks(low, high):
        x = scale.at(tick)
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{bottom}"/>')
        label = "0" if tick == 0 else percent(tick, digits=digits_of(low, high))
        parts.append(f'<text class="tick" x="{x}" y="{bottom + 18}">{label}</text>')
    parts.append(
        f'<text class="tick" x="{_LABELS + _PLOT / 2}" y="{bottom + 36}">{escape(axis)}</text>'
    )
    for index, row in enumerate(rows):
        parts.append(_draw_row(row, _TOP + _ROW * index + _ROW / 2, scale))
    parts.append("</svg>")
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(_LABELS + _PLOT * min(max(share, 0.0), 1.0), 1)


def _draw_row(row: ForestRow, y: float, scale: _Scale) -> str:
    strong = " strong" if row.strong else ""
    up = y - 2 if row.note else y + 5
    parts = [f'<g class="{row.tone}{strong}">']
    parts.append(f'<text class="name" x="0" y="{up}">{escape(shorten(row.label, 28))}</text>')
    if row.note:
        parts.append(f'<text class="note" x="0" y="{y + 12}">{escape(row.note)}</text>')
    if row.estimate is None:
        text = escape(shorten(row.why or "not computed", 96))
        parts.append(f'<text class="why" x="{_LABELS + 8}" y="{y + 4}">{text}</text></g>')
        return "".join(parts)
    parts += [_draw_interval(row, y, scale), _draw_pulled(row, y + 11, scale)]
    x, size = scale.at(row.estimate), 7 if row.strong else 5
    if row.strong:
        diamond = f"{x},{y - size} {x + size},{y} {x},{y + size} {x - size},{y}"
        parts.append(f'<polygon class="dot" points="{diamond}"/>')
    else:
        parts.append(f'<circle class="dot" cx="{x}" cy="{y}" r="{size}"/>')
    right = _LABELS + _PLOT + 24
    parts.append(f'<text class="value" x="{right}" y="{y + 5}">{percent(row.estimate)}</text>')
    parts.append(f'<text class="range" x="{right + 76}" y="{y + 5}">{_range(row)}</text></g>')
    return "".join(parts)


def _draw_interval(row: ForestRow, y: float, scale: _Scale) -> str:
    """A line with caps; an arrow where the interval goes on beyond the picture."""
    low = -math.inf if row.low is None else row.low
    high = math.inf if row.high is None else row.high
    left, right = scale.at(low), scale.at(high)
    parts = [f'<line class="bar" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>']
    for x, beyond, way in ((left, low < scale.low, -1), (right, high > scale.high, 1)):
        if beyond:
            arrow = f"{x},{y} {x - 7 * way},{y - 5} {x - 7 * way},{y + 5}"
            parts.append(f'<polygon class="dot" points="{arrow}"/>')
        else:
            parts.append(f'<line class="bar" x1="{x}" x2="{x}" y1="{y - 5}" y2="{y + 5}"/>')
    return "".join(parts)


def _draw_pulled(row: ForestRow, y: float, scale: _Scale) -> str:
    if row.pulled is None:
        return ""
    bar = ""
    if row.pulled_low is not None and row.pulled_high is not None:
        left, right = scale.at(row.pulled_low), scale.at(row.pulled_high)
        bar = f'<line class="pulled" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'
    dot = f'<circle class="pulled" cx="{scale.at(row.pulled)}" cy="{y}" r="3.5"/>'
    return f"{bar}{dot}"


def _range(row: ForestRow) -> str:
    low = f"{MINUS}\N{INFINITY}" if row.low is None else percent(row.low)
    high = "+\N{INFINITY}" if row.high is None else percent(row.high)
    return f"{low} \N{HORIZONTAL ELLIPSIS} {high}"


def _limits(rows: Sequence[ForestRow]) -> tuple[float, float]:
    """Hold every estimate and most intervals; one very wide interval must not flatten the rest."""
    dots = [row.estimate for row in rows if row.estimate is not None]
    if not dots:
        return -0.1, 0.1
    widths = sorted(
        row.high - row.low for row in rows if row.low is not None and row.high is not None
    )
    reach = 1.5 * widths[len(widths) // 2] if widths else 0.0
    low = min([0.0, *(max(row.low or 0.0, (row.estimate or 0.0) - reach) for row in rows), *dots])
    high = max([0.0, *(min(row.high or 0.0, (row.estimate or 0.0) + reach) for row in rows), *dots])
    room = 0.06 * (high - low) or 0.1
    return low - room, high + room
