"""What speaks for a product, by the kind of thing it is."""

from __future__ import annotations

from abplatform.domain.catalog import Product

__all__ = ["SELLING", "selling_group", "selling_points"]

SELLING: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "clothes": (
        ("shirt", "hoodie", "apparel", "cloth", "polo", "tee", "sweat", "beanie", "scarf"),
        ("soft to wear", "easy to combine", "fits every day"),
    ),
    "shoes and bags": (
        ("shoe", "bag", "sneaker", "plimsoll", "boot", "watch", "sunglass", "fashion"),
        ("goes with everything", "made for long days", "finishes an outfit"),
    ),
    "beauty": (
        ("beauty", "lip", "cream", "perfume", "cosmetic", "skin", "serum"),
        ("feels light", "a glow that lasts", "made for every skin"),
    ),
    "drinks and food": (
        ("drink", "juice", "soda", "coffee", "fruit", "groc", "milk", "vegetable", "food"),
        ("fresh taste", "good any time of day", "from fine ingredients"),
    ),
    "electronics": (
        ("electronic", "headphone", "speaker", "phone", "camera", "computer", "audio"),
        ("clear and quick", "ready when you are", "built to last"),
    ),
    "home": (
        ("home", "lamp", "decor", "kitchen", "mug", "vase", "cushion", "candle"),
        ("warms up a room", "looks good all year", "made with care"),
    ),
    "play": (
        ("toy", "kid", "play", "game", "book", "duck", "robot"),
        ("hours of fun", "a gift that is loved", "wakes the imagination"),
    ),
}
"""Group to the words that tell it and to what can be said of such things without a promise."""

_ANY = ("well made", "worth a look", "a good choice")


def selling_group(product: Product) -> str | None:
    """Return which group a product belongs to, by its category, else its title; None if none."""
    names = reversed(product.category.path.lower().split("/"))
    for where in (*names, product.title.lower()):
        for group, (words, _) in SELLING.items():
            if any(word in where for word in words):
                return group
    return None


def selling_points(product: Product) -> tuple[str, ...]:
    """Return what may be said of a product; never a number, a price or a promise."""
    group = selling_group(product)
    return _ANY if group is None else SELLING[group][1]
