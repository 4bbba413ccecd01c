"""The repository's own catalogue: products drawn from nothing but numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from generators.arrays import Pixels
from generators.drawn import beauty, drinks, home
from generators.paint import Colour, colour, mix

__all__ = ["LARGEST_CATALOGUE", "draw_catalogue"]


@dataclass(frozen=True, slots=True)
class _Design:
    painter: Callable[[Colour, Colour], Pixels]
    category: str
    name: str
    ways: tuple[tuple[str, str, str], ...]
    price: float


_DESIGNS = (
    _Design(
        beauty.lipstick,
        "beauty/lip",
        "Velvet lipstick",
        (("Cherry", "c2263f", "1d1d22"), ("Coral", "e8624a", "f3ece2")),
        18.0,
    ),
    _Design(
        home.table_lamp,
        "home/lamps",
        "Linen table lamp",
        (("Ivory", "f1e3c8", "3f6f66"), ("Rust", "d98a5f", "2f3036")),
        74.0,
    ),
    _Design(
        drinks.juice_bottle,
        "drinks/juice",
        "Cold-pressed juice",
        (("Orange", "f59a23", "2f6b3a"), ("Berry", "a3245e", "47204e")),
        4.2,
    ),
    _Design(
        beauty.lip_gloss,
        "beauty/lip",
        "Glaze lip gloss",
        (("Pink", "ea6f92", "2a2228"), ("Peach", "f2a07b", "f7efe8")),
        14.0,
    ),
    _Design(
        home.mushroom_lamp,
        "home/lamps",
        "Dome lamp",
        (("Tangerine", "f08a3c", "f3efe8"), ("Sage", "9db58e", "eee7d8")),
        92.0,
    ),
    _Design(
        drinks.can,
        "drinks/soda",
        "Sparkling soda",
        (("Lime", "2e9e5b", "f2d53c"), ("Blue", "2f6fd0", "f26a5a")),
        1.9,
    ),
    _Design(
        beauty.cream_jar,
        "beauty/cream",
        "Day cream",
        (("Ivory", "f4efe7", "e3c08a"), ("Jade", "8fc0a9", "d7d9dc")),
        36.0,
    ),
    _Design(
        home.vase,
        "home/decor",
        "Stoneware vase",
        (("Sand", "e4d3b8", "8c5a3c"), ("Ink", "4c6a8f", "f1ede4")),
        49.0,
    ),
    _Design(
        drinks.coffee_cup,
        "drinks/coffee",
        "Coffee to go",
        (("Kraft", "a9743f", "2b2523"), ("Mint", "5fae95", "f6f3ee")),
        3.4,
    ),
    _Design(
        beauty.dropper,
        "beauty/cream",
        "Vitamin serum",
        (("Amber", "c8741f", "e2bd83"), ("Cobalt", "2f56a8", "d5d8de")),
        29.0,
    ),
    _Design(
        home.candle,
        "home/decor",
        "Scented candle",
        (("Cedar", "c98f5a", "54402f"), ("Rose", "e3a6a6", "6f3340")),
        24.0,
    ),
    _Design(
        home.mug,
        "home/kitchen",
        "Stoneware mug",
        (("Cream", "efe5d3", "a9563d"), ("Blue", "5d86a8", "f0ece2")),
        16.0,
    ),
    _Design(
        drinks.thermos,
        "drinks/bottles",
        "Trail bottle",
        (("Forest", "2f5d4a", "23252a"), ("Coral", "ef7564", "f4f1ea")),
        27.0,
    ),
)
LARGEST_CATALOGUE = 600


def draw_catalogue(folder: Path, *, products: int = 36, seed: int = 0) -> Path:
    """Draw a catalogue: transparent PNGs and products.csv.

    Args:
        folder: Where to write.
        products: How many; spread evenly over designs, then over their colours.
        seed: Shifts the colours a little; the same seed draws the same bytes.

    Returns:
        The catalogue's folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(products):
        design = _DESIGNS[number % len(_DESIGNS)]
        turn = number // len(_DESIGNS)
        rng = np.random.default_rng([seed, number])
        way, first, second = design.ways[turn % len(design.ways)]
        main, accent = colour(first), colour(second)
        if turn >= len(design.ways):
            main = mix(main, tuple(rng.uniform(0.15, 0.95, 3)), 0.55)
            way = f"{way} {turn}"
        slug = f"{design.name} {way}".lower().replace(" ", "-")
        Image.fromarray(design.painter(main, accent)).save(folder / f"{slug}.png")
        rows.append(
            {
                "product_id": slug,
                "image": f"{slug}.png",
                "title": f"{design.name}, {way.lower()}",
                "category": design.category,
                "attributes": json.dumps({"colour": way.lower()}),
                "price": design.price,
                "currency": "USD",
            }
        )
    with (folder / "products.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return folder
