from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from generators.families import FAMILIES, draw_scene
from generators.inspector import inspect
from generators.inspector.fit import fit_score
from generators.inspector.place_learning import draw_lessons, learn_places
from generators.inspector.places import (
    FEATURES,
    PLAIN,
    background_features,
    known_places,
    read_places,
)
from generators.intake import read_products
from generators.propose import suited_families
from generators.renderers.baseline import Baseline
from generators.renderers.studio import Studio

SALEOR = Path(__file__).parents[3] / "shared/data/products/saleor"


@pytest.mark.slow
def test_places_are_told_on_pictures_that_were_never_learned():
    """Other products, other scenes of the same families, three shapes, sharp and soft."""
    lessons = draw_lessons(112, seed=4711, products=12)
    told = known_places().tell(lessons.features).argmax(axis=1)
    assert known_places().names == lessons.names
    assert (told == lessons.places).mean() > 0.85


def test_the_product_itself_says_nothing_of_its_place():
    """What is hidden by the product may have any colour: the features stay the same."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (192, 256, 3), dtype=np.uint8)
    touched = np.zeros((96, 128), bool)
    touched[24:72, 32:96] = True
    other = pixels.copy()
    other[48:144, 64:192] = rng.integers(0, 256, 3)
    features = background_features(pixels, touched)
    assert features.shape == (FEATURES,)
    assert np.isfinite(features).all()
    # the mask is looked at three times coarser, so its border belongs to the product
    np.testing.assert_allclose(background_features(other, touched), features, atol=1e-6)
    everything = background_features(pixels, np.ones((96, 128), bool))
    assert np.isfinite(everything).all()


@pytest.mark.slow
def test_learning_is_repeatable(tmp_path):
    """The same seed gives the same file, to the byte; what is read tells what was learned."""
    first, second = (
        learn_places(tmp_path / name, pictures=60, seed=5) for name in ("first", "second")
    )
    weights = "model.safetensors"
    assert (first / weights).read_bytes() == (second / weights).read_bytes()
    lessons = draw_lessons(60, seed=5)
    told = read_places(first).tell(lessons.features).argmax(axis=1)
    assert (told == lessons.places).mean() > 0.9


def test_every_baseline_matches(ready):
    """A plain ground suits everything."""
    for product in ready:
        found = inspect(Baseline().render(product, seed=1), product)
        assert found.match, (product.product.product_id, found)
        assert found.scores["place"] > 0.5


def unlike(pictures):
    """AUC of the fit: families that suit a product against those that suit others."""
    suited, others = pictures
    return mannwhitneyu(suited, others).statistic / (len(suited) * len(others))


def judge(products, *, seed, size=(256, 256)):
    rng, studio = np.random.default_rng(seed), Studio()
    scores = {True: [], False: []}
    matches = {True: [], False: []}
    for product in products:
        suited = suited_families(product.product)
        other = [name for name in FAMILIES if name not in suited]
        for names, right in ((suited, True), (other, False)):
            family = FAMILIES[names[int(rng.integers(len(names)))]]
            drawn = studio.render(product, draw_scene(family, rng), seed=seed, size=size)
            found = inspect(drawn, product)
            scores[right].append(found.scores["fit"])
            matches[right].append(found.match)
            assert found.match == (
                not {"background_clashes", "place_does_not_suit"} & set(found.reasons)
            )
    return (scores[True], scores[False]), (np.mean(matches[True]), np.mean(matches[False]))


@pytest.mark.slow
@pytest.mark.parametrize("size", [(256, 256), (320, 180), (180, 320)])
def test_fit_prefers_places_that_suit(ready, size):
    """Drawn products of all kinds: suited families score above others, in every shape."""
    scores, (right, wrong) = judge(ready[:24], seed=3, size=size)
    assert unlike(scores) > 0.9
    assert right > 0.8
    assert wrong < 0.3


@pytest.mark.slow
@pytest.mark.skipif(not SALEOR.is_dir(), reason="the photographs are not beside the repository")
def test_fit_prefers_places_that_suit_real_products():
    """Photographs of products that nothing was learned from."""
    scores, (right, wrong) = judge(read_products(SALEOR).ready[::2], seed=4)
    assert unlike(scores) > 0.9
    assert right > 0.8
    assert wrong < 0.3


def test_fit_needs_both():
    """Colours that go together in a wrong place fit less than in a right one, and never more."""
    assert fit_score(0.8, 1.0) == pytest.approx(0.8)
    assert fit_score(0.8, 0.0) < 0.4
    assert fit_score(0.2, 1.0) == pytest.approx(0.2)
    assert PLAIN in known_places().names
