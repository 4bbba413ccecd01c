"""Contact sheets: baseline beside generated, product by product."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from abplatform.creatives import read_master
from abplatform.domain.catalog import Lineage, Product

__all__ = ["contact_sheet"]

GAP = 12
CAPTION = 24
INK = (32, 34, 40)
PAPER = (250, 250, 248)


def contact_sheet(
    path: Path,
    *,
    products: Sequence[Product],
    lineages: Sequence[Lineage],
    root: Path,
    tile: int = 200,
    columns: int = 5,
) -> Path:
    """Write a PNG with one row a product: its baseline, then its generated creatives.

    Args:
        path: The file to write.
        products: In the order to show.
        lineages: The creatives to show.
        root: The folder of creatives.
        tile: Width of one picture in pixels.
        columns: How many pictures a row shows at most.

    Returns:
        The path.
    """
    rows = [(product, _of(product, lineages)[:columns]) for product in products]
    rows = [(product, shown) for product, shown in rows if shown]
    wide = max((len(shown) for _, shown in rows), default=1)
    sheet = Image.new(
        "RGB",
        (GAP + wide * (tile + GAP), GAP + len(rows) * (tile + CAPTION + GAP)),
        PAPER,
    )
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=13)
    for number, (product, shown) in enumerate(rows):
        top = GAP + number * (tile + CAPTION + GAP)
        pen.text((GAP, top), _caption(product, wide * tile), fill=INK, font=font)
        for column, lineage in enumerate(shown):
            picture = Image.fromarray(read_master(root, lineage.creative_id))
            sheet.paste(
                picture.resize((tile, tile), Image.Resampling.LANCZOS),
                (GAP + column * (tile + GAP), top + CAPTION),
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return path


def _of(product: Product, lineages: Sequence[Lineage]) -> list[Lineage]:
    mine = [lineage for lineage in lineages if lineage.product_id == product.product_id]
    return sorted(mine, key=lambda lineage: lineage.source != "baseline")


def _caption(product: Product, width: int) -> str:
    text = f"{product.title}  ·  {product.category}"
    return text[: max(10, width // 8)]
