"""Are a reward model's probabilities those of the truth, by what it was trained to minimise?

Run it as ``python tests/benchmarks/bench_reward_calibration.py``; it takes a few minutes. Headlines
have a click rate that follows their words, and a part that no model can know. Labels come from
simulated clicks. The slope is that of a logistic regression of "the chosen one is truly better" on
the model's logit, over new headlines: 1 is right, above 1 too cautious, below 1 too sure. The last
column leaves the temperature out, which is what training alone came to.
"""

from __future__ import annotations

import argparse

import numpy as np
import polars as pl
import statsmodels.api as sm
from rich.console import Console
from rich.table import Table
from scipy.special import logit

from abplatform.stats.pairs import ProductCounts, pair_weight, win_probabilities
from reward.dataset import table_from_frame
from reward.score import RewardScorer
from reward.train import TrainingConfig, train

WORDS = 60
IN_TEXT = 4
CREATIVES = 4
UNKNOWN = 0.15
NEW_PRODUCTS = 1_000
LOSSES = ("hard labels", "preference", "marginal", "difference")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=150)
    asked = parser.parse_args()
    shown = Table("impressions a creative", "trained on", "right", "said", "slope", "untempered")
    for impressions in (1_500, 5_000, 20_000):
        learned, _ = draw(asked.products, impressions, seed=1)
        new, is_better = draw(NEW_PRODUCTS, impressions, seed=2)
        for name in LOSSES:
            shown.add_row(f"{impressions:,}", name, *judge(name, learned, new, is_better))
    Console(width=100).print(shown)


def draw(products: int, impressions: int, *, seed: int):
    """Return pairs with labels from simulated clicks, and which chosen one is truly better."""
    effect = np.random.default_rng(0).normal(0, 0.2, WORDS)
    rng = np.random.default_rng([seed, impressions])
    texts, rates, counts = [], [], []
    for _ in range(products):
        words = [rng.choice(WORDS, IN_TEXT, replace=False) for _ in range(CREATIVES)]
        value = np.array([effect[some].sum() for some in words])
        rate = 0.03 * np.exp(value + rng.normal(0, UNKNOWN, CREATIVES))
        clicks = rng.binomial(impressions, rate)
        texts.append([" ".join(f"word{index}" for index in some) for some in words])
        rates.append(rate)
        counts.append(ProductCounts(np.full(CREATIVES, float(impressions)), clicks.astype(float)))
    rows, is_better = [], []
    for product, wins in enumerate(win_probabilities(counts)):
        for first in range(CREATIVES):
            for second in range(first + 1, CREATIVES):
                sides = (first, second) if wins[first, second] >= 0.5 else (second, first)
                rows.append(row(product, sides, float(wins[sides]), texts, counts))
                is_better.append(rates[product][sides[0]] > rates[product][sides[1]])
    return table_from_frame(pl.DataFrame(rows)), np.array(is_better)


def row(product, sides, p_win, texts, counts):
    found = {"pair_id": f"{product}-{sides[0]}-{sides[1]}", "product_id": str(product)}
    found |= {"experiment": "drawn", "week": "2026-W48", "category": "story", "title": ""}
    found |= {"attributes": "", "p_win": p_win, "weight": pair_weight(p_win, creatives=CREATIVES)}
    for side, place in zip(("chosen", "rejected"), sides, strict=True):
        found[f"{side}_creative"] = f"{product}-{place}"
        found |= {f"{side}_image": "", f"{side}_text": texts[product][place]}
        found[f"impressions_{side}"] = int(counts[product].impressions[place])
        found[f"clicks_{side}"] = int(counts[product].clicks[place])
    return found


def judge(name, learned, new, is_better) -> list[str]:
    """Train, predict new headlines and hold what is said against the truth."""
    table, loss = learned, name
    if name == "hard labels":
        hard = learned.frame.with_columns(p_win=pl.lit(1.0), weight=pl.lit(2 / CREATIVES))
        table, loss = table_from_frame(hard), "preference"
    model = train(table, None, TrainingConfig(loss=loss)).model
    p_chosen = RewardScorer(model).predict(new, None).clip(1e-6, 1 - 1e-6)
    sure, right = np.maximum(p_chosen, 1 - p_chosen), (p_chosen > 0.5) == is_better
    slope = slope_of(logit(p_chosen), is_better)
    raw = slope / float(model.temperature)
    return [f"{right.mean():.1%}", f"{sure.mean():.1%}", f"{slope:.2f}", f"{raw:.2f}"]


def slope_of(predicted, is_better) -> float:
    """Return how much the log-odds of the truth rise with a predicted logit."""
    # Neither side is the first, so every pair stands in both orders, without an intercept.
    x, y = np.concatenate([predicted, -predicted]), np.concatenate([is_better, ~is_better])
    return float(sm.Logit(y.astype(float), x[:, None]).fit(disp=0).params[0])


if __name__ == "__main__":
    main()
