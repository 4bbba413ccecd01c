"""Kinds of scene that work, and which products they suit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generators.scene import Scene

__all__ = ["FAMILIES", "FLAT", "STANDING", "TASTES", "Family", "draw_scene"]


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of scene that works; each field lists the words to draw from."""

    surface: str
    backdrop: str
    light: str
    palette: str
    props: str
    depth: str = "medium"
    season: str = "any"
    mood: str = "calm|fresh|elegant"


_SOFT = "cream|blush|sage|sky blue|lilac|mint|sand|white"
_RICH = "terracotta|coral|lemon|emerald|burgundy|ink"
_DARK = "ink|graphite|emerald|burgundy"
_SIDE = "soft left|soft left|soft right"
_SUN = "golden left|golden right|window left"

FAMILIES: dict[str, Family] = {
    "pastel podium": Family("plaster", "seamless", f"{_SIDE}|leaf shade", _SOFT, "podium"),
    "arch and steps": Family(
        "plaster", "arch", f"{_SIDE}|leaf shade", f"{_SOFT}|terracotta", "steps|podium"
    ),
    "sun disc": Family(
        "plaster|concrete",
        "sun disc",
        _SIDE,
        f"{_SOFT}|{_RICH}",
        "spheres|podium|no",
        mood="bold|playful",
    ),
    "palm shade": Family(
        "plaster|concrete",
        "plaster wall",
        "leaf shade",
        _SOFT,
        "no|podium|pebbles",
        season="summer",
        mood="calm|warm",
    ),
    "window light": Family(
        "oak|marble|linen",
        "plaster wall",
        "window left|window right",
        _SOFT,
        "no|branches|leaves",
        mood="calm|warm",
    ),
    "marble vanity": Family(
        "marble",
        "plaster wall|drapery",
        _SIDE,
        "blush|cream|lilac|white",
        "petals|blossoms|no",
        season="spring",
        mood="elegant|calm",
    ),
    "silk": Family(
        "satin",
        "drapery|seamless",
        _SIDE,
        "blush|lilac|burgundy|cream|emerald",
        "no|petals",
        mood="elegant",
    ),
    "dark glamour": Family(
        "black marble|acrylic", "dark studio", "spot", _DARK, "no|drops|petals", mood="elegant|bold"
    ),
    "garden table": Family(
        "oak|walnut",
        "garden",
        _SUN,
        "sage|cream|lemon",
        "leaves|citrus|no",
        "shallow",
        "summer|spring",
        "fresh|warm",
    ),
    "citrus kitchen": Family(
        "terrazzo|marble",
        "tiled wall",
        _SIDE,
        "mint|sky blue|lemon|white",
        "citrus|no",
        season="summer",
        mood="fresh|playful",
    ),
    "water and sky": Family(
        "water",
        "sky",
        f"{_SIDE}|golden left",
        "sky blue|mint|white",
        "no",
        season="summer",
        mood="fresh",
    ),
    "beach": Family(
        "sand", "sea", _SUN, "sand|sky blue|cream", "no|pebbles", season="summer", mood="warm|fresh"
    ),
    "forest floor": Family(
        "moss",
        "garden",
        _SUN,
        "sage|emerald",
        "leaves|pebbles|no",
        "shallow",
        "summer|any",
        "fresh|calm",
    ),
    "mountain air": Family(
        "slate|concrete",
        "sky",
        "golden left|soft left",
        "sky blue|sand|sage",
        "pebbles|no",
        mood="bold|fresh",
    ),
    "city night": Family(
        "walnut|black marble|acrylic",
        "city lights",
        "spot|neon",
        "ink|graphite|burgundy",
        "no",
        "shallow",
        mood="bold|warm",
    ),
    "winter lights": Family(
        "walnut|snow",
        "city lights|garden",
        "soft left",
        "ink|burgundy|emerald",
        "baubles|branches",
        "shallow",
        "winter",
        "warm",
    ),
    "snow": Family(
        "snow",
        "garden|sky",
        "soft left|golden left",
        "sky blue|white",
        "branches|no",
        "shallow",
        "winter",
        "fresh|calm",
    ),
    "autumn table": Family(
        "walnut|oak",
        "garden|window",
        "golden left|golden right",
        "terracotta|sand|cream",
        "petals|branches|leaves",
        "shallow",
        "autumn",
        "warm",
    ),
    "spring blossom": Family(
        "oak|plaster",
        "sky|seamless",
        "soft left",
        "blush|sky blue|mint|lilac",
        "branches",
        season="spring",
        mood="fresh|calm",
    ),
    "bright room": Family(
        "oak|linen|marble",
        "window",
        _SIDE,
        "cream|white|sage",
        "branches|no|leaves",
        "shallow",
        mood="calm|warm",
    ),
    "tech glow": Family(
        "acrylic|concrete",
        "dark studio",
        "neon|spot",
        "graphite|ink|lilac|emerald",
        "no|podium",
        mood="bold",
    ),
    "colour block": Family(
        "plaster",
        "seamless",
        _SIDE,
        f"{_RICH}|lilac|mint|sky blue",
        "spheres|blocks|no|steps",
        mood="playful|bold",
    ),
    "terrazzo studio": Family(
        "terrazzo",
        "seamless|arch",
        _SIDE,
        "mint|coral|cream|lilac|sky blue",
        "spheres|no|podium",
        mood="playful",
    ),
    "stone spa": Family(
        "slate|concrete|water",
        "plaster wall|seamless",
        "leaf shade|soft left",
        "sage|sand|cream",
        "pebbles|leaves",
        mood="calm",
    ),
    "linen flat lay": Family(
        "linen",
        "overhead",
        "soft left|window left",
        "cream|sand|sage|blush",
        "leaves|branches|petals|no",
        "deep",
        "any|autumn|spring",
    ),
    "wood flat lay": Family(
        "oak|walnut",
        "overhead",
        "soft left|window left",
        "cream|sand",
        "leaves|petals|pebbles|no",
        "deep",
        "any|autumn",
        "warm|calm",
    ),
    "stone flat lay": Family(
        "marble|concrete|terrazzo",
        "overhead",
        "soft left|window left",
        "white|mint|blush|sky blue",
        "blossoms|petals|no|leaves",
        "deep",
        "spring|any",
        "fresh",
    ),
    "colour flat lay": Family(
        "plaster|sand",
        "overhead",
        "soft left|leaf shade|window left",
        f"{_SOFT}|coral|lemon|terracotta",
        "leaves|petals|no|spheres",
        "deep",
        "summer|any",
        "playful|fresh",
    ),
    "silk flat lay": Family(
        "satin",
        "overhead",
        "soft left",
        "blush|cream|lilac|sage|ink",
        "no|petals|leaves",
        "deep",
        "any|spring",
        "elegant",
    ),
}

