"""Draw the picture of scene families for docs/scenes.md: ``python docs/draw_scenes.py``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from generators.drawn import draw_catalogue
from generators.families import FAMILIES, draw_scene
from generators.intake import ReadyProduct, read_products
from generators.propose import suited_families
from generators.renderers.studio import Studio

PICTURE = Path(__file__).parent / "images" / "scenes.webp"
ACROSS, TILE, CAPTION = 6, 224, 26


def main() -> None:
    """Draw each family once, with a product that it suits where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        ready = read_products(draw_catalogue(Path(folder), products=58)).ready
    down = -(-len(FAMILIES) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * TILE, down * (TILE + CAPTION)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for number, (name, family) in enumerate(FAMILIES.items()):
        scene = draw_scene(family, np.random.default_rng([2, number]))
        rendered = Studio().render(_suited(ready, name, number), scene, seed=number)
        x, y = number % ACROSS * TILE, number // ACROSS * (TILE + CAPTION)
        tile = Image.fromarray(rendered.pixels).resize(
            (TILE - 4, TILE - 4), Image.Resampling.LANCZOS
        )
        sheet.paste(tile, (x, y))
        pen.text((x + 2, y + TILE - 2), name, fill=(40, 42, 48), font=font)
    sheet.save(PICTURE, quality=80)
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size // 1024} KB\n")


def _suited(ready: tuple[ReadyProduct, ...], family: str, number: int) -> ReadyProduct:
    fits = [product for product in ready if family in suited_families(product.product)]
    chosen = fits or ready
    return chosen[number % len(chosen)]


if __name__ == "__main__":
    main()
