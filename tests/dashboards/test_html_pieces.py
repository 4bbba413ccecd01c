"""Pieces of pages: whatever text comes in stays text."""

from html import escape, unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.home_view import Light
from dashboards.html_pieces import (
    badge,
    facts,
    headline,
    lamp,
    notice,
    picture,
    section,
    shown,
    table,
    with_code,
)
from dashboards.number_words import Shown

PIECES = {
    "badge": lambda text: badge(text, text),
    "lamp": lambda text: lamp(Light("alarm", text, text)),
    "shown": lambda text: shown(Shown(text, text)),
    "headline": lambda text: headline(text, Shown(text), text),
    "section": lambda text: section(text, text),
    "facts": lambda text: facts({text: text}),
    "notice": lambda text: notice(text, text),
    "picture": lambda text: picture("data:image/webp;base64,AA==", text),
    "table": lambda text: table([{"name": escape(text)}], label=text),
}


class Tags(HTMLParser):
    """Collects the tags and attribute names of a text."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def handle_starttag(self, tag, attrs):
        """Note one tag."""
        self.seen.append((tag, *(name for name, _ in attrs)))


def tags_of(html):
    parser = Tags()
    parser.feed(html)
    return parser.seen


@pytest.mark.parametrize("piece", PIECES)
@given(text=st.text("<>\"'&/= abcimgonerror", min_size=1, max_size=40))
def test_text_never_becomes_markup(piece, text):
    """A piece made with any text has just the tags and attributes of one made with a plain word."""
    assert tags_of(PIECES[piece](text)) == tags_of(PIECES[piece]("word"))


def test_backticks_become_code_after_escaping():
    """A command between backticks is set as code, and what is in it stays text."""
    assert with_code("run `abp <KEY>`") == "run <code>abp &lt;KEY&gt;</code>"
    assert unescape(with_code("a < b")) == "a < b"


def test_a_missing_picture_says_so():
    """Where there is no picture the frame says it in words."""
    assert "picture not found" in picture(None, "creative for a lamp")
