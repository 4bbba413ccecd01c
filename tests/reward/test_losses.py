"""What training minimises, against likelihoods written out and simulated truth."""

import math

import numpy as np
import polars as pl
import pytest
import torch
from scipy.special import expit
from scipy.stats import binom, norm

from abplatform.errors import TrainingError
from reward.dataset import read_pairs, table_from_frame
from reward.losses import Difference, Marginal, Preference, base_rates, binomial_deviance
from reward.pictures import pictures_of
from reward.score import RewardScorer
from reward.train import train

RNG = np.random.default_rng(3)


def everything(table):
    return np.ones(len(table), dtype=bool)


def test_preference_is_the_weighted_likelihood(drawn):
    """Loss and gradient are those of the likelihood written out with exp and log."""
    table = read_pairs(drawn.pairs)
    rows = np.arange(0, len(table), 3)
    margin = torch.tensor(RNG.normal(size=len(rows)), requires_grad=True)
    loss = Preference(table, everything(table))(margin, rows)
    loss.backward()
    slow, slopes = 0.0, []
    mean = table.weight.mean()
    for m, row in zip(margin.tolist(), rows, strict=True):
        q, p, w = 1 / (1 + math.exp(-m)), table.p_win[row], table.weight[row] / mean
        slow -= w * (p * math.log(q) + (1 - p) * math.log(1 - q))
        slopes.append(w * (q - p))
    assert float(loss.detach()) == pytest.approx(slow, rel=1e-5)
    np.testing.assert_allclose(margin.grad.numpy(), slopes, rtol=1e-4, atol=1e-6)


def test_marginal_is_a_mixture(drawn):
    """The loss is that of the two ways the log can have come about, written out; gradients too."""
    table = read_pairs(drawn.pairs)
    rows = np.arange(0, len(table), 3)
    margin = torch.tensor(RNG.normal(size=len(rows)), requires_grad=True)
    loss = Marginal(table, everything(table))(margin, rows)
    loss.backward()
    q, p = expit(margin.detach().numpy()), table.p_win[rows]
    mixed = q * p + (1 - q) * (1 - p)
    # every product has four creatives, so that all weights are 1
    assert float(loss.detach()) == pytest.approx(-np.log(mixed).sum(), rel=1e-5)
    slopes = -(2 * p - 1) * q * (1 - q) / mixed
    np.testing.assert_allclose(margin.grad.numpy(), slopes, rtol=1e-4, atol=1e-6)


def test_what_nobody_knows_teaches_nothing(drawn):
    """A pair whose winner is unknown pulls no score; a certain one gives finite gradients."""
    frame = read_pairs(drawn.pairs).frame.head(3)
    table = table_from_frame(frame.with_columns(p_win=pl.Series([0.5, 1.0, 0.0])))
    margin = torch.tensor([3.0, -40.0, 40.0], requires_grad=True)
    Marginal(table, everything(table))(margin, np.arange(3)).backward()
    assert margin.grad[0] == pytest.approx(0, abs=1e-6)
    assert margin.grad[1] < 0 < margin.grad[2]


@pytest.mark.parametrize("loss", ["preference", "marginal", "difference"])
def test_probabilities_are_of_the_truth(tmp_path, draw_week, tiny, loss):
    """Learned from unsure winners, the model says how often the better creative is better."""
    few = {"impressions": 1500}
    learned = draw_week(tmp_path / "a", products=60, **few)
    held = draw_week(tmp_path / "b", products=60, seed=9, week="2026-W49", **few)
    table = read_pairs(learned.pairs)
    config = tiny(loss=loss, epochs=12)
    model = train(table, pictures_of(table, learned.images, size=32), config).model
    new = read_pairs(held.pairs)
    p_chosen = RewardScorer(model).predict(new, pictures_of(new, held.images, size=32))
    appeal = np.array([held.appeal[item.image] for item in new.items])
    is_better = appeal[new.chosen] > appeal[new.rejected]
    sure = np.maximum(p_chosen, 1 - p_chosen)
    assert sure.mean() == pytest.approx(((p_chosen > 0.5) == is_better).mean(), abs=0.08)


def test_difference_is_a_gaussian_likelihood(drawn):
    """Between two guesses the loss differs as scipy's normal log-density of the clicks does."""
    table = read_pairs(drawn.pairs)
    rows = np.arange(len(table))
    loss = Difference(table, everything(table))
    clicks = [table.frame[f"clicks_{side}"].to_numpy() + 0.5 for side in ("chosen", "rejected")]
    shown = [table.frame[f"impressions_{side}"].to_numpy() for side in ("chosen", "rejected")]
    seen = np.log(clicks[0] / shown[0]) - np.log(clicks[1] / shown[1])
    spread = np.sqrt(1 / clicks[0] + 1 / clicks[1] + loss.tau2)
    here, there = RNG.normal(0, 0.5, (2, len(table)))
    told = loss(torch.tensor(here), rows) - loss(torch.tensor(there), rows)
    expected = norm.logpdf(seen, there, spread) - norm.logpdf(seen, here, spread)
    assert float(told) == pytest.approx(expected.sum(), rel=1e-4)


