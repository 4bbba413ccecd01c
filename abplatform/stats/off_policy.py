"""What another policy would have earned, from the log of the one that ran.

Row i of the log has a context x_i, the action a_i that was shown, the probability p_i with which it
was drawn, and the reward r_i. With the target policy π and any model q(x, a) of the reward:

    w_i = π(a_i | x_i) / p_i          q_i = q(x_i, a_i)          v_i = Σ_a π(a | x_i) q(x_i, a)

    IPS        mean of w r
    SNIPS      Σ w r / Σ w
    DM         mean of v                                   as good as the model, whatever the log
    DR         mean of v + w (r - q)                       right if the model or the p_i are
    Switch-DR  mean of v + w·1{w ≤ λ} (r - q)              the model alone where weights are large
    DRos       mean of v + λ w / (w² + λ) (r - q)          weights shrunk, the more the larger

λ minimises an estimate of the squared error, variance / n + b², where the bias b is the mean of
what the smaller weights ŵ leave out, (w - ŵ)(r - q). λ = ∞ is DR.

A model fitted to the same log moves with it. To first order, a reward that is 1 higher in row i
moves the sum of v + ŵ (r - q) through the model by g_i(ŵ), the model's leverage, so that

    v + ŵ (r - q) + g(ŵ) (r - q) less the mean of its last term

has the same mean and varies as the estimator does; without it DM would seem to know the truth. For
DR, g is about 0.

Intervals are the bootstrap's percentiles. Units are drawn again with all of their rows, by weights
that are Poisson(1), or multinomial below 200 units; λ stays. Where there are more than 20,000
units, they are first gathered into 20,000 groups at random, which are as independent as units are.

References:
    Horvitz, D. G., Thompson, D. J. (1952). A generalization of sampling without replacement from a
    finite universe. JASA 47.
    Swaminathan, A., Joachims, T. (2015). The self-normalized estimator for counterfactual learning.
    NeurIPS 2015.
    Dudík, M., Erhan, D., Langford, J., Li, L. (2014). Doubly robust policy evaluation and
    optimization. Statistical Science 29(4), arXiv:1503.02834.
    Wang, Y.-X., Agarwal, A., Dudík, M. (2017). Optimal and adaptive off-policy evaluation in
    contextual bandits. ICML 2017, arXiv:1612.01205.
    Su, Y., Dimakopoulou, M., Krishnamurthy, A., Dudík, M. (2020). Doubly robust off-policy
    evaluation with shrinkage. ICML 2020, arXiv:1907.09623.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abplatform.stats.fieller import Interval
from abplatform.stats.undetermined import Undetermined

__all__ = [
    "ESTIMATORS",
    "LoggedRows",
    "PolicyValue",
    "WeightDiagnosis",
    "diagnose_weights",
    "estimate_values",
]

Vector = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

ESTIMATORS = ("ips", "snips", "dm", "dr", "switch_dr", "dros")
"""In the order in which their values come."""

_FEW_GROUPS = 200
_MOST_GROUPS = 20_000
_LARGEST_BLOCK = 2_000_000  # weights drawn at once: 16 MB
_LAMBDA_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True, slots=True, eq=False)
class LoggedRows:
    """The log, seen from the target policy; every array has N entries.

    Args:
        rewards: r, such as 1 for a click.
        weights: w, the target's probability over the logged one; 0 or more.
        predicted: q of the action that was shown.
        expected: v, the model's mean under the target policy.
        units: The number of the row's unit, 0 or more; None when every row stands alone.
        leverage: From the weights ŵ that an estimator uses to the model's leverage g(ŵ), both
            shape (N,); None for a model that was made without this log.

    Raises:
        ValueError: Lengths that differ, something that is not finite, or a negative weight.
    """

    rewards: Vector
    weights: Vector
    predicted: Vector
    expected: Vector
    units: Labels | None = None
    leverage: Callable[[Vector], Vector] | None = None

    def __post_init__(self) -> None:
        """Refuse what no log can hold."""
        columns = (self.rewards, self.weights, self.predicted, self.expected)
        sizes = {len(column) for column in columns}
        if len(sizes | ({len(self.units)} if self.units is not None else set())) != 1:
            message = "rewards, weights, predictions and units need the same length"
            raise ValueError(message)
        if not all(np.isfinite(column).all() for column in columns) or (self.weights < 0).any():
            message = "rewards, weights and predictions are finite, and weights not negative"
            raise ValueError(message)

    @property
    def size(self) -> int:
        """N."""
        return len(self.rewards)

    def doubly_robust(self, weights: Vector) -> Vector:
        """Return v + ŵ (r - q) by row, with the model's leverage as a term of mean 0.

        Args:
            weights: ŵ.
        """
        rest = self.rewards - self.predicted
        terms: Vector = self.expected + weights * rest
        if self.leverage is not None:
            moved = self.leverage(weights) * rest
            terms = terms + (moved - moved.mean())
        return terms


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """What the target policy would have earned per row, by one estimator.

    Args:
        estimator: One of :data:`ESTIMATORS`.
        value: The estimate.
        interval: Bootstrap percentile interval of the value.
        se: Standard deviation over the bootstrap's runs.
        gain: Interval of the value less the log's own mean reward, both drawn together.
        cut: λ of ``switch_dr`` and ``dros``; infinity where nothing is cut; None elsewhere.
    """

    estimator: str
    value: float
    interval: Interval
    se: float
    gain: Interval
    cut: float | None = None


@dataclass(frozen=True, slots=True)
class WeightDiagnosis:
    """Whether the log can speak about the target policy at all.

    Args:
        rows: N.
        mean: Mean weight; its expectation is 1 when the logged probabilities are right.
        se: Its standard error, clustered by unit.
        effective: (Σ w)² / Σ w², the rows that an unweighted log of the same precision has.
        largest_share: The largest weight over Σ w.
    """

    rows: int
    mean: float
    se: float
    effective: float
    largest_share: float


def diagnose_weights(weights: Vector, units: Labels | None = None) -> WeightDiagnosis:
    """Return the mean of the weights, its error, and how few rows carry them.

    Args:
        weights: w, one a row.
        units: The number of the row's unit; None when every row stands alone.

    Raises:
        ValueError: No row.
    """
    size = len(weights)
    if not size:
        message = "no row, no weights"
        raise ValueError(message)
    total, mean = float(weights.sum()), float(weights.mean())
    if total == 0:
        return WeightDiagnosis(size, 0.0, 0.0, 0.0, 0.0)
    residual = weights - mean
    by_unit = residual if units is None else np.bincount(units, residual)
    count = size if units is None else len(np.unique(units))
    se = math.sqrt(float(by_unit @ by_unit) * count / max(count - 1, 1)) / size
    largest = float(weights.max())
    # Scaled by the largest, squares neither overflow nor vanish.
    scaled = weights / largest
    effective = float(scaled.sum()) ** 2 / float(scaled @ scaled)
    return WeightDiagnosis(size, mean, se, effective, largest / total)


def estimate_values(
    rows: LoggedRows, *, rng: np.random.Generator, runs: int = 2000, alpha: float = 0.05
) -> tuple[PolicyValue | Undetermined, ...]:
    """Return the target policy's value by each of :data:`ESTIMATORS`.

    Args:
        rows: The log.
        rng: Where the bootstrap's chance comes from.
        runs: How often it draws.
        alpha: One less the intervals' level.

    Raises:
        ValueError: Fewer than 100 runs.
    """
    if runs < 100:
        message = f"{runs} runs give no interval; take at least 100"
        raise ValueError(message)
    units = rows.size if rows.units is None else len(np.unique(rows.units))
    if units < 2:
        return (Undetermined("no_traffic: the log has fewer than two units"),) * len(ESTIMATORS)
    if rows.weights.any() and not (rows.weights * rows.rewards).any():
        reason = "no_clicks: nothing that the target shows was clicked; zeros have no interval"
        return (Undetermined(reason),) * len(ESTIMATORS)
    terms, cuts = _terms(rows)
    table = np.stack([*terms.values(), rows.weights, rows.rewards, np.ones(rows.size)])
    drawn = _draw(_by_group(table, rows.units, rng), rng, runs)  # (6 + 2, runs)
    whole = table.sum(axis=1)
    found: list[PolicyValue | Undetermined] = []
    for index, name in enumerate(ESTIMATORS):
        below = -3 if name == "snips" else -1
        base = drawn[below] > 0
        if not whole[below] > 0 or (~base).sum() > runs * alpha / 2:
            found.append(Undetermined("no_overlap: the target shows next to nothing of the log"))
            continue
        logged = drawn[-2, base] / drawn[-1, base]
        values = drawn[index, base] / drawn[below, base]
        found.append(
            PolicyValue(
                name,
                float(whole[index] / whole[below]),
                _interval(values, alpha),
                float(values.std(ddof=1)),
                _interval(values - logged, alpha),
                cuts.get(name),
            )
        )
    return tuple(found)


def _terms(rows: LoggedRows) -> tuple[dict[str, Vector], dict[str, float]]:
    """Return what each estimator averages, row by row, and the λ that was chosen."""
    weighted = rows.weights * rows.rewards
    switch = _best_cut(rows, _switched, _cuts(rows.weights, power=1))
    shrink = _best_cut(rows, _shrunken, _cuts(rows.weights, power=2))
    return {
        "ips": weighted,
        "snips": weighted,
        "dm": rows.doubly_robust(np.zeros(rows.size)),
        "dr": rows.doubly_robust(rows.weights),
        "switch_dr": rows.doubly_robust(_switched(rows.weights, switch)),
        "dros": rows.doubly_robust(_shrunken(rows.weights, shrink)),
    }, {"switch_dr": switch, "dros": shrink}


def _switched(weights: Vector, cut: float) -> Vector:
    kept: Vector = np.where(weights <= cut, weights, 0.0)
    return kept


def _shrunken(weights: Vector, cut: float) -> Vector:
    # λw / (w² + λ), written so that λ = ∞ gives w.
    smaller: Vector = weights / (weights**2 / cut + 1)
    return smaller


def _cuts(weights: Vector, *, power: int) -> list[float]:
    """Return the λ to choose from: none at all, and quantiles of the weights to a power."""
    positive = weights[weights > 0]
    if not positive.size:
        return [math.inf]
    return [math.inf, *(np.quantile(positive, _LAMBDA_QUANTILES)[::-1] ** power).tolist()]


def _best_cut(
    rows: LoggedRows, smaller: Callable[[Vector, float], Vector], cuts: list[float]
) -> float:
    """Return the λ with the least squared error as estimated; the first of equal ones."""
    errors = []
    for cut in cuts:
        kept = smaller(rows.weights, cut)
        bias = float(((rows.weights - kept) * (rows.rewards - rows.predicted)).mean())
        errors.append(float(rows.doubly_robust(kept).var()) / rows.size + bias**2)
    return cuts[int(np.argmin(errors))]


def _by_group(table: Vector, units: Labels | None, rng: np.random.Generator) -> Vector:
    """Return sums by unit, or by random groups of units, shape (columns, groups)."""
    size = table.shape[1]
    numbers = np.arange(size) if units is None else np.unique(units, return_inverse=True)[1]
    count = int(numbers.max()) + 1
    if count > _MOST_GROUPS:
        numbers = (rng.permutation(count) % _MOST_GROUPS)[numbers]
        count = _MOST_GROUPS
    elif units is None:
        return table
    return np.stack([np.bincount(numbers, column, minlength=count) for column in table])


def _draw(table: Vector, rng: np.random.Generator, runs: int) -> Vector:
    """Return the columns' sums over groups that are drawn again, shape (columns, runs)."""
    size = table.shape[1]
    block = max(1, _LARGEST_BLOCK // size)
    drawn = []
    for start in range(0, runs, block):
        count = min(block, runs - start)
        if size < _FEW_GROUPS:  # where Poisson weights may all be 0
            weights = rng.multinomial(size, np.full(size, 1 / size), count)
        else:
            weights = rng.poisson(1.0, (count, size))
        drawn.append(table @ weights.T)
    return np.concatenate(drawn, axis=1)


def _interval(values: Vector, alpha: float) -> Interval:
    low, high = np.quantile(values, [alpha / 2, 1 - alpha / 2])
    return Interval(float(low), float(high))
