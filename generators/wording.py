"""How scenes are said in plain English, and which other words mean the same.

Every phrase of :data:`PROSE` belongs to one word of the scene vocabulary, so prose that a scene
wrote gives that scene back. :data:`ALSO` holds what people and language models say instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

__all__ = ["ALSO", "PROSE", "recognise"]

PROSE: dict[str, dict[str, str]] = {
    "surface": {
        "plaster": "a smooth matte set",
        "oak": "an oak table",
        "walnut": "a dark walnut table",
        "marble": "a white marble counter",
        "black marble": "a black marble counter",
        "terrazzo": "a terrazzo counter",
        "concrete": "a concrete slab",
        "slate": "a slate slab",
        "linen": "linen cloth",
        "satin": "flowing satin",
        "sand": "fine sand",
        "water": "rippling water",
        "acrylic": "glossy acrylic",
        "snow": "fresh snow",
        "moss": "forest moss",
    },
    "backdrop": {
        "seamless": "before a seamless paper background",
        "plaster wall": "before a plaster wall",
        "arch": "before an arched niche",
        "sun disc": "before a large round disc",
        "window": "before a bright window",
        "city lights": "before city lights at night",
        "garden": "before a green garden",
        "sky": "before a sky with clouds",
        "sea": "before the sea",
        "drapery": "before hanging curtains",
        "tiled wall": "before a tiled kitchen wall",
        "dark studio": "in a dark studio",
        "overhead": "flat lay seen from above",
    },
    "light": {
        "soft left": "soft light from the left",
        "soft right": "soft light from the right",
        "golden left": "golden hour sunlight from the left",
        "golden right": "golden hour sunlight from the right",
        "window left": "sunlight through window panes from the left",
        "window right": "sunlight through window panes from the right",
        "leaf shade": "dappled shadows of palm fronds",
        "spot": "a spotlight from above",
        "neon": "neon light",
    },
    "palette": {
        word: f"{word} colours"
        for word in (
            "cream",
            "blush",
            "sage",
            "sky blue",
            "lilac",
            "terracotta",
            "lemon",
            "mint",
            "coral",
            "sand",
            "ink",
            "graphite",
            "emerald",
            "burgundy",
            "white",
        )
    },
    "props": {
        "no": "nothing else around",
        "podium": "on a round podium",
        "steps": "on round steps",
        "leaves": "with green leaves",
        "pebbles": "with river pebbles",
        "blossoms": "with flower blossoms",
        "petals": "with scattered petals",
        "citrus": "with slices of citrus fruit",
        "spheres": "with polished spheres",
        "blocks": "with geometric blocks",
        "branches": "framed by branches",
        "drops": "with floating drops",
        "baubles": "with christmas baubles",
    },
    "depth": {
        "deep": "everything in focus",
        "medium": "slightly blurred background",
        "shallow": "shallow depth of field with bokeh",
    },
    "season": {
        "any": "all year round",
        "spring": "in spring",
        "summer": "in summer",
        "autumn": "in autumn",
        "winter": "in winter",
    },
    "mood": {
        word: f"{word} mood"
        for word in (
            "calm",
            "fresh",
            "warm",
            "bold",
            "elegant",
            "playful",
        )
    },
}
"""Part to word to phrase."""

ALSO: dict[str, dict[str, str]] = {
    "surface": {
        "plaster": "matte surface|painted set|stucco surface",
        "oak": "oak|wood|wooden|wooden table|timber|pine table|light wood",
        "walnut": "walnut|dark wood|mahogany|brown wood",
        "marble": "marble|quartz",
        "black marble": "black marble|dark marble|onyx",
        "terrazzo": "terrazzo",
        "concrete": "concrete|cement|stone",
        "slate": "slate|rock|boulder",
        "linen": "linen|cotton|cloth|tablecloth|fabric|blanket|canvas",
        "satin": "satin|silk|silky|velvet",
        "sand": "sand|sandy|dune",
        "water": "water|pool|lake|ripples",
        "acrylic": "acrylic|glass table|mirror|plexiglass|glossy surface",
        "snow": "snow|snowy|ice",
        "moss": "moss|mossy|grass|lawn|meadow|forest floor",
    },
    "backdrop": {
        "seamless": "seamless|plain background|solid background|paper background|studio background",
        "plaster wall": "wall|plaster wall|stucco wall",
        "arch": "arch|archway|arched|niche",
        "sun disc": "disc|disk|circle|round backdrop|sun disc",
        "window": "window|living room|bright room|interior",
        "city lights": "city|city lights|skyline|street at night|cityscape",
        "garden": "garden|forest|park|trees|greenery|foliage|jungle",
        "sky": "sky|clouds|mountains|mountain",
        "sea": "sea|ocean|beach|seaside|coast",
        "drapery": "drapery|drapes|curtain|curtains",
        "tiled wall": "tile|tiles|tiled|kitchen|bathroom",
        "dark studio": "dark studio|dark background|black background",
        "overhead": "overhead|flat lay|flatlay|top view|top down|from above|bird's eye",
    },
    "light": {
        "soft left": "soft light|diffused light|diffuse light|from the left|left side",
        "soft right": "from the right|soft light from right|right side",
        "golden left": "golden hour|golden light|sunset|sunrise|sunlight|sunny|warm light",
        "golden right": "golden light from the right|sunlight from the right"
        "|sunset from the right|warm light from the right",
        "window left": "window light|daylight",
        "window right": "window light from the right|daylight from the right",
        "leaf shade": "leaf shade|dappled|palm shadow|palm shadows|shadows of leaves|leaf shadows",
        "spot": "spot|spotlight|rim light|dramatic light|dramatic lighting",
        "neon": "neon|glowing|cyberpunk",
    },
    "palette": {
        "cream": "cream|beige|ivory|neutral tones",
        "blush": "blush|pink|rose",
        "sage": "sage|olive|soft green",
        "sky blue": "sky blue|light blue|blue|azure",
        "lilac": "lilac|purple|lavender|violet",
        "terracotta": "terracotta|rust|brown|clay",
        "lemon": "lemon|yellow",
        "mint": "mint|turquoise|teal|aqua",
        "coral": "coral|orange|peach|salmon",
        "sand": "sand palette|tan|sandy tones",
        "ink": "ink|navy|dark blue|midnight blue",
        "graphite": "graphite|grey|gray|black|charcoal",
        "emerald": "emerald|dark green|green",
        "burgundy": "burgundy|wine red|red|maroon",
        "white": "white",
    },
    "props": {
        "no": "no props|minimalist|minimal|uncluttered|clean composition",
        "podium": "podium|pedestal|plinth|platform",
        "steps": "steps|stairs|staircase",
        "leaves": "leaves|leaf|plants|plant|herbs|fern|monstera",
        "pebbles": "pebbles|stones|shells",
        "blossoms": "blossoms|blossom|flowers|flower|bouquet",
        "petals": "petals|petal|confetti",
        "citrus": "citrus|lemons|oranges|limes|fruit slices",
        "spheres": "spheres|sphere|balls|pearls",
        "blocks": "blocks|cubes|geometric shapes",
        "branches": "branches|branch|twigs|eucalyptus",
        "drops": "drops|droplets|splash",
        "baubles": "baubles|christmas|ornaments|fir",
    },
    "depth": {
        "deep": "deep focus|sharp background|in focus",
        "medium": "soft background",
        "shallow": "bokeh|blurred|blurry|out of focus|shallow",
    },
    "season": {
        "any": "any season",
        "spring": "spring|easter",
        "summer": "summer|tropical",
        "autumn": "autumn|fall|harvest",
        "winter": "winter|festive",
    },
    "mood": {
        "calm": "calm|serene|peaceful|tranquil|zen",
        "fresh": "fresh|clean|crisp|natural|bright",
        "warm": "warm|cosy|cozy|rustic|homely",
        "bold": "bold|dramatic|vivid|striking|energetic",
        "elegant": "elegant|luxury|luxurious|sophisticated|premium",
        "playful": "playful|fun|cheerful|whimsical|cute",
    },
}
"""Part to word to what else says it, parted by bars."""

_DENIED = re.compile(r"\b(?:no|not|without|never)(?: any| an?| the)? $")


def recognise(text: str, phrases: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """Find what free prose says of a scene; longer phrases are read before shorter ones.

    Args:
        text: Such as ``The bottle stands on a wooden table by the ocean at sunset``.
        phrases: Further phrases, (part, word) to phrase.

    Returns:
        Part to word; what is not said, or is denied (``without flowers``), is left out.
    """
    left = " ".join(re.sub(r"[^\w']+", " ", text.lower()).split())
    found: dict[str, str] = {}
    cues = [(phrase, *meaning) for meaning, phrase in phrases.items()]
    for cue, part, word in sorted({*cues, *_cues()}, key=lambda cue: (-len(cue[0]), cue)):
        if part in found:
            continue
        match = re.search(rf"(?<![\w']){re.escape(cue)}(?![\w'])", left)
        if match is None:
            continue
        if not _DENIED.search(left[: match.start()]):
            found[part] = word
        left = f"{left[: match.start()]}{'_' * len(cue)}{left[match.end() :]}"
    return found


@lru_cache(maxsize=1)
def _cues() -> frozenset[tuple[str, str, str]]:
    said = {(phrase, part, word) for part, of in PROSE.items() for word, phrase in of.items()}
    other = {
        (cue, part, word)
        for part, of in ALSO.items()
        for word, cues in of.items()
        for cue in cues.split("|")
    }
    return frozenset(said | other)
