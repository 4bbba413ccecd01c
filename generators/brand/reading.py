"""Brand kits from YAML files, every mistake with its place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageFont, UnidentifiedImageError

from abplatform.domain.catalog import Product
from abplatform.errors import CatalogueError, SpecError
from abplatform.yaml_text import Node, read
from abplatform.yaml_text.lists import ListOf
from abplatform.yaml_text.quantities import Share
from abplatform.yaml_text.shapes import Choice, Flag, Parsed, Text
from abplatform.yaml_text.tables import Field, Table, in_one
from generators.brand.kit import NO_BRAND, BrandKit, Logo
from generators.scene import VOCABULARY, read_phrases

__all__ = ["BRAND", "NO_BRANDS", "Brands", "read_brands"]

BRANDS_FOLDER = "brands"


def _phrases(text: str) -> dict[str, str]:
    try:
        return read_phrases(text)
    except CatalogueError as error:
        raise SpecError(error.message, remedy=error.remedy, code="bad_value") from error


_SCENES = ListOf(
    Parsed(parse=_phrases, expects="words of a scene", remedy="write `neon light, water surface`"),
    max_items=200,
)
_WORDS = ListOf(Text(max_length=100), max_items=1000, unique=True)
_LOGO = Table(
    make=dict,
    shorthand="path",
    fields=(
        Field("path", Text(), "A picture with transparency, beside this file.", required=True),
        Field(
            "corner",
            Choice({f"{a} {b}": "" for a in ("top", "bottom") for b in ("left", "right")}),
            "Where it stands.",
        ),
        Field("width", Share(), "Its width as a share of the picture's shorter side."),
        Field("clear_space", Share(), "What stays free around it, as a share of its height."),
    ),
)

BRAND = Table(
    make=dict,
    fields=(
        Field("brand", Text(max_length=100), "As in the products' attribute brand; all without."),
        Field("country", Text(max_length=2), "Where the kit holds; everywhere else without."),
        Field("logo", _LOGO, "Drawn on every generated creative."),
        Field("font", Text(), "A TrueType file beside this one, for what is written."),
        Field(
            "palette",
            ListOf(Choice(dict.fromkeys(VOCABULARY["palette"], "")), unique=True),
            "Palettes of scenes that may be used.",
        ),
        Field(
            "words",
            Table(
                make=dict,
                fields=(
                    Field("forbidden", _WORDS, "Never in a text."),
                    Field("mandatory", _WORDS, "In every text."),
                ),
            ),
            "Words of texts.",
        ),
        Field(
            "scenes",
            Table(
                make=dict,
                fields=(
                    Field("allowed", _SCENES, "A scene has all words of one of them."),
                    Field("forbidden", _SCENES, "No scene has all words of one of them."),
                ),
            ),
            "Scenes, by words of them.",
        ),
        Field("disclaimer", Text(max_length=300), "Written at the bottom of every creative."),
        Field("prices", Flag(), "Whether texts may quote the catalogue's price."),
        Field("ai_label", Text(max_length=40), "Written in a corner, such as `AI generated`."),
    ),
)
"""The whole file."""


@dataclass(frozen=True, slots=True)
class Brands:
    """Every kit of a workspace."""

    kits: tuple[BrandKit, ...] = ()

    def kit(self, product: Product, country: str | None = None) -> BrandKit:
        """Return a product's kit: the most particular one that fits, else one that asks nothing.

        Args:
            product: Its attribute ``brand`` decides.
            country: Where the creative will be shown; None: the kit that holds everywhere.
        """
        brand = product.attributes.get("brand", "")
        for wanted in ((brand, country), (brand, None), ("", country), ("", None)):
            for kit in self.kits:
                if (kit.brand, kit.country) == wanted:
                    return kit
        return NO_BRAND


NO_BRANDS: Final = Brands()
"""Of whoever has no kits."""


def read_brands(folder: Path) -> Brands:
    """Read the kits of a catalogue: every YAML file in its folder ``brands``.

    Args:
        folder: The catalogue's folder; without ``brands`` in it there are no kits.

    Raises:
        SpecError: A file is wrong, or two speak of one brand and country.
        CatalogueError: A logo or a font cannot be read.
    """
    kits: dict[tuple[str, str | None], tuple[BrandKit, Path]] = {}
    for path in sorted((folder / BRANDS_FOLDER).glob("*.y*ml")):
        kit = _read(path)
        key = (kit.brand, kit.country)
        if key in kits:
            raise SpecError(
                f"{kits[key][1].name} speaks of this brand and country, too",
                path=path,
                line=1,
                remedy="join the two files, or give one a country",
                code="conflict",
            )
        kits[key] = (kit, path)
    return Brands(tuple(kit for kit, _ in kits.values()))


def _read(path: Path) -> BrandKit:
    root: Node = read(path)
    problems: list[SpecError] = []
    values = BRAND.read(root, problems, name="")
    if problems:
        raise in_one(problems)
    logo, font = values.pop("logo", None), values.pop("font", None)
    words, scenes = values.pop("words", {}), values.pop("scenes", {})
    files = [path]
    if logo is not None:
        files.append(path.parent / logo.pop("path"))
        _check_picture(files[-1])
        values["logo"] = Logo(files[-1], **logo)
    if font is not None:
        files.append(path.parent / font)
        _check_font(files[-1])
        values["font"] = files[-1]
    made: dict[str, Any] = {
        **{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()},
        **{f"{name}_words": tuple(found) for name, found in words.items()},
        **{f"{name}_scenes": tuple(found) for name, found in scenes.items()},
    }
    return BrandKit(**made, sha256=_sha256(files))


def _check_picture(path: Path) -> None:
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise CatalogueError(
            f"the logo cannot be read: {error}", path=path, remedy="save it as PNG"
        ) from error


def _check_font(path: Path) -> None:
    try:
        ImageFont.truetype(str(path), 12)
    except OSError as error:
        raise CatalogueError(
            f"the font cannot be read: {error}", path=path, remedy="name a TrueType file"
        ) from error


def _sha256(files: list[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