def test_pairs_of_many_creatives_count_as_what_is_independent(drawn):
    """A product with four creatives has six pairs that together count as three of two creatives."""
    frame = read_pairs(drawn.pairs).frame
    lone = frame.filter(pl.col("product_id") == "p000").head(1)
    six = frame.filter(pl.col("product_id") == "p001")
    table = table_from_frame(pl.concat([lone, six]))
    weight = Difference(table, everything(table)).weight
    assert len(six) == 6
    assert float(weight[1:].sum() / weight[0]) == pytest.approx(3)


@pytest.mark.parametrize("tau", [0.0, 0.3])
def test_tau_is_what_the_clicks_do_not_explain(drawn, tau):
    """Simulated pairs whose true log-CTRs differ by tau give it back."""
    frame = read_pairs(drawn.pairs).frame
    count, shown = 4000, 50_000
    rows = frame[np.arange(count) % len(frame)]
    true = RNG.normal(0, tau, count)
    sides = {
        "chosen": RNG.binomial(shown, 0.02 * np.exp(true / 2)),
        "rejected": RNG.binomial(shown, 0.02 * np.exp(-true / 2)),
    }
    rows = rows.with_columns(
        pl.Series("pair_id", [str(number) for number in range(count)]),
        *(pl.lit(shown, pl.Int64).alias(f"impressions_{side}") for side in sides),
        *(pl.Series(f"clicks_{side}", clicks) for side, clicks in sides.items()),
    )
    table = table_from_frame(rows)
    assert Difference(table, everything(table)).tau2 == pytest.approx(tau**2, abs=0.006)


def test_only_training_pairs_tell_tau(drawn):
    """Held-out pairs change nothing of what is learned."""
    table = read_pairs(drawn.pairs)
    learned = everything(table)
    learned[::2] = False
    alone = table.keep(learned)
    assert Difference(table, learned).tau2 == Difference(alone, everything(alone)).tau2


def test_differences_are_learned_to_scale(drawn, other, tiny):
    """Predicted differences of log-CTR on new products are the true ones, neither more nor less."""
    table = read_pairs(drawn.pairs)
    config = tiny(loss="difference", epochs=24)
    model = train(table, pictures_of(table, drawn.images, size=32), config).model
    held = read_pairs(other.pairs)
    scorer = RewardScorer(model)
    pictures = pictures_of(held, other.images, size=32)
    score = scorer.score_items(held.items, pictures) * float(model.temperature)
    guess = score[held.chosen] - score[held.rejected]
    appeal = np.array([other.appeal[item.image] for item in held.items])
    truth = appeal[held.chosen] - appeal[held.rejected]
    slope = (guess @ truth) / (guess @ guess)
    assert 0.75 < slope < 1.25
    p_chosen = scorer.predict(held, pictures)
    assert ((p_chosen > 0.5) == (truth > 0)).mean() > 0.8


def test_differences_need_impressions(drawn, tiny):
    """Pairs that tell only who won cannot teach by how much: one error names the first of them."""
    table = read_pairs(drawn.pairs)
    bare = table_from_frame(table.frame.with_columns(impressions_chosen=pl.lit(0, pl.Int64)))
    with pytest.raises(TrainingError, match="tells no impressions"):
        train(bare, pictures_of(table, drawn.images, size=32), tiny(loss="difference", epochs=1))


def test_click_loss_is_half_the_binomial_deviance():
    """The clicks' loss equals the likelihood ratio of scipy's binomial, also at 0 and n clicks."""
    clicks, shown = np.array([0, 3, 20, 50]), np.array([40, 60, 50, 50])
    logit = np.array([-3.0, -2.5, 0.1, 1.5])
    rate = 1 / (1 + np.exp(-logit))
    expected = binom.logpmf(clicks, shown, clicks / shown) - binom.logpmf(clicks, shown, rate)
    tensors = (torch.tensor(one, dtype=torch.float64) for one in (logit, clicks, shown))
    np.testing.assert_allclose(binomial_deviance(*tensors), expected, rtol=1e-9)


def test_base_rates_are_those_of_the_log(drawn):
    """Each category starts at its own click rate; one that never showed starts at the overall."""
    table = read_pairs(drawn.pairs)
    lips = np.array([item.category == "beauty/lip" for item in table.items])
    paths = ["beauty", "beauty/lip", "home/lamp", "toys"]
    rates, dispersion = base_rates(table, np.where(lips, 2, 3), paths)
    whole = np.ones(len(lips), dtype=bool)
    for index, of in enumerate((whole, lips, lips, ~lips, whole)):
        rate = (table.clicks[of].sum() + 0.5) / (table.impressions[of].sum() + 1)
        assert rates[index] == pytest.approx(math.log(rate / (1 - rate)))
    assert dispersion > 2, "pictures differ by far more than chance"
