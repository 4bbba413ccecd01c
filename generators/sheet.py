"""Contact sheets: baseline beside generated, product by product, as PNG and as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from abplatform.creatives import read_master
from abplatform.domain.catalog import Lineage, Product
from abplatform.figures import embed_picture, page

__all__ = ["contact_page", "contact_sheet"]

GAP = 14
HEADER = 46
INK = (34, 36, 42)
QUIET = (126, 128, 136)
PAPER = (250, 250, 248)
WIDEST = 3200
"""Width in pixels that a sheet does not pass."""
_OWN_LETTERS = 0x250
"""Below it lie the letters of the font that Pillow carries."""
_FAR_LETTERS = 0x2E80
"""From here on lie the letters of China, Japan and Korea."""
_NEAR_FONTS = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "Arial Unicode.ttf")
_FAR_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "wqy-zenhei.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
)
SHAPE = 1.45
"""Width by height that a sheet comes near to."""


def contact_sheet(
    path: Path,
    *,
    products: Sequence[Product],
    lineages: Sequence[Lineage],
    root: Path,
    tile: int = 176,
    per_product: int = 4,
) -> Path:
    """Write a PNG with a block for each product: its baseline, then its generated creatives.

    Args:
        path: The file to write.
        products: In the order to show; those without a creative are left out.
        lineages: The creatives to show.
        root: The folder of creatives.
        tile: Width of one picture in pixels.
        per_product: How many generated creatives a block shows at most.

    Returns:
        The path.
    """
    blocks = _blocks(products, lineages, per_product)
    pictures = max((len(shown) for _, shown in blocks), default=1)
    block = pictures * (tile + 4) + GAP
    across = _blocks_across(len(blocks), block, tile + HEADER + GAP)
    down = -(-len(blocks) // across) if blocks else 0
    size = (GAP + across * (block + GAP), GAP + down * (tile + HEADER + GAP))
    sheet = Image.new("RGB", (max(size[0], 64), max(size[1], 64)), PAPER)
    for number, (product, shown) in enumerate(blocks):
        x = GAP + (number % across) * (block + GAP)
        y = GAP + (number // across) * (tile + HEADER + GAP)
        _draw_block(sheet, (x, y), product, [_small(root, row, tile) for row in shown])
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, compress_level=4)
    return path


def contact_page(
    path: Path, *, products: Sequence[Product], lineages: Sequence[Lineage], root: Path
) -> Path:
    """Write one HTML file with every creative, its scene and what the inspector said.

    Args:
        path: The file to write.
        products: In the order to show.
        lineages: The creatives to show.
        root: The folder of creatives.

    Returns:
        The path.
    """
    parts = ["<h1>Creatives</h1>"]
    for product, shown in _blocks(products, lineages, None):
        parts.append(f"<h2>{escape(product.title)}</h2><p>{escape(product.category.path)}</p>")
        parts += ['<div style="display:flex;flex-wrap:wrap;gap:14px">']
        parts += [_figure(root, lineage) for lineage in shown]
        parts += ["</div>"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page("Creatives", "\n".join(parts)), encoding="utf-8")
    return path


def _figure(root: Path, lineage: Lineage) -> str:
    picture = embed_picture(read_master(root, lineage.creative_id), side=260)
    words = lineage.prompt or "plain studio"
    scores = lineage.inspector.get("scores")
    fit = scores.get("fit") if isinstance(scores, Mapping) else None
    verdict = "" if fit is None else f"<br>fit {fit:.2f}"
    return (
        f'<figure style="margin:0;width:260px"><img src="{picture}" width="260" height="260" '
        f'style="border-radius:6px" alt="{escape(words)}"><figcaption><b>{lineage.source}</b> '
        f"<code>{lineage.creative_id[:12]}</code><br>{escape(words)}{verdict}</figcaption></figure>"
    )


def _blocks(
    products: Sequence[Product], lineages: Sequence[Lineage], per_product: int | None
) -> list[tuple[Product, list[Lineage]]]:
    by_product: dict[str, list[Lineage]] = {}
    for lineage in lineages:
        by_product.setdefault(lineage.product_id, []).append(lineage)
    blocks = []
    for product in products:
        mine = by_product.get(product.product_id, [])
        plain = [row for row in mine if row.source == "baseline"][:1]
        generated = [row for row in mine if row.source != "baseline"][:per_product]
        if plain or generated:
            blocks.append((product, plain + generated))
    return blocks


def _blocks_across(count: int, wide: int, tall: int) -> int:
    """How many blocks stand side by side so that the sheet is a little wider than tall."""
    best = round(float(np.sqrt(max(count, 1) * SHAPE * tall / wide)))
    return max(1, min(best, count or 1, max(1, WIDEST // (wide + GAP))))


def _small(root: Path, lineage: Lineage, tile: int) -> Image.Image:
    picture = Image.fromarray(read_master(root, lineage.creative_id))
    return picture.resize((tile, tile), Image.Resampling.LANCZOS)


def _draw_block(
    sheet: Image.Image, corner: tuple[int, int], product: Product, pictures: list[Image.Image]
) -> None:
    pen = ImageDraw.Draw(sheet)
    x, y = corner
    room = sum(picture.width + 4 for picture in pictures)
    for text, size, ink, drop in (
        (product.title, 15, INK, 2),
        (product.category.path, 12, QUIET, 23),
    ):
        font = _font_for(text, size)
        # better a name that can be read than a row of boxes
        shown = text if font else product.product_id
        font = font or ImageFont.load_default(size=size)
        pen.text((x, y + drop), _cut(shown, font, room), fill=ink, font=font)
    for picture in pictures:
        sheet.paste(picture, (x, y + HEADER))
        x += picture.width + 4


def _font_for(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont | None:
    """Return a font that has the letters of a text, looked for where this system keeps fonts."""
    if all(ord(letter) < _OWN_LETTERS for letter in text):
        return ImageFont.load_default(size=size)
    far = any(ord(letter) >= _FAR_LETTERS for letter in text)
    for name in _FAR_FONTS if far else _NEAR_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None


def _cut(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """Shorten text until it fits."""
    while len(text) > 1 and font.getlength(text) > room:
        text = text[:-1]
    return text
