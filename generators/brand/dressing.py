"""A brand's logo, disclaimer and label, laid over a picture and never over its product."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from abplatform.errors import CatalogueError
from generators.arrays import Pixels
from generators.brand.kit import BrandKit, Logo
from generators.renderers.placing import Rendered

__all__ = ["Dressed", "dress"]

_EDGE = 0.035
"""What stays free at the picture's border, as a share of its shorter side."""
_LETTERS = 0.026
"""Height of letters, likewise."""
_LIGHT, _DARK = (255, 255, 255), (24, 24, 28)

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Dressed:
    """A picture with what its brand asks for.

    Args:
        rendered: The picture.
        broken: Rules that could not be held, such as ``brand:logo_clear_space``.
    """

    rendered: Rendered
    broken: tuple[str, ...]


def dress(rendered: Rendered, kit: BrandKit) -> Dressed:
    """Lay a brand's logo, disclaimer and label over a picture.

    Args:
        rendered: The picture; is not changed.
        kit: What the brand asks for.

    Returns:
        The picture with whatever has room beside the product, and the rules that have not.
    """
    if not (kit.logo or kit.disclaimer or kit.ai_label):
        return Dressed(rendered, ())
    height, width = rendered.pixels.shape[:2]
    short = min(width, height)
    edge, letters = round(_EDGE * short), max(9, round(_LETTERS * short))
    picture = Image.fromarray(rendered.pixels)
    taken, broken = [_product_box(rendered)], []
    if kit.logo is not None:
        logo = _sized(kit.logo, short)
        box = _corner(kit.logo.corner, logo.size, (width, height), edge)
        clear = round(kit.logo.clear_space * logo.height)
        if any(_meet(_grown(box, clear), other) for other in taken):
            broken.append("brand:logo_clear_space")
        else:
            picture.paste(logo, box[:2], logo)
            taken.append(_grown(box, clear))
    for rule, text, corner in (
        ("brand:disclaimer", kit.disclaimer, "bottom left"),
        ("brand:ai_label", kit.ai_label, "bottom right"),
    ):
        if text:
            written = _write(picture, text, corner, taken, style=(_font(kit, letters), edge))
            if written is None:
                broken.append(rule)
            else:
                taken.append(written)
    return Dressed(replace(rendered, pixels=_keep_product(picture, rendered)), tuple(broken))


def _product_box(rendered: Rendered) -> Box:
    place = rendered.placement
    return (place.x, place.y, place.x + place.width, place.y + place.height)


def _sized(logo: Logo, short: int) -> Image.Image:
    with Image.open(logo.path) as file:
        image = file.convert("RGBA")
    width = max(8, round(logo.width * short))
    size = (width, max(1, round(width * image.height / image.width)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _corner(corner: str, size: tuple[int, int], whole: tuple[int, int], edge: int) -> Box:
    down, across = corner.split()
    x = edge if across == "left" else whole[0] - edge - size[0]
    y = edge if down == "top" else whole[1] - edge - size[1]
    return (x, y, x + size[0], y + size[1])


def _font(kit: BrandKit, letters: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if kit.font is not None:
        return ImageFont.truetype(str(kit.font), letters)
    beyond = [c for c in kit.disclaimer + kit.ai_label if ord(c) > 0x24F]
    if beyond:
        raise CatalogueError(
            f"the built-in font cannot write {beyond[0]!r}",
            remedy="name a font that can as `font` in the brand's file",
        )
    return ImageFont.load_default(size=letters)


def _write(
    picture: Image.Image,
    text: str,
    corner: str,
    taken: list[Box],
    *,
    style: tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, int],
) -> Box | None:
    """Write a text in a corner, in as many lines as it needs; None where there is no room."""
    pen, (font, edge) = ImageDraw.Draw(picture), style
    for most in (1.0, 0.62, 0.45, 0.3):
        lines = _wrapped(text, font, most * (picture.width - 2 * edge))
        block = "\n".join(lines)
        left, top, right, bottom = pen.multiline_textbbox((0, 0), block, font=font, spacing=3)
        size = (round(right - left), round(bottom - top))
        box = _corner(corner, size, picture.size, edge)
        if size[1] <= 0.2 * picture.height and not any(_meet(box, other) for other in taken):
            under = np.asarray(picture.crop(box).convert("L"))
            ink = _DARK if under.mean() > 128 else _LIGHT
            pen.multiline_text((box[0] - left, box[1] - top), block, fill=ink, font=font, spacing=3)
            return box
    return None


def _wrapped(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float
) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _grown(box: Box, by: int) -> Box:
    return (box[0] - by, box[1] - by, box[2] + by, box[3] + by)


def _meet(first: Box, second: Box) -> bool:
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )


def _keep_product(picture: Image.Image, rendered: Rendered) -> Pixels:
    """Put the product's box back as it was: nothing may touch it."""
    pixels = np.array(picture)
    x, y, right, bottom = _product_box(rendered)
    pixels[y:bottom, x:right] = rendered.pixels[y:bottom, x:right]
    return pixels
