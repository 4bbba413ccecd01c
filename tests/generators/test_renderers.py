from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generators.families import FAMILIES
from generators.intake import ReadyProduct, read_products
from generators.propose import propose_scenes
from generators.renderers import baseline, studio
from generators.scene import VOCABULARY, Scene

SMALL = 128


def assert_sacred(rendered):
    """Wherever the cut-out is opaque, the master has its pixels."""
    place, cutout = rendered.placement, rendered.cutout
    assert cutout.shape[:2] == (place.height, place.width)
    shown = rendered.pixels[place.y : place.y + place.height, place.x : place.x + place.width]
    solid = cutout[..., 3] == 255
    assert solid.mean() > 0.1
    assert np.array_equal(shown[solid], cutout[..., :3][solid])


def first_scene(family):
    return Scene(**{field: getattr(FAMILIES[family], field).split("|")[-1] for field in VOCABULARY})


@pytest.mark.parametrize("family", FAMILIES)
def test_product_pixels_are_sacred_in_every_family(family, ready):
    """No scene family changes a pixel where the product is opaque."""
    for number, product in enumerate(ready[:2]):
        assert_sacred(studio.render(product, first_scene(family), seed=number, size=SMALL))


@settings(max_examples=12, deadline=None)
@given(
    words=st.fixed_dictionaries({name: st.sampled_from(w) for name, w in VOCABULARY.items()}),
    seed=st.integers(0, 2**53),
    shape=st.tuples(st.integers(24, 300), st.integers(24, 300)),
)
def test_product_pixels_are_sacred_in_any_scene(words, seed, shape, ready):
    """Whatever scene, seed and shape of product, its opaque pixels are untouched."""
    cutout = np.random.default_rng(seed).integers(0, 256, (*shape, 4), dtype=np.uint8)
    cutout[4:-4, 4:-4, 3] = 255
    product = replace(ready[0], cutout=cutout)
    assert_sacred(studio.render(product, Scene(**words), seed=seed, size=SMALL))
    assert_sacred(baseline.render(product, seed=seed, size=SMALL))


def test_real_photographs_stay_sacred(photographs):
    """The same holds for real photographs at full size."""
    for number, product in enumerate(read_products(photographs).ready[::3]):
        scene = propose_scenes(product.product, 1, np.random.default_rng(number))[0]
        assert_sacred(studio.render(product, scene, seed=number))
        assert_sacred(baseline.render(product, seed=number))


def test_a_seed_draws_the_same_picture_again(ready):
    """Pixels depend on product, scene and seed only, and the seed does matter."""
    scene = Scene(surface="oak", backdrop="garden", props="leaves")
    pictures = [studio.render(ready[0], scene, seed=seed, size=SMALL).pixels for seed in (5, 6, 5)]
    assert np.array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])
    plain = [baseline.render(ready[0], seed=seed, size=SMALL).pixels for seed in (5, 6, 5)]
    assert np.array_equal(plain[0], plain[2])


@pytest.mark.parametrize("field", VOCABULARY)
def test_every_word_shows(field, ready):
    """Each word of a field draws another background than the field's other words."""
    usual = Scene(surface="oak", backdrop="plaster wall", props="petals", season="summer")
    if field in {"depth", "season"}:
        usual = replace(usual, backdrop="garden")
    seen = {
        word: studio.render(ready[0], replace(usual, **{field: word}), seed=1, size=96).pixels
        for word in VOCABULARY[field]
    }
    assert len({picture.tobytes() for picture in seen.values()}) >= len(seen) - (field == "season")


def test_the_product_stands_inside_the_picture(ready):
    """Tall, wide and tiny products all fit with a margin."""
    for shape in ((400, 40), (40, 400), (30, 30), (700, 700)):
        cutout = np.full((*shape, 4), 255, np.uint8)
        product = ReadyProduct(ready[0].product, cutout, "0" * 64)
        for scene in (Scene(), Scene(props="podium"), Scene(backdrop="overhead")):
            place = studio.render(product, scene, seed=0, size=SMALL).placement
            assert min(place.x, place.y) > 2
            assert place.x + place.width < SMALL - 2
            assert place.y + place.height < SMALL - 2


def test_a_baseline_reads_no_scene(ready):
    """The baseline is the same plain studio whatever the scene says."""
    plain = baseline.render(ready[0], seed=1, size=SMALL).pixels
    assert np.array_equal(
        plain, baseline.render(ready[0], Scene(surface="moss"), seed=1, size=SMALL).pixels
    )
    assert plain[:8].min() > 200
