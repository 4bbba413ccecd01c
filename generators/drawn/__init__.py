"""The repository's own catalogue: products drawn from nothing but numbers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

from generators.drawn.designs import DESIGNS, Design
from generators.paint import Colour, colour, mix

__all__ = ["draw_catalogue"]


def draw_catalogue(folder: Path, *, products: int = 36, seed: int = 0) -> Path:
    """Draw a catalogue: transparent PNGs and products.csv.

    Args:
        folder: Where to write.
        products: How many; spread evenly over designs, then over their colours. Past the
            ready colours, new ones are mixed.
        seed: Mixes new colours and draws ratings and orders; the same seed writes the same bytes.

    Returns:
        The catalogue's folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_draw(folder, number, seed) for number in range(products)]
    with (folder / "products.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(_COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return folder


_COLUMNS = (
    "product_id",
    "image",
    "title",
    "category",
    "attributes",
    "price",
    "currency",
    "rating",
    "orders",
    "language",
)


def _draw(folder: Path, number: int, seed: int) -> dict[str, object]:
    design, turn = DESIGNS[number % len(DESIGNS)], number // len(DESIGNS)
    rng = np.random.default_rng([seed, number])
    way, main, accent = _colours(design, turn, rng)
    slug = f"{design.name} {way}".lower().replace(" ", "-")
    Image.fromarray(design.painter(main, accent)).save(folder / f"{slug}.png", compress_level=3)
    return {
        "product_id": slug,
        "image": f"{slug}.png",
        "title": f"{design.name}, {way.lower()}",
        "category": design.category,
        "attributes": json.dumps({"colour": way.lower(), "collection": "house"}),
        "price": design.price,
        "currency": "USD",
        "rating": round(float(rng.uniform(3.6, 4.9)), 1),
        "orders": int(rng.gamma(2.0, 180.0)),
        "language": "en",
    }


def _colours(design: Design, turn: int, rng: np.random.Generator) -> tuple[str, Colour, Colour]:
    way, first, second = design.ways[turn % len(design.ways)]
    if turn < len(design.ways):
        return way, colour(first), colour(second)
    red, green, blue = rng.uniform(0.15, 0.95, 3).tolist()
    return f"{way} {turn + 1}", mix(colour(first), (red, green, blue), 0.55), colour(second)
