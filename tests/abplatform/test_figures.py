"""Forest plots and one-file pages."""

import base64
import html
import io
import itertools
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from abplatform.figures import (
    ForestRow,
    Line,
    Mark,
    embed_picture,
    facts,
    forest_plot,
    interval_text,
    line_plot,
    notes,
    page,
    percent,
    share,
    table,
)
from abplatform.figures.amounts import MINUS

SVG = "{http://www.w3.org/2000/svg}"


def parse(svg):
    return ET.fromstring(svg)  # noqa: S314 - our own picture, not foreign data


NUMBER = st.none() | st.floats(-3, 1e6, allow_nan=False)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.builds(
            ForestRow,
            label=st.text(st.characters(exclude_categories=["C"]), max_size=40),
            estimate=NUMBER,
            low=NUMBER,
            high=NUMBER,
        ),
        max_size=8,
    )
)
def test_any_numbers_give_a_picture_inside_its_frame(rows):
    """Whatever the numbers, the SVG is well formed and every mark lies inside it."""
    root = parse(forest_plot(rows, title="<&>", axis="lift"))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for line in root.iter(f"{SVG}line"):
        assert 0 <= float(line.attrib["x1"]) <= float(line.attrib["x2"]) <= width or (
            float(line.attrib["x2"]) <= float(line.attrib["x1"])
        )
        assert 0 <= float(line.attrib["y2"]) <= height
    for circle in root.iter(f"{SVG}circle"):
        assert 0 <= float(circle.attrib["cx"]) <= width


def places(svg, tag="circle"):
    return [float(mark.attrib["cx"]) for mark in parse(svg).iter(f"{SVG}{tag}")]


def test_larger_lifts_stand_further_right():
    """Dots are placed in the order of their estimates."""
    rows = [ForestRow(str(x), estimate=x, low=x - 0.1, high=x + 0.1) for x in (-0.2, 0.0, 0.3)]
    found = places(forest_plot(rows, title="t", axis="a"))
    assert found == sorted(found)
    assert len(set(found)) == 3


def test_one_wide_interval_does_not_flatten_the_others():
    """An interval of thousands of percent is cut with an arrow, and the others keep their width."""
    narrow = [ForestRow(str(x), estimate=x, low=x - 0.1, high=x + 0.1) for x in (0.0, 0.1, 0.2)]
    wide = ForestRow("wide", estimate=0.1, low=-0.9, high=50.0)
    svg = forest_plot([*narrow, wide], title="t", axis="a")
    found = places(svg)
    assert max(found) - min(found) > 80
    assert svg.count("<polygon") == 2
    assert "+5000.0%" in svg


def test_a_missing_estimate_shows_its_reason():
    """Where there is no number there is no dot, and the reason stands in its place."""
    svg = forest_plot([ForestRow("garden", why="3 clicks, 5 are needed")], title="t", axis="a")
    assert places(svg) == []
    assert "3 clicks, 5 are needed" in svg


def test_an_open_end_is_written_as_infinity():
    """An unbounded interval is drawn to the edge and written as such."""
    svg = forest_plot([ForestRow("x", estimate=0.1)], title="t", axis="a")
    assert "\N{MINUS SIGN}\N{INFINITY}" in svg
    assert "+\N{INFINITY}" in svg


def test_labels_cannot_break_out():
    """Names from outside are text, never markup."""
    svg = forest_plot([ForestRow("<script>&", why='"')], title='"><script>', axis="<b>")
    assert "<script>" not in svg
    parse(svg)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "+12.3%"), (-0.05, "\N{MINUS SIGN}5.0%"), (-0.0001, "0.0%"), (0, "0.0%")],
)
def test_percentages_have_a_real_minus_and_no_negative_zero(value, text):
    """Signed, one decimal, and nothing is not a loss."""
    assert percent(value) == text


def test_a_page_needs_nothing_else():
    """A page has no script and no address; its style is inside."""
    html = page("A <title>", "<p>body</p>")
    assert "<script" not in html
    assert not re.search(r"(src|href)\s*=|url\(|@import", html)
    assert "A &lt;title&gt;" in html
    assert "prefers-color-scheme: dark" in html


