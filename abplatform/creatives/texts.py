"""Texts of creative sets: one row each, only ever appended; the newest row of a text counts.

A text that quotes a fact, such as the price, ends with it: once the catalogue says otherwise, the
text has expired, and so it has after its ``valid_until``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from abplatform.domain.catalog import Product
from abplatform.durable import append_rows
from abplatform.errors import CatalogueError

__all__ = ["TEXTS_FILE", "AdText", "append_texts", "price_text", "read_texts", "usable_texts"]

TEXTS_FILE: Final = "texts.jsonl"


@dataclass(frozen=True, slots=True)
class AdText:
    """One text of a creative set.

    Args:
        creative_id: The set, by its master.
        product_id: What it advertises.
        text: The text.
        language: ``en``, ``zh`` ….
        model: Name and version of what wrote it.
        quotes: Fact to the value that it quotes; of ``price`` and ``rating``.
        valid_until: From then on it has expired; None: it has no last day.
        scores: What ranked it.
    """

    creative_id: str
    product_id: str
    text: str
    language: str
    model: str
    quotes: Mapping[str, str] = field(default_factory=dict)
    valid_until: datetime | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


def append_texts(root: Path, texts: Iterable[AdText]) -> int:
    """Append texts; those that are there already, word for word, are skipped.

    Args:
        root: The folder of creatives.
        texts: What to keep.

    Returns:
        How many were new.
    """
    path = root / TEXTS_FILE

    def choose(there: bytes) -> list[bytes]:
        known = {(one.creative_id, one.text): one for one in _decode(there, path)}
        fresh = [one for one in texts if known.get((one.creative_id, one.text)) != one]
        return list(map(msgspec.json.encode, fresh))

    return append_rows(path, choose)


def read_texts(root: Path) -> dict[str, tuple[AdText, ...]]:
    """Return every creative set's texts in order of writing.

    Raises:
        CatalogueError: A row cannot be read.
    """
    path = root / TEXTS_FILE
    if not path.is_file():
        return {}
    data = path.read_bytes()
    newest = {
        (one.creative_id, one.text): one for one in _decode(data[: data.rfind(b"\n") + 1], path)
    }
    found: dict[str, list[AdText]] = {}
    for one in newest.values():
        found.setdefault(one.creative_id, []).append(one)
    return {creative_id: tuple(texts) for creative_id, texts in found.items()}


def usable_texts(
    texts: Iterable[AdText], product: Product, at: datetime, *, longest: int = 1000
) -> tuple[AdText, ...]:
    """Return the texts that may be shown: in time, true of the product as it is, short enough.

    Args:
        texts: Of one creative set.
        product: What the catalogue says today.
        at: The moment.
        longest: In characters.
    """
    today = {
        "price": price_text(product),
        "rating": None if product.rating is None else f"{product.rating:g}",
    }
    return tuple(
        one
        for one in texts
        if len(one.text) <= longest
        and (one.valid_until is None or at < one.valid_until)
        and all(today.get(name) == value for name, value in one.quotes.items())
    )


def price_text(product: Product) -> str | None:
    """Return a product's price as texts quote it, or None."""
    if product.price is None:
        return None
    return f"{product.price:g} {product.currency or ''}".strip()


def _decode(data: bytes, path: Path) -> list[AdText]:
    decoder = msgspec.json.Decoder(AdText)
    found = []
    for line, row in enumerate(data.splitlines(), start=1):
        try:
            found.append(decoder.decode(row))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CatalogueError(
                f"this text's row cannot be read: {error}",
                path=path,
                line=line,
                remedy="restore the file from a backup, or move that line away",
            ) from error
    return found
