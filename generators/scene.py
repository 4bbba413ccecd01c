"""The scene vocabulary: what a creative's background may be, with a text form and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches

from abplatform.errors import CatalogueError
from generators.wording import PROSE, recognise

__all__ = [
    "VOCABULARY",
    "Scene",
    "phrase",
    "read_phrases",
    "scene_from_prose",
    "scene_from_text",
]

VOCABULARY: dict[str, tuple[str, ...]] = {part: tuple(words) for part, words in PROSE.items()}
"""Field to its words, in the order of the text form."""

_NOUNS = {
    "surface": "surface",
    "backdrop": "backdrop",
    "light": "light",
    "palette": "palette",
    "props": "props",
    "depth": "depth of field",
    "season": "season",
    "mood": "mood",
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene in words that a prompt model writes and a renderer reads.

    Args:
        surface: What the product stands or lies on.
        backdrop: What is behind it; ``overhead`` looks straight down on the surface.
        light: Where the light comes from and how hard it is.
        palette: The colours of everything that has no colour of its own.
        props: What else is in the picture.
        depth: Depth of field: how sharp the background is.
        season: The time of year.
        mood: Contrast and warmth of the whole.

    Raises:
        CatalogueError: A word is not in the vocabulary.
    """

    surface: str = "plaster"
    backdrop: str = "seamless"
    light: str = "soft left"
    palette: str = "cream"
    props: str = "no"
    depth: str = "medium"
    season: str = "any"
    mood: str = "calm"

    def __post_init__(self) -> None:
        """Refuse words that no renderer knows."""
        for field in fields(self):
            word = getattr(self, field.name)
            if word not in VOCABULARY[field.name]:
                raise _unknown_word(field.name, word)

    def to_text(self) -> str:
        """Return the scene as phrases, such as ``oak surface, arch backdrop, …``."""
        return ", ".join(phrase(name, word) for name, word in asdict(self).items())

    def to_prose(self) -> str:
        """Return the scene as other image models understand it.

        Such as ``product photograph on an oak table, before a green garden, …``.
        """
        said = {name: PROSE[name][word] for name, word in asdict(self).items()}
        return f"product photograph on {', '.join(said.values())}"

    def to_words(self) -> dict[str, str]:
        """Return field to word, as lineage keeps it."""
        return asdict(self)


def phrase(part: str, word: str) -> str:
    """Return how the text form says one part of a scene: ``oak surface``."""
    return f"{word} {_NOUNS[part]}"


def scene_from_text(text: str) -> Scene:
    """Read a scene from phrases in any order; what is not said keeps its default.

    Args:
        text: Such as ``oak surface, arch backdrop, shallow depth of field``.

    Raises:
        CatalogueError: A phrase or its word is unknown, or a field is said twice.
    """
    return Scene(**read_phrases(text))


def scene_from_prose(text: str, *, otherwise: Scene | None = None) -> Scene:
    """Read a scene from whatever words people or language models use; nothing is refused.

    Args:
        text: Free English, such as ``on a wooden table by the ocean at sunset``; phrases of the
            text form are read as well.
        otherwise: What is not said is taken from it; the defaults if None.
    """
    phrases = {
        (part, word): phrase(part, word) for part, words in VOCABULARY.items() for word in words
    }
    return replace(otherwise or Scene(), **recognise(text, phrases))


def read_phrases(text: str) -> dict[str, str]:
    """Read what phrases say of a scene, part to word; what is not said is left out.

    Args:
        text: Such as ``neon light, water surface``.

    Raises:
        CatalogueError: As for :func:`scene_from_text`.
    """
    words: dict[str, str] = {}
    for phrase in filter(None, (" ".join(part.split()).lower() for part in text.split(","))):
        name = next((name for name, noun in _NOUNS.items() if phrase.endswith(f" {noun}")), None)
        if name is None:
            raise CatalogueError(
                f"the scene phrase {phrase!r} names no part of a scene",
                remedy=f"end it with one of {', '.join(_NOUNS.values())}",
            )
        if name in words:
            raise CatalogueError(f"the scene names its {name} twice", remedy="keep one of them")
        words[name] = phrase.removesuffix(f" {_NOUNS[name]}")
    for name, word in words.items():
        if word not in VOCABULARY[name]:
            raise _unknown_word(name, word)
    return words


def _unknown_word(name: str, word: str) -> CatalogueError:
    near = get_close_matches(str(word), VOCABULARY[name], n=1)
    hint = f"did you mean {near[0]!r}? The words" if near else "the words"
    return CatalogueError(
        f"{word!r} is no {_NOUNS[name]} that a renderer knows",
        remedy=f"{hint} are {', '.join(VOCABULARY[name])}",
    )
