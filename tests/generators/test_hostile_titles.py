"""A title is data from the catalogue to the contact sheet, whatever it demands."""

import csv
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from abplatform.creatives import read_lineage
from generators.generate import generate_creatives
from generators.intake import read_products
from generators.propose import propose_scenes
from generators.sheet import contact_page, contact_sheet

MARKUP = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', '=HYPERLINK("x")')


def shelf(folder, catalogue, titles):
    """Products that are alike but for their titles."""
    folder.mkdir()
    shutil.copy(next(catalogue.glob("*.png")), folder / "p.png")
    with (folder / "products.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("product_id", "image", "title", "category"))
        rows.writerows((f"p{n}", "p.png", title, "beauty/lip") for n, title in enumerate(titles))
    return read_products(folder).ready


class Tags(HTMLParser):
    """Collects the tags of a page and their attributes' names."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def handle_starttag(self, tag, attrs):
        """Note a tag."""
        self.seen.append((tag, *(name for name, _ in attrs)))


@pytest.fixture(scope="module")
def shelves(tmp_path_factory, catalogue, hostile_titles):
    """The same products under hostile titles and under plain ones."""
    root = tmp_path_factory.mktemp("shelves")
    titles = (*hostile_titles, *MARKUP)
    plain = [f"Velvet lipstick {number}" for number in range(len(titles))]
    return shelf(root / "hostile", catalogue, titles), shelf(root / "plain", catalogue, plain)


def test_no_title_changes_what_is_proposed(shelves):
    """Each of 103 hostile products gets the scenes that it gets under a plain title."""
    for hostile, plain in zip(*shelves, strict=True):
        proposed = [propose_scenes(one, 4, np.random.default_rng(1)) for one in (hostile, plain)]
        assert proposed[0] == proposed[1]


def test_no_title_changes_what_is_drawn_nor_reaches_the_page_as_markup(shelves, tmp_path):
    """Creatives are the same to the byte; the contact sheet has the same tags."""
    seen = []
    for name, products in zip(("hostile", "plain"), shelves, strict=True):
        root, some = tmp_path / name, products[::17] + products[-3:]
        runs = [
            generate_creatives(some, generator=kind, seed=1, root=root)
            for kind in ("baseline", "caig")
        ]
        lineages = [row for run in runs for row in run.lineages]
        told = [one.product for one in some]
        shown = {"products": told, "lineages": lineages, "root": root}
        contact_sheet(root / "sheet.png", **shown)
        contact_page(root / "sheet.html", **shown)
        tags = Tags()
        tags.feed((root / "sheet.html").read_text("utf-8"))
        seen.append((sorted(read_lineage(root)), tags.seen))
        assert (root / "sheet.png").stat().st_size > 10_000
    assert seen[0] == seen[1]
    assert len(seen[0][0]) >= 7
