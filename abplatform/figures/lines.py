"""Line plots: how something goes on from day to day, with the bands around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from abplatform.figures.amounts import percent
from abplatform.figures.axes import digits_of, ticks

__all__ = ["Line", "Mark", "line_plot"]

_WIDTH, _HEIGHT = 920, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 190, 18, 52
_NAME = 17
"""How far apart names are at least."""

Style = Literal["solid", "dashed", "band"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line, or the band between two.

    Args:
        label: Written at its right end.
        x: Where its points stand, ascending.
        y: Their heights; None leaves a gap.
        high: For a band, the heights of its upper edge; ``y`` is its lower edge.
        style: ``solid``, ``dashed``, or ``band`` (filled between ``y`` and ``high``).
        colour: 1 … 4, a colour of the page that keeps its meaning in light and dark.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float | None]
    high: Sequence[float | None] | None = None
    style: Style = "solid"
    colour: int = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line with a word, such as the day of a decision.

    Args:
        x: Where it stands.
        label: Written beside its top.
    """

    x: float
    label: str


def line_plot(
    lines: Sequence[Line],
    *,
    title: str,
    x_axis: str,
    y_axis: str,
    marks: Sequence[Mark] = (),
    limits: tuple[float, float] | None = None,
    write_x: Callable[[float], str] = "{:g}".format,
    write_y: Callable[[float], str] | None = None,
    least_step: float = 0.0,
) -> str:
    """Draw lines and bands over one axis, each named where it ends.

    Args:
        lines: From back to front.
        title: For readers who do not see the picture.
        x_axis: What the horizontal axis means.
        y_axis: What the vertical axis means.
        marks: Vertical lines.
        limits: Lowest and highest y; default holds every solid line, and as much of the bands as
            leaves the lines readable. What lies beyond is cut off.
        write_x: How a tick of the horizontal axis is written.
        write_y: Likewise vertical; default as a signed percentage.
        least_step: How far apart ticks of the horizontal axis are at least: 1 for whole days.

    Returns:
        An ``<svg>`` element; its colours come from the page's custom properties.
    """
    xs = [x for line in lines for x in line.x] or [0.0, 1.0]
    low, high = limits or _limits(lines)
    frame = _Frame(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, low, high, least_step)
    # The default keeps as many digits as the range asks for.
    write = write_y or (lambda value: percent(value, digits=digits_of(low, high)) if value else "0")
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}"'
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    # An inner picture cuts off what lies beyond the axes.
    inner = f'x="{_LEFT}" y="{_TOP}" width="{width}" height="{height}"'
    parts = [
        f'<svg class="lines" {size} xmlns="http://www.w3.org/2000/svg">',
        *_draw_axes(frame, x_axis, y_axis, write_x, write),
        f'<svg {inner} viewBox="{_LEFT} {_TOP} {width} {height}">',
        *(_draw(line, frame) for line in lines),
        "</svg>",
        *(_draw_mark(mark, frame) for mark in marks),
        *_draw_names(lines, frame),
        "</svg>",
    ]
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Frame:
    left: float
    right: float
    low: float
    high: float
    least_step: float

    def x(self, value: float) -> float:
        share = (value - self.left) / (self.right - self.left)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def _limits(lines: Sequence[Line]) -> tuple[float, float]:
    """Hold every line; a band may be cut at twice the height that the lines need."""
    inner = [y for line in lines if line.style != "band" for y in line.y if y is not None]
    bands = [
        y
        for line in lines
        if line.style == "band"
        for edge in (line.y, line.high or ())
        for y in edge
        if y is not None
    ]
    inner = inner or bands or [0.0]
    low, high = min(0.0, *inner), max(0.0, *inner)
    reach = 2 * (high - low) or 0.1
    low = max(min([low, *bands]), low - reach)
    high = min(max([high, *bands]), high + reach)
    room = 0.06 * (high - low) or 0.1
    return low - room, high + room


