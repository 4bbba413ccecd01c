"""Texts composed from briefs by grammar: what the small embedded model learns to write.

Facts are placeholders, in prompts as in texts. What the model learns is which of them may be told,
what goes with a kind of products, and how such texts are built in two languages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from generators.ad_text.brief import COLOUR, NAME, PRICE, RATING, SEGMENT
from generators.ad_text.kinds import KINDS, Kind, general_lines

__all__ = ["compose", "compose_many"]

_ENGLISH: Final = (
    ((), (f"{NAME}. {{}}.", f"{{}}: {NAME}.", f"{NAME}: {{}}.", f"Meet {NAME}. {{}}.")),
    ((COLOUR,), (f"{NAME} in {COLOUR}. {{}}.", f"In {COLOUR}: {NAME}. {{}}.")),
    ((PRICE,), (f"{NAME}, {PRICE}. {{}}.", f"{{}}: {NAME}, {PRICE}.")),
    ((RATING,), (f"{NAME}, rated {RATING}. {{}}.", f"{NAME}. Rated {RATING}. {{}}.")),
    ((SEGMENT,), (f"{SEGMENT}: {NAME}. {{}}.", f"{NAME} for {SEGMENT}. {{}}.")),
)
_CHINESE: Final = (
    ((), (f"{NAME}，{{}}。", f"{{}}，就选{NAME}。", f"{NAME}：{{}}。")),
    ((COLOUR,), (f"{COLOUR}{NAME}，{{}}。",)),
    ((PRICE,), (f"{NAME}，{PRICE}，{{}}。", f"{{}}，{NAME}，{PRICE}。")),
    ((RATING,), (f"{NAME}，评分{RATING}，{{}}。",)),
    ((SEGMENT,), (f"{SEGMENT}的{NAME}，{{}}。", f"给{SEGMENT}：{NAME}，{{}}。")),
)
"""Facts that a text tells, and its forms; the line stands where the braces are."""
_FORMS: Final = {"en": _ENGLISH, "zh": _CHINESE}
_BARE: Final = {
    "en": (((), (f"{NAME}.",)), ((PRICE,), (f"{NAME}, {PRICE}.",))),
    "zh": (((), (f"{NAME}。",)), ((PRICE,), (f"{NAME}，{PRICE}。",))),
}
"""Forms for where there is no room for a line."""
_TOLD: Final = {PRICE: ("price", 0.4), RATING: ("rating", 0.3), COLOUR: ("colour", 0.4)}
_UNKNOWN: Final = 0.3
"""How often a kind is one that nobody has heard of: then it says what goes with anything."""
_ROOMS: Final = (("none", 0.12), ("little", 0.28), ("much", 0.6))
_LITTLE: Final = 16
"""Characters of a line where there is little room."""
_ONSETS: Final = (
    *("b", "br", "ch", "d", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "pl"),
    *("r", "s", "sh", "st", "t", "tr", "v", "w", "z", ""),
)
_VOWELS: Final = ("a", "e", "i", "o", "u", "ea", "oo", "ai", "ee")
_CODAS: Final = ("", "", "", "n", "r", "l", "s", "t", "ck", "nd", "m", "x", "ng")


def compose_many(rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Yield prompts and texts without end.

    Args:
        rng: Deals everything.
    """
    while True:
        yield compose(rng)


def compose(rng: np.random.Generator) -> tuple[str, str]:
    """Return one prompt, as ``Brief.masked_prompt`` gives it, and a text, with placeholders."""
    kind = KINDS[int(rng.integers(len(KINDS)))]
    name, lines = _kind(rng, kind)
    room = str(rng.choice([name for name, _ in _ROOMS], p=[share for _, share in _ROOMS]))
    if room == "little":
        lines = tuple(line for line in lines if len(line) <= _LITTLE) or lines
    given = [place for place, (_, share) in _TOLD.items() if rng.random() < share]
    if rng.random() < 0.25:
        given.append(SEGMENT)
    forms = (_BARE if room == "none" else _FORMS)[kind.language]
    texts = [_write(rng, forms, lines, given) for _ in range(2)]
    told = {
        "in": kind.language,
        "room": room,
        "product": NAME,
        "kind": name,
        **{word: place for place, (word, _) in _TOLD.items() if place in given},
        "for": SEGMENT if SEGMENT in given else None,
        "text": texts[1] if texts[0] != texts[1] and rng.random() < 0.15 else None,
    }
    prompt = "; ".join(f"{word}: {value}" for word, value in told.items() if value)
    return f"{prompt}\nad:", f" {texts[0]}"


def _kind(rng: np.random.Generator, kind: Kind) -> tuple[str, Sequence[str]]:
    """Return how a kind is called, and what may be said of it."""
    if rng.random() < _UNKNOWN:
        words = [_word(rng) for _ in range(int(rng.integers(1, 3)))]
        if kind.language == "zh" and rng.random() < 0.5:
            codes = rng.integers(0x4E00, 0x9000, int(rng.integers(2, 5)))
            words = ["".join(chr(int(code)) for code in codes)]
        return " ".join(words), general_lines(kind.language)
    name = _one(rng, kind.names)
    if kind.language == "en" and rng.random() < 0.25:
        name = f"{_word(rng)} {name}"  # such as "velvet lipstick": the kind is its last word
    return name, kind.lines


def _write(
    rng: np.random.Generator,
    forms: Sequence[tuple[Sequence[str], Sequence[str]]],
    lines: Sequence[str],
    given: Sequence[str],
) -> str:
    able = [(facts, texts) for facts, texts in forms if set(facts) <= set(given)]
    # a text for someone says so; other facts may be told or not
    able = [one for one in able if SEGMENT in one[0]] or able
    form = _one(rng, able[int(rng.integers(len(able)))][1])
    line = _one(rng, lines)
    return form.format(line if form[0] == "{" or ". {" in form else _lowered(line))


def _lowered(line: str) -> str:
    return line[0].lower() + line[1:]


def _word(rng: np.random.Generator) -> str:
    return "".join(
        _one(rng, _ONSETS) + _one(rng, _VOWELS) + _one(rng, _CODAS)
        for _ in range(int(rng.integers(1, 4)))
    )


def _one(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]
