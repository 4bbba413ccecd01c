"""Which products the drawn catalogue holds: a painter, a category and two colour ways each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from generators.arrays import Pixels
from generators.drawn import beauty, drinks, electronics, fashion, home, shoes, toys
from generators.paint import Colour

__all__ = ["DESIGNS", "Design"]


@dataclass(frozen=True, slots=True)
class Design:
    """One product of which there are several colours.

    Args:
        painter: Draws it in a main and an accent colour.
        category: Its path in the taxonomy.
        name: Its title without the colour.
        ways: Name, main and accent colour of each version.
        price: In US dollars.
    """

    painter: Callable[[Colour, Colour], Pixels]
    category: str
    name: str
    ways: tuple[tuple[str, str, str], ...]
    price: float


DESIGNS = (
    Design(
        beauty.lipstick,
        "beauty/lip",
        "Velvet lipstick",
        (("Cherry", "c2263f", "1d1d22"), ("Coral", "e8624a", "f3ece2")),
        18.0,
    ),
    Design(
        shoes.sneaker,
        "fashion/shoes",
        "Court sneaker",
        (("White", "eceae4", "2f6fb5"), ("Mustard", "e2ab3f", "2c3a57")),
        85.0,
    ),
    Design(
        home.table_lamp,
        "home/lamps",
        "Linen table lamp",
        (("Ivory", "f1e3c8", "3f6f66"), ("Rust", "d98a5f", "2f3036")),
        74.0,
    ),
    Design(
        drinks.juice_bottle,
        "drinks/juice",
        "Cold-pressed juice",
        (("Orange", "f59a23", "2f6b3a"), ("Berry", "a3245e", "47204e")),
        4.2,
    ),
    Design(
        electronics.headphones,
        "electronics/headphones",
        "Hush headphones",
        (("Cream", "eee6d8", "8a6f58"), ("Midnight", "27324d", "1b1d24")),
        189.0,
    ),
    Design(
        toys.duck,
        "toys/bath",
        "Bath duck",
        (("Yellow", "f8cf3a", "f07f2e"), ("Mint", "8fd6bd", "f4a24a")),
        7.5,
    ),
    Design(
        beauty.cream_jar,
        "beauty/cream",
        "Day cream",
        (("Ivory", "f4efe7", "e3c08a"), ("Jade", "8fc0a9", "d7d9dc")),
        36.0,
    ),
    Design(
        fashion.handbag,
        "fashion/bags",
        "Structured handbag",
        (("Cognac", "b4662f", "e3bd78"), ("Emerald", "1f6a55", "e6c98f")),
        210.0,
    ),
    Design(
        home.mushroom_lamp,
        "home/lamps",
        "Dome lamp",
        (("Tangerine", "f08a3c", "f3efe8"), ("Sage", "9db58e", "eee7d8")),
        92.0,
    ),
    Design(
        drinks.can,
        "drinks/soda",
        "Sparkling soda",
        (("Lime", "2e9e5b", "f2d53c"), ("Blue", "2f6fd0", "f26a5a")),
        1.9,
    ),
    Design(
        electronics.speaker,
        "electronics/speakers",
        "Aria speaker",
        (("Slate", "6f7a86", "2a2c31"), ("Terracotta", "c9704d", "3a2a25")),
        99.0,
    ),
    Design(
        toys.rocket,
        "toys/play",
        "Moon rocket",
        (("Red", "f2efe8", "dd4538"), ("Teal", "2f9c95", "f4b63f")),
        22.0,
    ),
    Design(
        beauty.lip_gloss,
        "beauty/lip",
        "Glaze lip gloss",
        (("Pink", "ea6f92", "2a2228"), ("Peach", "f2a07b", "f7efe8")),
        14.0,
    ),
    Design(
        fashion.watch,
        "fashion/watches",
        "Field watch",
        (("Tan", "a9713f", "d9dbe0"), ("Navy", "2b3a5c", "e2bf84")),
        145.0,
    ),
    Design(
        home.vase,
        "home/decor",
        "Stoneware vase",
        (("Sand", "e4d3b8", "8c5a3c"), ("Ink", "4c6a8f", "f1ede4")),
        49.0,
    ),
    Design(
        drinks.coffee_cup,
        "drinks/coffee",
        "Coffee to go",
        (("Kraft", "a9743f", "2b2523"), ("Mint", "5fae95", "f6f3ee")),
        3.4,
    ),
    Design(
        electronics.camera,
        "electronics/cameras",
        "Weekend camera",
        (("Tan", "8c5a37", "d8d4cc"), ("Black", "2c2d31", "3d3f45")),
        649.0,
    ),
    Design(
        toys.robot,
        "toys/play",
        "Tin robot",
        (("Blue", "5fa3d9", "f0b73c"), ("Red", "e0604f", "f2e4c4")),
        31.0,
    ),
    Design(
        beauty.dropper,
        "beauty/cream",
        "Vitamin serum",
        (("Amber", "c8741f", "e2bd83"), ("Cobalt", "2f56a8", "d5d8de")),
        29.0,
    ),
    Design(
        shoes.boot,
        "fashion/shoes",
        "Chelsea boot",
        (("Chestnut", "8a4f2d", "2a211c"), ("Black", "2e2d30", "55504c")),
        160.0,
    ),
    Design(
        home.candle,
        "home/decor",
        "Scented candle",
        (("Cedar", "c98f5a", "54402f"), ("Rose", "e3a6a6", "6f3340")),
        24.0,
    ),
    Design(
        drinks.thermos,
        "drinks/bottles",
        "Trail bottle",
        (("Forest", "2f5d4a", "23252a"), ("Coral", "ef7564", "f4f1ea")),
        27.0,
    ),
    Design(
        electronics.phone,
        "electronics/phones",
        "Lumen phone",
        (("Silver", "d9dce1", "f0719a"), ("Graphite", "4a4c52", "3f8fd6")),
        799.0,
    ),
    Design(
        toys.rings,
        "toys/play",
        "Stacking rings",
        (("Sunny", "e8574a", "3f8fc9"), ("Pastel", "e9a0a6", "8ec5b4")),
        19.0,
    ),
    Design(
        fashion.backpack,
        "fashion/bags",
        "Day backpack",
        (("Olive", "6f7a4a", "b4703c"), ("Blush", "d99a94", "6b3f3a")),
        68.0,
    ),
    Design(
        home.mug,
        "home/kitchen",
        "Stoneware mug",
        (("Cream", "efe5d3", "a9563d"), ("Blue", "5d86a8", "f0ece2")),
        16.0,
    ),
    Design(
        fashion.sunglasses,
        "fashion/sunglasses",
        "Round sunglasses",
        (("Tortoise", "5a3a24", "8a5a34"), ("Ruby", "b23245", "4a3140")),
        59.0,
    ),
)
