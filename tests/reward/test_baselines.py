import numpy as np
import polars as pl

from reward.baselines import colour_histogram, fit_logistic, predict_logistic, scene_features
from reward.dataset import read_pairs, table_from_frame
from reward.evaluate import evaluate
from reward.pictures import pictures_of


def test_a_histogram_counts_colours():
    """A picture half black and half white has half its pixels in each of the two colours."""
    picture = np.zeros((1, 4, 4, 3), dtype=np.uint8)
    picture[:, :2] = 255
    counted = colour_histogram(picture)[0] / 8
    assert counted[0] == counted[63] == 0.5
    assert counted.sum() == 1


def test_the_histogram_logistic_learns_a_shared_taste(drawn, other):
    """Where all categories like the same colours, the histogram logistic beats chance clearly."""
    first, second = (read_pairs(one.pairs) for one in (drawn, other))
    beauty = [table.keep(np.array(table.categories) == "beauty/lip") for table in (first, second)]
    seen = [
        colour_histogram(pictures_of(table, one.images, size=32))
        for table, one in zip(beauty, (drawn, other), strict=True)
    ]
    predicted = predict_logistic(fit_logistic(seen[0], beauty[0]), seen[1], beauty[1])
    assert evaluate(beauty[1], predicted, predicted).numbers["accuracy_low"] > 0.5


def test_the_logistic_is_the_ridge_optimum(drawn):
    """At the fitted coefficients the penalised likelihood has no slope, computed the slow way."""
    table = read_pairs(drawn.pairs)
    features = np.random.default_rng(0).normal(size=(len(table.items), 3))
    beta = fit_logistic(features, table)
    slope = 3.0 * beta
    weight = table.weight / table.weight.mean()
    for chosen, rejected, p_win, w in zip(
        table.chosen, table.rejected, table.p_win, weight, strict=True
    ):
        difference = features[chosen] - features[rejected]
        slope = slope + w * (1 / (1 + np.exp(-difference @ beta)) - p_win) * difference
    np.testing.assert_allclose(slope, 0, atol=1e-2)


def test_scene_parameters_are_zeros_and_ones(drawn):
    """The scene baseline knows scene names only: it learns a rule over them, and no picture."""
    table = read_pairs(drawn.pairs)
    better = {table.items[index].creative for index in table.chosen}
    scenes = {name: {"light": "soft", "mood": "calm"} for name in better}
    known = ["light=hard", "light=soft", "mood=calm"]
    creatives = [item.creative for item in table.items]
    features = scene_features(creatives, scenes, known)
    assert features.sum() == 2 * len(better)
    assert (features[:, 0] == 0).all()
    sure = table_from_frame(table.frame.with_columns(p_win=pl.lit(0.9), weight=pl.lit(0.6)))
    predicted = predict_logistic(fit_logistic(features, sure), features, sure)
    assert (predicted >= 0.5).all()
