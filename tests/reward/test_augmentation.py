"""Pictures as they might also have looked."""

import numpy as np
import torch

from reward.augmentation import vary
from reward.dataset import read_pairs
from reward.evaluate import evaluate
from reward.pictures import pictures_of
from reward.score import RewardScorer
from reward.train import train

SIZE = 64


def ramp():
    """Draw pictures that become lighter to the right and redder downwards."""
    across = torch.linspace(0.2, 0.8, SIZE)
    picture = torch.stack(
        [across[:, None].expand(SIZE, SIZE), across.expand(SIZE, SIZE), across.expand(SIZE, SIZE)]
    )
    return picture.repeat(40, 1, 1, 1)


def test_nothing_is_mirrored():
    """Left stays left and up stays up, or letters would be turned round."""
    torch.manual_seed(0)
    seen = vary(ramp(), torch.arange(40))
    assert (seen[:, 1, :, -8:].mean((1, 2)) > seen[:, 1, :, :8].mean((1, 2))).all()
    assert (seen[:, 0, -8:].mean((1, 2)) > seen[:, 0, :8].mean((1, 2))).all()


def test_nothing_is_cut_away():
    """A product that reaches a corner is still there, smaller."""
    pictures = torch.full((40, 3, SIZE, SIZE), 0.9)
    pictures[:, :, 2:14, 2:14] = 0.1
    torch.manual_seed(0)
    dark = (vary(pictures, torch.arange(40)) < 0.5).all(1).sum((1, 2))
    whole = 12 * 12
    assert (dark >= 0.8**2 * whole * 0.8).all()
    assert (dark <= 1.05 * whole).all()


def test_pictures_of_a_product_change_alike():
    """Two equal pictures of one product stay equal; of another product they differ."""
    torch.manual_seed(0)
    one, two, other = vary(ramp()[:3], torch.tensor([0, 0, 1]))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    torch.manual_seed(0)
    assert torch.equal(vary(ramp()[:3], torch.tensor([0, 0, 1]))[0], one)


def test_what_shoppers_like_is_learned_all_the_same(tmp_path, draw_week, tiny):
    """Varied pictures teach the colour that is clicked, the same weights for the same seed."""
    drawn = draw_week(tmp_path, products=32)
    table = read_pairs(drawn.pairs)
    pictures = pictures_of(table, drawn.images, size=32)
    config = tiny(epochs=16, augment=True)
    models = [train(table, pictures, config).model for _ in range(2)]
    said = RewardScorer(models[0]).predict(table, pictures)
    assert evaluate(table, said, said).numbers["accuracy_significant"] > 0.85
    np.testing.assert_array_equal(RewardScorer(models[1]).predict(table, pictures), said)
    plain = RewardScorer(train(table, pictures, tiny(epochs=16)).model).predict(table, pictures)
    assert not np.array_equal(plain, said)
