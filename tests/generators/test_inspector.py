from dataclasses import replace

import numpy as np
import pytest

from generators.arrays import rgb_to_lab
from generators.inspector import inspect
from generators.renderers.baseline import Baseline
from generators.renderers.placing import compose, fit
from generators.renderers.studio import Studio
from generators.scene import Scene


@pytest.fixture(scope="module")
def good(ready):
    return Studio().render(ready[0], Scene(palette="blush", props="podium"), seed=2)


def test_a_good_creative_is_usable(good, ready):
    """A whole product on a calm background passes and says why with scores."""
    found = inspect(good, ready[0])
    assert found.usable
    assert found.match
    assert found.reasons == ()
    assert found.scores["kept"] == 1.0


def test_every_baseline_of_the_drawn_catalogue_is_usable(ready):
    """The plain studio shows every drawn product."""
    for product in ready:
        assert inspect(Baseline().render(product, seed=1), product).usable


def spoiled(good, change):
    pixels = good.pixels.copy()
    place = good.placement
    change(pixels[place.y : place.y + place.height, place.x : place.x + place.width])
    return replace(good, pixels=pixels)


def paint_over(part):
    part[:] = (230, 210, 205)


def cover_a_third(part):
    part[: len(part) // 3] = (40, 90, 60)


@pytest.mark.parametrize("change", [paint_over, cover_a_third])
def test_a_creative_without_its_product_is_refused(good, ready, change):
    """A product that is missing or occluded is found, however nice the picture."""
    found = inspect(spoiled(good, change), ready[0])
    assert not found.usable
    assert "product_occluded" in found.reasons


def test_a_creative_of_another_product_is_refused(good, ready):
    """The picture must show the product that it advertises."""
    for other in ready[1:]:
        found = inspect(good, other)
        assert not found.usable
        assert "other_product" in found.reasons


def test_a_product_that_drowns_is_refused(ready):
    """A product of its background's colour cannot be seen."""
    cutout = np.full((300, 200, 4), 255, np.uint8)
    cutout[..., :3] = (224, 222, 219)
    product = replace(ready[0], cutout=cutout)
    placed, place = fit(cutout, box=(0.6, 0.6), centre=0.5, base=0.8, size=256)
    background = np.full((256, 256, 3), 222 / 255, np.float32)
    found = inspect(compose(background, placed, place), product)
    assert found.reasons[0] == "product_drowns"


def test_size_and_margins_count(ready):
    """A speck, a product that fills the frame and one at the border are refused."""
    background = np.full((256, 256, 3), 0.9, np.float32)
    for box, base, reason in (
        ((0.12, 0.12), 0.6, "product_too_small"),
        ((1.0, 1.0), 1.0, "product_at_the_border"),
    ):
        placed, place = fit(ready[6].cutout, box=box, centre=0.5, base=base, size=256)
        found = inspect(compose(background, placed, place), ready[6])
        assert reason in found.reasons
        assert not found.usable


def test_harmony_prefers_kindred_colours(ready):
    """A red product fits rose better than acid green, and that is no fault of usability."""
    cutout = np.full((200, 200, 4), 255, np.uint8)
    cutout[..., :3] = (200, 40, 60)
    product = replace(ready[0], cutout=cutout)
    placed, place = fit(cutout, box=(0.5, 0.5), centre=0.5, base=0.8, size=256)
    scores = []
    for colour in ((0.95, 0.80, 0.80), (0.35, 0.85, 0.10)):
        background = np.broadcast_to(np.float32(colour), (256, 256, 3))
        found = inspect(compose(background, placed, place), product)
        assert found.usable
        scores.append(found.scores["harmony"])
    assert scores[0] > scores[1] + 0.3


def test_lab_of_known_colours():
    """The conversion agrees with the published values of the sRGB primaries (D65)."""
    known = {
        (255, 255, 255): (100, 0, 0),
        (0, 0, 0): (0, 0, 0),
        (255, 0, 0): (53.2, 80.1, 67.2),
        (0, 255, 0): (87.7, -86.2, 83.2),
        (0, 0, 255): (32.3, 79.2, -107.9),
    }
    pixels = np.array([list(known)], np.uint8)
    assert np.allclose(rgb_to_lab(pixels)[0], list(known.values()), atol=0.3)