FLAT = ("linen flat lay", "wood flat lay", "stone flat lay", "colour flat lay", "silk flat lay")
"""Seen from above: right for what cannot stand, wrong for what would topple."""

TASTES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        (
            "shirt",
            "hoodie",
            "apparel",
            "cloth",
            "polo",
            "tee",
            "sweat",
            "scarf",
            "scarves",
            "dress",
            "trouser",
            "jacket",
        ),
        FLAT,
    ),
    (
        ("book", "card", "cushion", "beanie", "hat"),
        (*FLAT, "pastel podium", "sun disc", "window light", "bright room", "terrazzo studio"),
    ),
    (
        ("beauty", "lip", "cream", "perfume", "cosmetic", "skin", "makeup"),
        (
            "pastel podium",
            "marble vanity",
            "silk",
            "dark glamour",
            "arch and steps",
            "palm shade",
            "stone spa",
            "spring blossom",
            "window light",
        ),
    ),
    (
        (
            "drink",
            "juice",
            "soda",
            "coffee",
            "beverage",
            "food",
            "fruit",
            "grocer",
            "bottle",
            "milk",
        ),
        (
            "garden table",
            "citrus kitchen",
            "water and sky",
            "beach",
            "forest floor",
            "sun disc",
            "colour block",
            "autumn table",
            "bright room",
        ),
    ),
    (
        ("electronic", "headphone", "speaker", "phone", "camera", "computer"),
        (
            "tech glow",
            "city night",
            "dark glamour",
            "pastel podium",
            "window light",
            "colour block",
            "arch and steps",
            "mountain air",
        ),
    ),
    (
        ("shoe", "bag", "watch", "fashion", "sunglass", "sneaker", "boot"),
        (
            "sun disc",
            "arch and steps",
            "palm shade",
            "mountain air",
            "colour block",
            "beach",
            "pastel podium",
            "city night",
            "terrazzo studio",
        ),
    ),
    (
        ("home", "lamp", "decor", "kitchen", "furniture", "mug", "vase"),
        (
            "bright room",
            "window light",
            "arch and steps",
            "autumn table",
            "palm shade",
            "winter lights",
            "terrazzo studio",
            "pastel podium",
        ),
    ),
    (
        ("toy", "kid", "play", "baby", "game"),
        (
            "colour block",
            "sun disc",
            "terrazzo studio",
            "arch and steps",
            "bright room",
            "garden table",
            "winter lights",
        ),
    ),
)
"""Words of a category's path or a title, and the families that suit such products."""

STANDING = tuple(name for name in FAMILIES if name not in FLAT)
"""Families for whatever stands on its own."""


def draw_scene(family: Family, rng: np.random.Generator) -> Scene:
    """Draw a scene of a family, every word by chance."""

    def one(words: str) -> str:
        choices = words.split("|")
        return choices[int(rng.integers(len(choices)))]

    return Scene(
        surface=one(family.surface),
        backdrop=one(family.backdrop),
        light=one(family.light),
        palette=one(family.palette),
        props=one(family.props),
        depth=one(family.depth),
        season=one(family.season),
        mood=one(family.mood),
    )
