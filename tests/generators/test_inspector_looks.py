"""What the inspector finds in a background: writing, nudity, and pictures seen before."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from abplatform.creatives import perceptual_hash
from generators.families import FAMILIES, draw_scene
from generators.inspector import inspect
from generators.inspector.nudity import can_see_nudity, nudity
from generators.renderers.placing import compose
from generators.renderers.studio import Studio
from generators.scene import Scene

BACKGROUNDS = Path(__file__).parents[3] / "shared/data/backgrounds"


@pytest.fixture(scope="module")
def pictures(ready):
    """One picture of every family."""
    rng = np.random.default_rng(8)
    return [
        (product, Studio().render(product, draw_scene(family, rng), seed=number, size=(512, 512)))
        for number, family in enumerate(FAMILIES.values())
        for product in [ready[number % len(ready)]]
    ]


def write_over(rendered, words, rng):
    """Write words above the product or below it, in a colour that can be read."""
    image = Image.fromarray(rendered.pixels)
    draw = ImageDraw.Draw(image)
    size = float(rng.uniform(20, 40))
    font = ImageFont.load_default(size)
    _, _, right, bottom = draw.textbbox((0, 0), words, font=font)
    place = rendered.placement
    free_above = place.y > 512 - place.y - place.height
    y = 12 if free_above else 512 - bottom - 12
    x = int(rng.uniform(8, 504 - right))
    ground = rendered.pixels[y : y + bottom, x : x + right].mean()
    draw.text((x, y), words, font=font, fill=(20, 20, 60) if ground > 110 else (250, 245, 220))
    return replace(rendered, pixels=np.array(image))


def test_writing_in_a_background_is_found(pictures):
    """Words over a scene are found in most pictures, and hardly any scene is taken for words."""
    rng = np.random.default_rng(3)
    words = ("HOPLEJ SALE", "fresh qmzk offer", "Aerinox Torbel", "aeroin 25 OFF")
    clean = [inspect(rendered, product) for product, rendered in pictures]
    written = [
        inspect(write_over(rendered, words[number % 4], rng), product)
        for number, (product, rendered) in enumerate(pictures)
    ]
    assert np.mean(["writing" in found.reasons for found in clean]) <= 0.05
    assert np.mean(["writing" in found.reasons for found in written]) >= 0.7
    assert not any(found.usable for found in written if "writing" in found.reasons)


def test_words_on_the_product_are_no_fault(ready):
    """A package may bear words; only the background must not."""
    bare = next(product for product in ready if min(product.cutout.shape[:2]) > 300)
    cutout = bare.cutout.copy()
    image = Image.fromarray(cutout)
    middle = cutout.shape[0] // 2
    font = ImageFont.load_default(cutout.shape[1] / 8)
    ImageDraw.Draw(image).text((cutout.shape[1] // 4, middle), "PURE JOY", (255, 0, 0, 255), font)
    labelled = replace(bare, cutout=np.array(image))
    found = inspect(Studio().render(labelled, Scene(), seed=1), labelled)
    assert "writing" not in found.reasons


def test_another_picture_of_the_product_must_look_different(ready):
    """The same scene drawn again is a near-duplicate, another scene is none."""
    first = Studio().render(ready[0], Scene(), seed=1)
    shown = [perceptual_hash(first.pixels)]
    again = Studio().render(ready[0], Scene(mood="bold"), seed=2)
    other = Studio().render(ready[0], Scene(backdrop="garden", surface="oak"), seed=1)
    assert "near_duplicate" in inspect(again, ready[0], shown=shown).reasons
    assert not inspect(again, ready[0], shown=shown).usable
    assert inspect(other, ready[0], shown=shown).usable
    assert inspect(again, ready[0]).usable


@pytest.mark.parametrize("size", [(288, 512), (512, 288), (410, 512)])
def test_every_shape_of_picture_is_judged_alike(ready, size):
    """A good picture stays usable at every shape, and one without its product does not."""
    for product in ready[:3]:
        rendered = Studio().render(product, Scene(), seed=1, size=size)
        assert inspect(rendered, product).usable
        assert not inspect(replace(rendered, pixels=rendered.pixels[::-1].copy()), product).usable


def test_what_was_laid_over_the_product_before_it_was_composed_is_found(ready):
    """The photograph decides, not the cut-out that the renderer used."""
    good = Studio().render(ready[0], Scene(), seed=1)
    covered = good.cutout.copy()
    covered[: len(covered) // 2, :, :3] = (20, 160, 90)
    background = good.pixels.astype(np.float32) / 255
    found = inspect(compose(background, covered, good.placement), ready[0])
    assert found.scores["kept"] == 1.0
    assert "other_product" in found.reasons


@pytest.mark.skipif(not can_see_nudity(), reason="the weights of Open-NSFW are not installed")
def test_real_places_are_no_nudity():
    """None of 58 photographs and drawings of places is taken for nudity."""
    if not BACKGROUNDS.is_dir():
        pytest.skip("no photographs of places at hand")
    files = sorted(BACKGROUNDS.glob("*.jpg"))
    seen = [nudity(np.asarray(Image.open(file).convert("RGB"))) for file in files]
    assert len(seen) > 20
    assert max(seen) < 0.8


@pytest.mark.skipif(not can_see_nudity(), reason="the weights of Open-NSFW are not installed")
def test_the_network_reads_colours_in_its_own_order():
    """Bare skin tones raise the score that the same picture in blue does not reach."""
    skin = np.full((224, 224, 3), (224, 172, 142), np.uint8)
    rows = np.linspace(0.75, 1.0, 224)[:, None, None]
    skin = (skin * rows).astype(np.uint8)
    assert nudity(skin) > 3 * nudity(skin[..., ::-1].copy())
