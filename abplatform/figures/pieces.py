"""Pieces that pages are made of; every text that comes in is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["facts", "notes", "table"]


def table(heads: Iterable[str], rows: Iterable[Sequence[str]], *, strong: int | None = None) -> str:
    """Return a table on a card.

    Args:
        heads: Names of the columns.
        rows: Cells, one text a column.
        strong: The row that stands out, from 0.
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(_row(row, strong=place == strong) for place, row in enumerate(rows))
    return (
        f'<div class="card"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )


def _row(cells: Sequence[str], *, strong: bool) -> str:
    begin = '<tr class="strong">' if strong else "<tr>"
    return begin + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return large values in a row, each with what it is under it."""
    cells = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>" for value, what in pairs
    )
    return f'<section class="facts">{cells}</section>'


def notes(pairs: Iterable[tuple[str, str]]) -> str:
    """Return sentences on a card, each beside the word that it is known by."""
    rows = "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in pairs)
    return f'<div class="card"><dl class="notes">{rows}</dl></div>'