def test_pictures_are_embedded_small():
    """An embedded picture is a WebP of at most the asked size with the same colours."""
    pixels = np.zeros((400, 800, 3), np.uint8)
    pixels[:] = (200, 30, 60)
    address = embed_picture(pixels, side=100)
    head, _, content = address.partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert head == "data:image/webp;base64"
    assert image.size == (100, 50)
    assert np.abs(np.asarray(image.convert("RGB")).mean((0, 1)) - (200, 30, 60)).max() < 6


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0%"), (0.0004, "<0.1%"), (0.0021, "0.2%"), (0.12, "12%"), (0.997, ">99%"), (1, "100%")],
)
def test_a_share_is_never_rounded_to_none_or_all(value, text):
    """A share has just the digits it needs; only zero is 0% and only all is 100%."""
    assert share(value) == text


def drawn(lines, **options):
    svg = line_plot(lines, title="t", x_axis="day", y_axis="lift", **options)
    return parse(svg)


def all_of(svg, tag, kind):
    found = svg.iter(f"{SVG}{tag}")
    return [one for one in found if kind in one.get("class", "").split()]


def test_a_missing_value_leaves_a_gap_and_a_lonely_one_a_point():
    """A line is broken where there is no value, never drawn through zero."""
    svg = drawn([Line("so far", [1, 2, 3, 4, 5], [0.1, 0.2, None, 0.1, 0.1])])
    assert len(all_of(svg, "polyline", "solid")) == 2
    svg = drawn([Line("so far", [1, 2], [0.1, None])])
    assert len(all_of(svg, "circle", "point")) == 1


def test_names_of_lines_that_end_together_do_not_touch():
    """However close lines end, their names keep a line's height between them."""
    svg = drawn([Line(f"line {n}", [1, 2], [0.1, 0.2 + n / 1000]) for n in range(5)])
    heights = sorted(float(one.get("y")) for one in all_of(svg, "text", "name"))
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 15


def test_names_stay_inside_the_picture_and_nameless_lines_take_no_room():
    """Names of lines that end at the bottom stand above the axis, in the order of their ends."""
    ends = [Line("" if n % 2 else f"line {n}", [1, 2], [1.0, n / 1000]) for n in range(8)]
    svg = drawn(ends, limits=(0.0, 1.0))
    names = all_of(svg, "text", "name")
    assert [one.text for one in names] == ["line 6", "line 4", "line 2", "line 0"]
    heights = [float(one.get("y")) for one in names]
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 15
    axis = max(float(one.get("y1")) for one in all_of(svg, "line", "zero"))
    assert heights[-1] <= axis + 5


def test_a_band_of_enormous_height_does_not_flatten_the_line():
    """The first days' very wide band is cut off, and the line stays readable."""
    wide = Line("band", [1, 2, 3], [-40.0, -1.0, -0.1], high=[40.0, 1.0, 0.1], style="band")
    svg = drawn([wide, Line("lift", [1, 2, 3], [0.0, 0.1, 0.0])])
    (line,) = all_of(svg, "polyline", "solid")
    heights = [float(point.split(",")[1]) for point in line.get("points").split()]
    assert max(heights) - min(heights) > 30


def test_words_from_outside_are_escaped_in_line_plots():
    """A label cannot bring markup into the picture."""
    svg = drawn([Line("<b>x</b>", [1, 2], [0, 1])], marks=[Mark(1.5, "a & b")])
    texts = {one.text for one in svg.iter(f"{SVG}text")}
    assert {"<b>x</b>", "a & b"} <= texts


@settings(max_examples=30, deadline=None)
@given(st.text(), st.text())
def test_pieces_show_texts_as_they_are(word, text):
    """A table, facts and notes hold every text that comes in, and none of it as markup."""
    pieces = (table([word], [[text]], strong=0), facts([(word, text)]), notes([(word, text)]))
    for piece in pieces:
        rest = re.sub(
            r"</?(div|table|thead|tbody|tr|th|td|section|b|span|dl|dt|dd)\b[^<]*?>", "", piece
        )
        assert html.unescape(rest) == word + text


def test_an_interval_says_where_it_is_open():
    """An end that is not known is written as infinity, the other one as a percentage."""
    assert interval_text(0.01, 0.075) == "+1.0% … +7.5%"
    assert interval_text(None, 0.0) == f"{MINUS}∞ … 0.0%"
    assert interval_text(-0.5, None) == f"{MINUS}50.0% … +∞"
