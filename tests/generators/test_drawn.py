import hashlib

import numpy as np
from PIL import Image

from abplatform.creatives import read_catalogue
from generators.drawn import draw_catalogue
from generators.drawn.designs import DESIGNS
from generators.intake import read_products


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_catalogue_is_broad():
    """There are 36 different products and more, in six top categories with sub-categories."""
    ways = {(design.name, way) for design in DESIGNS for way, _, _ in design.ways}
    assert len(ways) >= 36
    tops = [design.category.split("/")[0] for design in DESIGNS]
    assert len(set(tops)) == 6
    assert min(tops.count(top) for top in tops) >= 4
    assert len({design.category for design in DESIGNS}) >= 15
    assert len(set(tops[:6])) == 6


def test_drawing_again_gives_the_same_bytes(catalogue, tmp_path):
    """The same seed writes the same files."""
    assert hashes(draw_catalogue(tmp_path / "again", products=9, seed=3)) == hashes(catalogue)


def test_products_have_true_transparency(catalogue, ready):
    """Every drawn product has opaque insides, a clear outside and a soft outline."""
    assert len(ready) == 9
    for product in ready:
        pixels = np.asarray(Image.open(catalogue / product.product.image))
        alpha = pixels[..., 3]
        assert (alpha == 255).mean() > 0.2
        assert ((alpha > 0) & (alpha < 255)).any()
        assert product.mask == "alpha"
        assert abs(product.cutout.shape[1] - pixels.shape[1]) < 5
        assert len(np.unique(pixels[alpha == 255], axis=0)) > 500


def test_colours_are_mixed_when_the_ready_ones_are_used_up(tmp_path, monkeypatch):
    """A large catalogue keeps distinct products, and the seed decides about new colours."""
    monkeypatch.setattr("generators.drawn.DESIGNS", DESIGNS[3:5])
    first = draw_catalogue(tmp_path / "a", products=6, seed=1)
    second = draw_catalogue(tmp_path / "b", products=6, seed=2)
    assert len(read_catalogue(first).products) == 6
    assert len(set(hashes(first).values())) == 7
    one, two = read_products(first).ready, read_products(second).ready
    assert [a.image_sha256 == b.image_sha256 for a, b in zip(one, two, strict=True)] == (
        [True] * 4 + [False] * 2
    )
