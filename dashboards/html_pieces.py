"""The pieces that pages are made of, as HTML; every text that comes in is escaped.

Colours, sizes and dark mode are in ``style.css``; a state is always told by a word or a sign too,
never by colour alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from dashboards.home_view import Light
from dashboards.number_words import Shown, plain

__all__ = [
    "badge",
    "facts",
    "headline",
    "lamp",
    "notice",
    "picture",
    "section",
    "shown",
    "table",
    "with_code",
]

_SIGNS = {"ok": "●", "watch": "◐", "alarm": "▲", "idle": "○"}
_VERDICTS = {
    "ship": "Ship",
    "reject": "Reject",
    "no_difference": "No difference",
    "continue": "Continue",
    "invalid": "Invalid",
}


def badge(word: str, kind: str = "plain") -> str:
    """Return a small label; ``kind`` picks its colour: a verdict, a state or a source."""
    words = escape(_VERDICTS.get(word, plain(word)))
    return f'<span class="abp-badge abp-{_name(kind)}">{words}</span>'


def lamp(light: Light, *, with_label: bool = True) -> str:
    """Return a health sign with its words."""
    label = f"<b>{escape(light.label)}</b> " if with_label else ""
    return (
        f'<span class="abp-lamp abp-lamp-{light.level}">'
        f'<i aria-hidden="true">{_SIGNS[light.level]}</i>'
        f"<span>{label}{escape(light.detail)}</span></span>"
    )


def shown(number: Shown, *, reason: bool = True) -> str:
    """Return a number; a missing one with its reason under it.

    Args:
        number: The number.
        reason: False where the reason stands beside it already.
    """
    if number.why is None:
        return f'<span class="abp-number">{escape(number.text)}</span>'
    if not reason:
        return f'<span class="abp-number abp-missing">{escape(number.text)}</span>'
    return (
        f'<span class="abp-number abp-missing">{escape(number.text)}'
        f"<small>{escape(number.why)}</small></span>"
    )


def headline(label: str, number: Shown, note: str) -> str:
    """Return one of the large numbers."""
    under = number.why or note
    return (
        f'<div class="abp-headline"><span class="abp-label">{escape(label)}</span>'
        f'<strong>{escape(number.text)}</strong><span class="abp-note">{escape(under)}</span></div>'
    )


def section(title: str, note: str = "") -> str:
    """Return the heading of a part of the page."""
    under = f"<p>{escape(note)}</p>" if note else ""
    return f'<div class="abp-section"><h2>{escape(title)}</h2>{under}</div>'


def table(rows: Sequence[Mapping[str, str]], *, label: str) -> str:
    """Return a table; the first column names the row, the others are aligned to the right.

    Args:
        rows: Column heading to cell, as HTML that is already escaped; all with the same columns.
        label: What the table holds, for those who hear the page.
    """
    html = pd.DataFrame(rows).to_html(index=False, border=0, escape=False, classes="abp-table")
    return (
        f'<div class="abp-scroll" role="region" tabindex="0" aria-label="{escape(label)}">'
        f"{html}</div>"
    )


def picture(source: str | None, alt: str) -> str:
    """Return a picture, or a quiet frame that says that it is not there."""
    if source is None:
        return '<div class="abp-picture abp-absent"><span>picture not found</span></div>'
    return f'<div class="abp-picture"><img src="{source}" alt="{escape(alt)}"></div>'


def facts(values: Mapping[str, str]) -> str:
    """Return names and values as a list."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in values.items()
    )
    return f'<dl class="abp-facts">{rows}</dl>'


def notice(title: str, text: str) -> str:
    """Return what stands where there is nothing to show yet: what is missing, what to do."""
    return f'<div class="abp-empty"><h2>{escape(title)}</h2><p>{with_code(text)}</p></div>'


def with_code(text: str) -> str:
    """Return escaped text in which what stands between backticks is set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _name(kind: str) -> str:
    return re.sub(r"[^a-z]+", "-", kind.lower())
