"""One brand's kit: plain data, and the rules that follow from it, each with a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from generators.scene import Scene

__all__ = ["NO_BRAND", "BrandKit", "Corner", "Logo"]

Corner = Literal["top left", "top right", "bottom left", "bottom right"]


@dataclass(frozen=True, slots=True)
class Logo:
    """A brand's logo and the room it needs.

    Args:
        path: A picture with transparency.
        corner: Where it stands.
        width: As a share of the picture's shorter side.
        clear_space: What stays free around it, as a share of the logo's height.
    """

    path: Path
    corner: Corner = "top left"
    width: float = 0.16
    clear_space: float = 0.5


@dataclass(frozen=True, slots=True)
class BrandKit:
    """What one brand asks for in one country, or everywhere.

    Args:
        brand: As in the products' attribute ``brand``; empty: of every product without a kit.
        country: ISO 3166 code; None: everywhere else.
        logo: Drawn on every generated creative; None: no logo.
        font: A TrueType file for what is written; None: Pillow's own, which writes Latin letters.
        palette: Palettes of scenes that may be used; empty: any.
        forbidden_words: Never in a text; compared without case.
        mandatory_words: In every text.
        allowed_scenes: Each names words of scenes; a scene has to have all words of one of them.
            Empty: any scene.
        forbidden_scenes: No scene may have all words of one of them.
        disclaimer: Written at the bottom of every generated creative.
        prices: Whether texts may quote the catalogue's price.
        ai_label: Written in a corner of every generated creative.
        sha256: Of the kit's file, its logo and its font; empty for the kit that asks for nothing.
    """

    brand: str = ""
    country: str | None = None
    logo: Logo | None = None
    font: Path | None = None
    palette: tuple[str, ...] = ()
    forbidden_words: tuple[str, ...] = ()
    mandatory_words: tuple[str, ...] = ()
    allowed_scenes: tuple[Mapping[str, str], ...] = ()
    forbidden_scenes: tuple[Mapping[str, str], ...] = ()
    disclaimer: str = ""
    prices: bool = True
    ai_label: str = ""
    sha256: str = ""

    def refuses_scene(self, scene: Scene) -> str | None:
        """Return the rule that a scene breaks, such as ``brand:forbidden_scene``, or None."""
        words = scene.to_words()
        if self.palette and scene.palette not in self.palette:
            return "brand:palette"
        if any(_has(words, unwanted) for unwanted in self.forbidden_scenes):
            return "brand:forbidden_scene"
        if self.allowed_scenes and not any(_has(words, one) for one in self.allowed_scenes):
            return "brand:allowed_scene"
        return None

    def refuses_text(self, text: str) -> tuple[str, ...]:
        """Return the rules that a text breaks, each with the word that does."""
        said = text.casefold()
        forbidden = [word for word in self.forbidden_words if word.casefold() in said]
        missing = [word for word in self.mandatory_words if word.casefold() not in said]
        return (
            *(f"brand:forbidden_word:{word}" for word in forbidden),
            *(f"brand:mandatory_word:{word}" for word in missing),
        )

    @property
    def restricts_scenes(self) -> bool:
        """Whether some scenes may not be drawn."""
        return bool(self.palette or self.forbidden_scenes or self.allowed_scenes)

    @property
    def facts(self) -> dict[str, str]:
        """What the lineage keeps of it: nothing of the kit that asks for nothing."""
        if not self.sha256:
            return {}
        return {"brand": self.brand, "country": self.country or "", "sha256": self.sha256}


NO_BRAND: Final = BrandKit()
"""The kit of whoever has none: asks for nothing."""


def _has(words: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(words[part] == word for part, word in wanted.items())
