import numpy as np
import pytest
import torch

from abplatform.domain.catalog import Category, Product
from reward.dataset import Item
from reward.encoders import Glance
from reward.inputs import Inputs
from reward.model import RewardConfig, RewardModel
from reward.score import RewardScorer

SHAPE = {"patch": 16, "width": 16, "image_layers": 1, "heads": 2, "words": 8, "buckets": 256}


def make_model(*, images=True, texts=False, seed=0):
    torch.manual_seed(seed)
    config = RewardConfig(
        images=images,
        texts=texts,
        categories=["beauty", "home/lamp"],
        members=2,
        image_size=32,
        **SHAPE,
    )
    model = RewardModel(config).eval()
    with torch.no_grad():
        for net in model.nets:
            net.deviation.normal_(std=0.1)
    return model


def make_items(count, *, text=""):
    return [
        Item(
            f"c{n}",
            f"i{n}",
            text and f"{text} {n}",
            f"p{n % 3}",
            f"Thing {n % 3}",
            "beauty/lip",
            "",
        )
        for n in range(count)
    ]


def make_pictures(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(("images", "text"), [(True, ""), (False, "Now in"), (True, "Now in")])
def test_preference_is_exactly_antisymmetric(images, text):
    """Handing a pair over the other way round turns the logit's sign, bit for bit."""
    scorer = RewardScorer(make_model(images=images, texts=bool(text)))
    items = make_items(6, text=text)
    score = scorer.score_items(items, make_pictures(6) if images else None)
    there = score[:, None] - score[None, :]
    assert (there == -there.T).all()
    assert len(set(score.tolist())) == 6


def test_a_score_does_not_depend_on_its_company():
    """A creative has the same score alone, in any order and beside any others."""
    scorer = RewardScorer(make_model())
    items, pictures = make_items(9), make_pictures(9)
    together = scorer.score_items(items, pictures)
    order = np.random.default_rng(1).permutation(9)
    turned = scorer.score_items([items[n] for n in order], pictures[order])
    np.testing.assert_allclose(turned, together[order], atol=1e-6)
    alone = [scorer.score_items([items[n]], pictures[n : n + 1])[0] for n in range(9)]
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_long_texts_beside_short_ones_change_nothing():
    """Padding is invisible: a short text scores the same beside a longer one."""
    scorer = RewardScorer(make_model(images=False, texts=True))
    short, long = make_items(1, text="tea")[0], make_items(1, text="a b c d e f g h i j")[0]
    together = scorer.score_items([short, long], None)
    assert together[0] == pytest.approx(scorer.score_items([short], None)[0], abs=1e-6)


def test_the_scorer_takes_any_size_and_product():
    """A full-size picture scores as its small copy does, for products never seen."""
    scorer = RewardScorer(make_model())
    small = make_pictures(1)[0]
    large = small.repeat(16, axis=0).repeat(16, axis=1)
    product = Product("new", "Something new", Category("garden/tools"), "x.png")
    assert scorer.score(large, product) == pytest.approx(scorer.score(small, product), abs=1e-9)
    many = scorer.score_many([large, small], [product, product])
    assert many.shape == (2,)
    assert many[0] == many[1]


def test_a_new_category_borrows_the_base_rate_above():
    """A category without a rate of its own uses its parent's, then the overall one."""
    config = make_model().config
    items = [
        Item("c", "i", "", "p", "t", path, "")
        for path in ("beauty/lip", "home/lamp", "home/rug", "x", "")
    ]
    inputs = Inputs.of(items, make_pictures(5), config)
    assert inputs.base.tolist() == [1, 3, 2, 0, 0]


def test_the_score_is_the_mean_of_the_members():
    """The model's score is the mean of its members', and a temperature shrinks both alike."""
    model = make_model()
    model.temperature.fill_(2.0)
    inputs = Inputs.of(make_items(5), make_pictures(5), model.config)
    batch = inputs.batch(np.arange(5))
    with torch.no_grad():
        each, score = model.each(batch)[0], model(batch)[0]
        alone = torch.stack([net(batch)[0] for net in model.nets])
    torch.testing.assert_close(each, alone / 2)
    torch.testing.assert_close(score, each.mean(0))
    assert (each[0] != each[1]).all()


def test_glance_sees_colour_and_place():
    """The fixed statistics are means and deviations over regions, as computed by hand."""
    picture = torch.zeros(1, 3, 32, 32)
    picture[:, 0] = 0.8
    picture[:, 2] = 0.2
    seen = Glance(32)(picture)[0]
    assert seen.shape == (Glance.width,)
    light, warmth = seen[:6], seen[6:12]
    np.testing.assert_allclose(light, 0.299 * 0.8 + 0.114 * 0.2, atol=1e-6)
    np.testing.assert_allclose(warmth, 0.6, atol=1e-6)
    picture[:, :, :8] = 1.0
    top = Glance(32)(picture)[0, 2]
    assert float(top) > float(Glance(32)(picture)[0, 3])