def _draw_axes(
    frame: _Frame,
    x_axis: str,
    y_axis: str,
    write_x: Callable[[float], str],
    write_y: Callable[[float], str],
) -> Iterable[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for tick in ticks(frame.low, frame.high):
        y, kind = frame.y(tick), "zero" if tick == 0 else "grid"
        yield f'<line class="{kind}" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>'
        yield f'<text class="tick up" x="{_LEFT - 8}" y="{y + 4}">{escape(write_y(tick))}</text>'
    for tick in ticks(frame.left, frame.right, count=7, least=frame.least_step):
        x = frame.x(tick)
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 5}"/>'
        yield f'<text class="tick" x="{x}" y="{bottom + 20}">{escape(write_x(tick))}</text>'
    middle = (_LEFT + right) / 2
    yield f'<text class="tick" x="{middle}" y="{bottom + 42}">{escape(x_axis)}</text>'
    height = (_TOP + bottom) / 2
    turned = f'transform="rotate(-90 13 {height})"'
    yield f'<text class="tick" x="13" y="{height}" {turned}>{escape(y_axis)}</text>'


def _draw(line: Line, frame: _Frame) -> str:
    if line.style == "band":
        return "".join(
            f'<polygon class="band c{line.colour}" points="{_points(piece, frame)}"/>'
            for piece in _band_pieces(line)
        )
    kind = "dashed" if line.style == "dashed" else "solid"
    return "".join(
        f'<polyline class="{kind} c{line.colour}" points="{_points(piece, frame)}"/>'
        if len(piece) > 1
        else f'<circle class="point c{line.colour}" cx="{frame.x(piece[0][0])}" '
        f'cy="{frame.y(piece[0][1])}" r="3"/>'
        for piece in _pieces(line.x, line.y)
    )


_Piece = list[tuple[float, float]]


def _pieces(xs: Sequence[float], ys: Sequence[float | None]) -> list[_Piece]:
    """Cut a line where a value is missing."""
    pieces: list[_Piece] = [[]]
    for x, y in zip(xs, ys, strict=True):
        if y is None:
            pieces.append([])
        else:
            pieces[-1].append((x, y))
    return [piece for piece in pieces if piece]


def _band_pieces(line: Line) -> list[_Piece]:
    known = [
        (x, None if low is None or high is None else (low, high))
        for x, low, high in zip(line.x, line.y, line.high or line.y, strict=True)
    ]
    pieces: list[list[tuple[float, tuple[float, float]]]] = [[]]
    for x, edges in known:
        if edges is None:
            pieces.append([])
        else:
            pieces[-1].append((x, edges))
    return [
        [(x, low) for x, (low, _) in piece] + [(x, high) for x, (_, high) in reversed(piece)]
        for piece in pieces
        if piece
    ]


def _points(piece: _Piece, frame: _Frame) -> str:
    return " ".join(f"{frame.x(x)},{frame.y(y)}" for x, y in piece)


def _draw_mark(mark: Mark, frame: _Frame) -> str:
    x, bottom = frame.x(mark.x), _HEIGHT - _BOTTOM
    # Beyond the middle the word stands on the left, so that it stays inside the picture.
    late = x > (_LEFT + _WIDTH - _RIGHT) / 2
    anchor, shift = ("end", -6) if late else ("start", 6)
    return (
        f'<line class="mark" x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}"/>'
        f'<text class="word" text-anchor="{anchor}" x="{x + shift}" y="{_TOP + 12}">'
        f"{escape(mark.label)}</text>"
    )


def _draw_names(lines: Sequence[Line], frame: _Frame) -> Iterable[str]:
    """Name each line where it ends; names that would touch are pushed apart, within the picture."""
    named = sorted((line for line in lines if line.label), key=lambda line: _end(line, frame))
    # From the lowest up: whoever has no room below moves up.
    lowest, heights = float(_HEIGHT - _BOTTOM), list[float]()
    for line in reversed(named):
        lowest = min(_end(line, frame), lowest)
        heights.append(lowest)
        lowest -= _NAME
    # From the highest down: whoever has none above moves down again.
    above = float(_TOP) - _NAME
    for line, height in zip(named, reversed(heights), strict=True):
        above = max(height, above + _NAME)
        yield (
            f'<text class="name c{line.colour}" x="{_WIDTH - _RIGHT + 10}" y="{above + 4}">'
            f"{escape(line.label)}</text>"
        )


def _end(line: Line, frame: _Frame) -> float:
    edge = line.high if line.style == "band" and line.high else line.y
    last = next((y for y in reversed(edge) if y is not None), 0.0)
    return min(max(frame.y(last), _TOP), _HEIGHT - _BOTTOM)
