"""Draw the contact sheet of README.md and docs/your-products.md: ``python docs/draw_sheet.py``."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from PIL import Image

from generators.drawn import draw_catalogue
from generators.generate import generate_creatives
from generators.intake import read_products
from generators.renderers.studio import Studio
from generators.sheet import contact_sheet

PICTURE = Path(__file__).parent / "images" / "creatives.webp"
PRODUCTS, EACH = 12, 4


def main() -> None:
    """Draw products of the repository's own catalogue, each baseline beside four creatives."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        ready = read_products(draw_catalogue(root / "catalog", products=PRODUCTS)).ready
        lineages = []
        for kind in ("baseline", "caig"):
            run = generate_creatives(
                ready,
                generator=kind,
                per_product=EACH,
                week=None,
                seed=0,
                root=root / "creatives",
                renderer=Studio(),
                processes=min(2, os.cpu_count() or 1),
            )
            lineages += run.lineages
        sheet = contact_sheet(
            root / "creatives.png",
            products=[one.product for one in ready],
            lineages=lineages,
            root=root / "creatives",
            per_product=EACH,
        )
        Image.open(sheet).save(PICTURE, quality=84, method=6)
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size // 1024} KB\n")


if __name__ == "__main__":
    main()
