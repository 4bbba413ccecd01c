from pathlib import Path

import pytest

from generators.drawn import draw_catalogue
from generators.intake import read_products

SALEOR = Path(__file__).parents[3] / "shared/data/products/saleor"


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory):
    return draw_catalogue(tmp_path_factory.mktemp("catalogue"), products=9, seed=3)


@pytest.fixture(scope="session")
def ready(catalogue):
    return read_products(catalogue).ready


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    if not SALEOR.is_dir():
        pytest.skip("the real product photographs are not on this machine")
    lines = (SALEOR / "products.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.replace(",", f",{SALEOR}/", 1) for line in lines[1::8]]
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "products.csv").write_text("\n".join([lines[0], *rows]) + "\n", encoding="utf-8")
    return folder
