from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abplatform.domain.catalog import Placement
from abplatform.errors import CatalogueError
from generators.families import FAMILIES
from generators.intake import ReadyProduct, read_products
from generators.propose import propose_scenes
from generators.renderers.baseline import Baseline
from generators.renderers.find import find_renderer
from generators.renderers.placing import Order
from generators.renderers.shadows import reflect
from generators.renderers.stage import LIGHTS
from generators.renderers.studio import Studio
from generators.scene import VOCABULARY, Scene

SMALL = (128, 128)


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
        assert_sacred(Studio().render(product, first_scene(family), seed=number, size=SMALL))


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
    assert_sacred(Studio().render(product, Scene(**words), seed=seed, size=SMALL))
    assert_sacred(Baseline().render(product, seed=seed, size=SMALL))


def test_real_photographs_stay_sacred(photographs):
    """The same holds for real photographs at full size."""
    for number, product in enumerate(read_products(photographs).ready[::3]):
        scene = propose_scenes(product, 1, np.random.default_rng(number))[0]
        assert_sacred(Studio().render(product, scene, seed=number))
        assert_sacred(Baseline().render(product, seed=number))


def test_a_seed_draws_the_same_picture_again(ready):
    """Pixels depend on product, scene and seed only, and the seed does matter."""
    scene = Scene(surface="oak", backdrop="garden", props="leaves")
    pictures = [
        Studio().render(ready[0], scene, seed=seed, size=SMALL).pixels for seed in (5, 6, 5)
    ]
    assert np.array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])
    plain = [Baseline().render(ready[0], seed=seed, size=SMALL).pixels for seed in (5, 6, 5)]
    assert np.array_equal(plain[0], plain[2])


@pytest.mark.parametrize("field", VOCABULARY)
def test_every_word_shows(field, ready):
    """Each word of a field draws another background than the field's other words."""
    usual = Scene(surface="oak", backdrop="plaster wall", props="petals", season="summer")
    if field in {"depth", "season"}:
        usual = replace(usual, backdrop="garden")
    seen = {
        word: Studio()
        .render(ready[0], replace(usual, **{field: word}), seed=1, size=(96, 96))
        .pixels
        for word in VOCABULARY[field]
    }
    assert len({picture.tobytes() for picture in seen.values()}) >= len(seen) - (field == "season")


def test_the_product_stands_inside_the_picture(ready):
    """Tall, wide and tiny products all fit with a margin."""
    for shape in ((400, 40), (40, 400), (30, 30), (700, 700)):
        cutout = np.full((*shape, 4), 255, np.uint8)
        product = ReadyProduct(ready[0].product, cutout, "0" * 64)
        for scene in (Scene(), Scene(props="podium"), Scene(backdrop="overhead")):
            place = Studio().render(product, scene, seed=0, size=SMALL).placement
            assert min(place.x, place.y) > 2
            assert place.x + place.width < SMALL[0] - 2
            assert place.y + place.height < SMALL[0] - 2


def test_a_baseline_reads_no_scene(ready):
    """The baseline is the same plain studio whatever the scene says."""
    plain = Baseline().render(ready[0], seed=1, size=SMALL).pixels
    assert np.array_equal(
        plain, Baseline().render(ready[0], Scene(surface="moss"), seed=1, size=SMALL).pixels
    )
    assert plain[:8].min() > 200


@pytest.mark.parametrize("size", [(256, 256), (204, 256), (256, 144), (144, 256)])
@pytest.mark.parametrize("scene", [Scene(), Scene(props="podium"), Scene(backdrop="overhead")])
def test_any_shape_of_picture_shows_the_whole_product(size, scene, ready):
    """At every size the product is whole, untouched and clear of the border by 8 %."""
    for product in ready[:3]:
        for renderer in (Studio(), Baseline()):
            rendered = renderer.render(product, scene, seed=3, size=size)
            assert rendered.pixels.shape == (size[1], size[0], 3)
            assert_sacred(rendered)
            place, (width, height) = rendered.placement, size
            assert place.x >= 0.08 * width
            assert place.x + place.width <= 0.92 * width
            assert place.y >= 0.08 * height
            assert place.y + place.height <= 0.92 * height


