"""Plain numbers and image bytes drawn as SVG, and one-file HTML pages around them.

A page needs no script, no network and no second file: styles are inline, pictures are embedded, and
its colours follow the reader's light or dark setting.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

__all__ = ["ForestRow", "Tone", "embed_picture", "forest_plot", "page", "percent", "share"]

Tone = Literal["better", "worse", "open", "missing"]
"""Whether a result is proven better, proven worse, not proven, or not there at all."""

_WIDTH = 920
_LABELS = 210
_PLOT = 430
_ROW = 34
_TOP = 30
_BOTTOM = 44
_MINUS = "\N{MINUS SIGN}"


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
    """

    label: str
    note: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    tone: Tone = "open"
    why: str | None = None
    strong: bool = False


def percent(value: float, *, digits: int = 1) -> str:
    """Write a fraction as a signed percentage with a real minus sign: ``+4.2%``."""
    text = f"{value:+.{digits}%}"
    # Nothing is less than nothing: -0.0% reads as a loss.
    text = text if any(digit in text for digit in "123456789") else f"{0:.{digits}%}"
    return text.replace("-", _MINUS)


def share(value: float) -> str:
    """Return a share with just the digits it needs: ``12%``, ``0.4%``, ``<0.1%``, ``>99%``."""
    if 0 < value < 0.001:
        return "<0.1%"
    if 0.99 < value < 1:
        return ">99.9%" if value > 0.999 else ">99%"
    return f"{value:.1%}" if 0 < value < 0.1 else f"{value:.0%}"


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
    for tick in _ticks(low, high):
        x = scale.at(tick)
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{bottom}"/>')
        label = "0" if tick == 0 else percent(tick, digits=_digits(low, high))
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
    parts.append(f'<text class="name" x="0" y="{up}">{escape(_shorten(row.label, 28))}</text>')
    if row.note:
        parts.append(f'<text class="note" x="0" y="{y + 12}">{escape(row.note)}</text>')
    if row.estimate is None:
        text = escape(_shorten(row.why or "not computed", 96))
        parts.append(f'<text class="why" x="{_LABELS + 8}" y="{y + 4}">{text}</text></g>')
        return "".join(parts)
    parts.append(_draw_interval(row, y, scale))
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


def _range(row: ForestRow) -> str:
    low = f"{_MINUS}\N{INFINITY}" if row.low is None else percent(row.low)
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


def _ticks(low: float, high: float) -> list[float]:
    raw = (high - low) / 6
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _digits(low: float, high: float) -> int:
    return 0 if high - low > 0.06 else 1 if high - low > 0.006 else 2


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"


def embed_picture(pixels: Any, *, side: int = 240, quality: int = 82) -> str:
    """Return a small copy of a picture as a ``data:`` address for ``<img src>``.

    Args:
        pixels: uint8 array, height x width x 3.
        side: Longest side of the copy in px.
        quality: Of the lossy WebP, 1 … 100.
    """
    from PIL import Image

    image = Image.fromarray(pixels, "RGB") if not isinstance(pixels, Image.Image) else pixels
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def page(title: str, body: str) -> str:
    """Return a whole HTML page in one file.

    Args:
        title: For the window.
        body: HTML; the caller has escaped what comes from outside.
    """
    style = (Path(__file__).parent / "figures.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
