import numpy as np
import pytest
import torch

from generators.families import FAMILIES, draw_scene
from generators.renderers.diffusion.classifier import load_classifier
from generators.renderers.diffusion.renderer import open_diffusion
from generators.renderers.studio import Studio
from generators.weights import embedded

KINDS = tuple(FAMILIES)


@pytest.fixture(scope="module")
def classifier():
    torch.set_num_threads(1)
    return load_classifier(embedded("scene_classifier").folder)


def paint_families(renderer, ready, *, seed, every, size):
    """Draw one picture of every so many families, and tell their numbers."""
    rng = np.random.default_rng(seed)
    wanted = np.arange(0, len(KINDS), every)
    drawn = [
        renderer.render(
            ready[number % len(ready)],
            draw_scene(FAMILIES[KINDS[number]], rng),
            seed=int(rng.integers(2**31)),
            size=(size, size),
        ).pixels
        for number in wanted
    ]
    return np.stack(drawn), wanted


def test_the_classifier_knows_the_families_it_was_taught(classifier, ready):
    """Studio pictures of unseen seeds are told apart; it would be one in 29 by chance."""
    assert classifier.families == KINDS
    large, wanted = paint_families(Studio(), ready, seed=5, every=1, size=128)
    small = large.reshape(len(large), 64, 2, 64, 2, 3).mean((2, 4)).astype(np.uint8)
    assert (classifier.tell(small) == wanted).mean() > 0.85


@pytest.mark.slow
def test_the_embedded_model_paints_what_it_is_asked(classifier, ready):
    """The classifier recognises the family in most of what the embedded model paints."""
    painted, wanted = paint_families(open_diffusion(), ready, seed=6, every=3, size=64)
    assert (classifier.tell(painted) == wanted).mean() >= 0.6