@pytest.mark.parametrize("light", VOCABULARY["light"])
def test_shadows_fall_away_from_the_light(light, ready):
    """What a post darkens lies away from the light, and on both sides alike under a spot.

    The same scene around a product too small to cast much takes out whatever else is dark.
    """
    post, crumb = (
        ReadyProduct(ready[0].product, np.full((tall, wide, 4), 255, np.uint8), "0" * 64)
        for tall, wide in ((300, 110), (8, 8))
    )
    scene = Scene(surface="concrete", palette="white", light=light)
    with_post, without = (
        Studio().render(product, scene, seed=2, size=(256, 256)) for product in (post, crumb)
    )
    darker = (without.pixels.astype(float) - with_post.pixels).mean(axis=2)
    place = with_post.placement
    left, right = darker[:, : place.x].sum(), darker[:, place.x + place.width :].sum()
    assert left + right > 5000
    assert (right - left) / (right + left) == pytest.approx(-LIGHTS[light].side, abs=0.35)


def test_round_products_mirror_about_where_they_touch(ready):
    """A ball's mirror image grows wider with depth; a box's is as wide as the box."""
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    ball = np.full((200, 200, 4), (230, 20, 20, 0), np.uint8)
    ball[..., 3] = 255 * (x**2 + y**2 < 1)
    box = np.full((200, 200, 4), (230, 20, 20, 255), np.uint8)
    wide = []
    for cutout in (ball, box):
        picture = np.zeros((400, 400, 3), np.float32)
        mirrored = reflect(picture, cutout, Placement(100, 100, 200, 200), strength=1, softness=0)
        rows = mirrored[..., 0] > 0.02
        wide.append((rows[303].sum(), rows[340].sum()))
    assert wide[0][0] < 0.6 * wide[0][1]
    assert wide[1] == (200, 200)


def test_enlarged_cutouts_lose_the_rim_of_their_old_background(ready):
    """A white rim around a small red disc is gone in the picture, and its middle is untouched."""
    y, x = np.mgrid[-1:1:90j, -1:1:90j]
    far = np.hypot(x, y)
    cutout = np.zeros((90, 90, 4), np.uint8)
    cutout[..., :3] = np.where((far > 0.975)[..., None], 255, (200, 30, 30))
    cutout[..., 3] = 255 * (far < 1)
    product = ReadyProduct(ready[0].product, cutout, "0" * 64)
    scene = Scene(backdrop="dark studio", surface="slate", light="spot", palette="ink")
    rendered = Studio().render(product, scene, seed=1, size=(512, 512))
    assert_sacred(rendered)
    seen = rendered.cutout[rendered.cutout[..., 3] > 60]
    assert (seen[:, 1] > 120).mean() < 0.002
    middle = rendered.cutout[40:-40, 40:-40]
    assert len(middle)
    assert (middle == (200, 30, 30, 255)).all()


def test_a_renderer_draws_many_as_it_draws_one(ready):
    """Orders that are drawn together come out as each alone."""
    orders = [Order(product, Scene(), seed, (96, 128)) for seed, product in enumerate(ready[:2])]
    together = Studio().render_many(orders)
    alone = [Studio().render(o.product, o.scene, seed=o.seed, size=o.size) for o in orders]
    for first, second in zip(together, alone, strict=True):
        assert np.array_equal(first.pixels, second.pixels)


def test_a_renderer_is_found_by_its_name():
    """A name finds its renderer; a wrong one names the nearest."""
    assert find_renderer("studio").name == Studio().name
    with pytest.raises(CatalogueError, match="studio"):
        find_renderer("studoi")
