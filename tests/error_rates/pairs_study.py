"""How often a preference pair points the wrong way, against what its p_win says."""

import math
from collections.abc import Sequence

import numpy as np
from seeds import generator
from shoppers import ACTIVITY_MEAN, TASTE, draw_activity, draw_beta, sums_of
from tallies import Measured, Row, Table, batches

from abplatform.stats.pairs import TAU_SCALE, ProductCounts, design_effect, win_probabilities

__all__ = ["measure_pairs"]

CREATIVES = 4
USERS = 2500  # a product; each sees its creatives in turn, 2 pictures of each on average
THRESHOLDS = (0.9, 0.95, 0.975)
WORLDS = {
    "50 products, τ = 0.1": (50, 0.1, 1),
    "50 products, τ = 0.25": (50, 0.25, 1),
    "50 products, τ from its prior": (50, None, 1),
    "5 products, τ = 0.1": (5, 0.1, 4),
    "5 products, τ = 0.25": (5, 0.25, 4),
    "5 products, τ from its prior": (5, None, 4),
}


def measure_pairs(runs: int, *, worlds: Sequence[str] = tuple(WORLDS)) -> list[Table]:
    """Hold the wrong signs of p_win to what it says."""
    rows = []
    for world in worlds:
        products, tau, more = WORLDS[world]
        stated, right = _simulate(world, products, tau, runs=runs * more)
        for threshold in THRESHOLDS:
            chosen = [
                (p[p >= threshold], r[p >= threshold], len(p))
                for p, r in zip(stated, right, strict=True)
            ]
            wrong, said, kept = _rates(chosen)
            if products >= 50:
                wrong = Measured(wrong.value, wrong.se, high=1 - threshold, slack=2.0)
            rows.append(Row((world, f"p_win ≥ {threshold:g}"), (wrong, said, kept), len(stated)))
    return [
        Table(
            "Preference pairs: how often the chosen creative is not the better one",
            ("world", "pairs"),
            ("wrong signs", "1 - p_win on average", "share of all pairs"),
            tuple(rows),
            "A pair that says 95 % is wrong at most once in twenty, so training data may be "
            "weighted by it; with only five products to learn the spread from, it says so with "
            "less certainty.",
            (
                (
                    "Four creatives a product, 5,000 impressions each, CTR 1-5 %; the same users "
                    "see several of a product's creatives. τ is the spread of log-CTR within a "
                    "product. Standard errors are between simulated worlds. The 5-product worlds "
                    "have no aim."
                ),
            ),
        )
    ]


def _simulate(
    world: str, products: int, tau: float | None, *, runs: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return for each world the p_win of each pair's favourite and whether it is the better one."""
    above = np.triu_indices(CREATIVES, k=1)
    stated, right = [], []
    for place, size in batches(runs, 1, f"pairs, {world}"):
        del size
        rng = generator("pairs", world, place)
        spread = abs(rng.normal(0, TAU_SCALE)) if tau is None else tau
        theta = rng.normal(0, spread, (products, CREATIVES))
        counts, sums = _draw(rng, theta)
        wins = win_probabilities(counts, design_effect=design_effect(sums))
        p = np.concatenate([win[above] for win in wins])
        first_better = np.concatenate([(own[:, None] > own[None, :])[above] for own in theta])
        stated.append(np.maximum(p, 1 - p))
        right.append(first_better == (p >= 0.5))
    return stated, right


def _draw(rng: np.random.Generator, theta: np.ndarray) -> tuple[list[ProductCounts], list]:
    counts, sums = [], []
    base = rng.uniform(0.01, 0.05)
    for own in theta:
        relative = draw_activity(rng, (USERS, 1))
        seen = rng.poisson(ACTIVITY_MEAN / CREATIVES * relative, (USERS, CREATIVES))
        taste = draw_beta(rng, base, TASTE, (USERS, 1))
        clicks = rng.binomial(seen, np.minimum(taste * np.exp(own), 1.0))
        n, k = seen.astype(float), clicks.astype(float)
        counts.append(ProductCounts(n.sum(axis=0), k.sum(axis=0), n.T @ n, k.T @ k, k.T @ n))
        present = seen > 0
        for j in range(CREATIVES):
            saw = present[:, j]
            sums += sums_of(seen[saw, j][None, :], clicks[saw, j][None, :])
    return counts, sums


def _rates(chosen: list[tuple[np.ndarray, np.ndarray, int]]) -> tuple[Measured, Measured, Measured]:
    """Return wrong signs, what was said, and the share chosen, with errors between worlds."""
    every = sum(count for _, _, count in chosen)
    size = np.array([len(p) for p, _, _ in chosen], dtype=float)
    wrong = np.array([(~r).sum() for _, r, _ in chosen], dtype=float)
    said = np.array([(1 - p).sum() for p, _, _ in chosen])
    total = size.sum()
    if not total:
        return Measured(None), Measured(None), Measured(0.0)
    rate = wrong.sum() / total
    worlds = len(chosen)
    se = math.sqrt(worlds / (worlds - 1) * ((wrong - rate * size) ** 2).sum()) / total
    return Measured(rate, se), Measured(said.sum() / total), Measured(total / every)
