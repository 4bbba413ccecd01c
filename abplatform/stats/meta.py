"""Many estimates, each with its own error: what they say together, and what each is worth.

Estimates come in blocks; errors may be correlated within a block (treatments that share a control,
creatives that share users), never between blocks:

    y ~ N(θ, V),   θ = X·β + u,   u ~ N(0, τ²·S)

V is the sampling covariance, X the covariates (a column of ones for a plain meta-analysis), τ² how
much true effects differ, and S = 1 unless estimates are differences of such effects. Each block is
rotated so that V becomes the identity and S diagonal; all that follows sees independent estimates
with variance 1 + τ²·d.

τ² solves Q(τ²) = N - p, Q the weighted sum of squared residuals (Paule & Mandel 1982), and is
truncated at zero. With it the Hartung-Knapp factor Q/(N - p) is one wherever τ² > 0; where τ² = 0
it would narrow the interval, and is held at one (Röver et al. 2015). So intervals are β̂ ± t·se
with N - p degrees of freedom.

References:
    Paule, R. C., Mandel, J. (1982). Consensus values and weighting factors. J. Res. NBS 87(5).
    Hartung, J., Knapp, G. (2001). A refined method for the meta-analysis of controlled clinical
    trials with binary outcome. Statistics in Medicine 20(24).
    Röver, C., Knapp, G., Friede, T. (2015). Hartung-Knapp-Sidik-Jonkman approach and its
    modification for random-effects meta-analysis with few studies. BMC Med. Res. Methodol. 15.
    Morris, C. N. (1983). Parametric empirical Bayes inference. JASA 78(381).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abplatform.stats.ratio import Interval, Undetermined, normal_critical_value

__all__ = [
    "LEAST_ESTIMATES",
    "Block",
    "MetaFit",
    "Shrunken",
    "fit_each",
    "fit_meta",
    "shrink_blocks",
    "solve_tau2",
]

Array = npt.NDArray[np.float64]

LEAST_ESTIMATES = 3
"""Below this many estimates beyond the covariates nothing is known of how true effects differ."""

_STEPS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Estimates whose errors may be correlated.

    Args:
        effects: y, shape (k,).
        covariance: V, shape (k, k), positive definite.
        design: X, shape (k, p); None for a column of ones, no column for a mean of zero.
        spread: S, shape (k, k); None for the identity.

    Raises:
        ValueError: Something is not finite, or shapes contradict each other.
    """

    effects: Array
    covariance: Array
    design: Array | None = None
    spread: Array | None = None

    def __post_init__(self) -> None:
        """Refuse what no estimates can be."""
        size = len(self.effects)
        given = [self.effects, self.covariance, self.x, self.s]
        shapes = (self.covariance.shape, self.s.shape, self.x.shape[:1])
        if shapes != ((size, size), (size, size), (size,)) or not all(
            np.isfinite(values).all() for values in given
        ):
            message = f"a block of {size} estimates needs finite values of fitting shapes"
            raise ValueError(message)
        if size and (np.diag(self.covariance) <= 0).any():
            message = "every estimate needs a variance above zero"
            raise ValueError(message)

    @property
    def x(self) -> Array:
        """X, shape (k, p)."""
        return np.ones((len(self.effects), 1)) if self.design is None else self.design

    @property
    def s(self) -> Array:
        """S, shape (k, k)."""
        return np.eye(len(self.effects)) if self.spread is None else self.spread


@dataclass(frozen=True, slots=True, eq=False)
class MetaFit:
    """What the estimates say together.

    Args:
        coefficients: β̂, shape (p,); of a plain meta-analysis the mean effect.
        covariance: Of β̂, shape (p, p).
        tau2: τ̂², the variance of true effects.
        estimates: N.
        df: N - p.
        statistic: Q at τ² = 0, Cochran's Q.
        p_value: Of Q, by chi-square with N - p degrees of freedom: do true effects differ at all?
        i2: Share of the estimates' variation that is no sampling error, max(0, 1 - (N - p)/Q).
    """

    coefficients: Array
    covariance: Array
    tau2: float
    estimates: int
    df: int
    statistic: float
    p_value: float
    i2: float

    def interval(self, index: int = 0, *, alpha: float = 0.05) -> Interval:
        """Return the Hartung-Knapp interval of one coefficient."""
        middle = float(self.coefficients[index])
        half = self._critical(alpha) * math.sqrt(self.covariance[index, index])
        return Interval(middle - half, middle + half)

    def predicted(self, *, alpha: float = 0.05) -> Interval:
        """Return where the true effect of one more experiment lies (first coefficient only)."""
        middle = float(self.coefficients[0])
        half = self._critical(alpha) * math.sqrt(self.covariance[0, 0] + self.tau2)
        return Interval(middle - half, middle + half)

    def p_values(self) -> list[float]:
        """Return each coefficient's two-sided p, by t with N - p degrees of freedom."""
        from scipy.special import stdtr

        deviations = np.sqrt(np.diag(self.covariance))
        return [
            max(2 * float(stdtr(self.df, -abs(beta) / se)), math.ulp(0.0))
            for beta, se in zip(self.coefficients, deviations, strict=True)
        ]

    def _critical(self, alpha: float) -> float:
        from scipy.special import stdtrit

        return -float(stdtrit(self.df, alpha / 2))


@dataclass(frozen=True, slots=True, eq=False)
class Shrunken:
    """What each estimate is worth in the light of all.

    Intervals are normal: the errors in β̂ and τ̂² are in the covariance already, and t on top of that
    covers nearly always. Simulated with 3 to 30 experiments, τ of 0 to 0.15 and errors of 0.02 to
    0.10, 95 % intervals of single effects cover 92-99 %, those of shipped sums 93-99 %.

    Args:
        effects: Posterior means of θ, shape (N,), in the blocks' order.
        covariance: Their posterior covariance, shape (N, N), β's error and that of τ² included.
    """

    effects: Array
    covariance: Array

    def interval(self, index: int, *, alpha: float = 0.05) -> Interval:
        """Return the interval of one true effect."""
        weights = np.zeros(len(self.effects))
        weights[index] = 1.0
        return self.total(weights, alpha=alpha)

    def total(self, weights: Array, *, alpha: float = 0.05) -> Interval:
        """Return the interval of Σ weights·θ, the errors' correlation included."""
        middle = float(weights @ self.effects)
        deviation = math.sqrt(max(float(weights @ self.covariance @ weights), 0.0))
        half = normal_critical_value(alpha) * deviation
        return Interval(middle - half, middle + half)


def fit_meta(blocks: Sequence[Block]) -> MetaFit | Undetermined:
    """Fit β and τ² to all blocks.

    Args:
        blocks: All with the same p covariates.

    Returns:
        The fit, or why there is none: fewer than three estimates beyond the covariates, or
        covariates that say the same.
    """
    return _fit(*_rotate(blocks))


def fit_each(blocks: Sequence[Block]) -> list[MetaFit | Undetermined]:
    """Fit every covariate alone: one fit per column of the blocks' design.

    Args:
        blocks: All with the same p covariates.
    """
    y, x, d = _rotate(blocks)
    return [_fit(y, x[:, [column]], d) for column in range(x.shape[1])]


def _fit(y: Array, x: Array, d: Array) -> MetaFit | Undetermined:
    count, covariates = x.shape
    if count - covariates < LEAST_ESTIMATES - 1:
        return Undetermined(
            f"few_estimates: {count} estimates for {covariates} covariates; at least "
            f"{LEAST_ESTIMATES - 1} more are needed"
        )
    if covariates and np.linalg.matrix_rank(x) < covariates:
        return Undetermined("collinear: two covariates say the same, so neither can be told")
    from scipy.special import chdtrc

    df = count - covariates
    statistic = _misfit(y, x, d, 0.0)
    tau2 = solve_tau2(y, x, d)
    beta, covariance = _least_squares(y, x, 1 / (1 + tau2 * d))
    return MetaFit(
        coefficients=beta,
        covariance=covariance,
        tau2=tau2,
        estimates=count,
        df=df,
        statistic=statistic,
        p_value=float(chdtrc(df, statistic)),
        i2=max(0.0, 1 - df / statistic) if statistic > 0 else 0.0,
    )


def shrink_blocks(blocks: Sequence[Block], fit: MetaFit) -> Shrunken:
    """Pull every estimate towards what its covariates promise, by how noisy it is.

    Args:
        blocks: Those that were fitted.
        fit: Their fit.

    Returns:
        θ̂ = X·β̂ + τ²·S·Σ⁻¹·(y - X·β̂) with Σ = V + τ²·S. Their covariance holds the posterior's own,
        the error in β̂, and that in τ̂² (Morris 1983): 2/(N - p - 2) times the squared way by which
        estimates were pulled. That error is shared: were τ² larger, all would be pulled less.
    """
    beta, tau2 = fit.coefficients, fit.tau2
    means, loads, shifts, own = [], [], [], []
    for block in blocks:
        total = block.covariance + tau2 * block.s
        pull = tau2 * np.linalg.solve(total, block.s).T  # τ²·S·Σ⁻¹
        away = block.effects - block.x @ beta
        means.append(block.x @ beta + pull @ away)
        loads.append(block.x - pull @ block.x)
        shifts.append(away - pull @ away)
        own.append(tau2 * (block.s - pull @ block.s))
    loading, shift = np.concatenate(loads), np.concatenate(shifts)
    covariance = loading @ fit.covariance @ loading.T
    covariance += 2 / max(fit.df - 2, 1) * np.outer(shift, shift)
    start = 0
    for part in own:
        covariance[start : start + len(part), start : start + len(part)] += part
        start += len(part)
    return Shrunken(np.concatenate(means), covariance)


def _rotate(blocks: Sequence[Block]) -> tuple[Array, Array, Array]:
    """Return y, X and d such that estimates are independent with variance 1 + τ²·d."""
    from scipy.linalg import eigh

    ys, xs, ds = [], [], []
    for block in blocks:
        if not len(block.effects):
            continue
        d, vectors = eigh(block.s, block.covariance)  # T'VT = 1, T'ST = diag(d)
        ys.append(vectors.T @ block.effects)
        xs.append(vectors.T @ block.x)
        ds.append(np.maximum(d, 0.0))
    if not ys:
        return np.zeros(0), np.zeros((0, 1)), np.zeros(0)
    return np.concatenate(ys), np.concatenate(xs), np.concatenate(ds)


def _least_squares(y: Array, x: Array, weight: Array) -> tuple[Array, Array]:
    covariance = np.linalg.inv((x * weight[:, None]).T @ x).astype(np.float64)
    return covariance @ (x.T @ (weight * y)), covariance


def _misfit(y: Array, x: Array, d: Array, tau2: float) -> float:
    """Q(τ²) = Σ (y - x·β̂)² / (1 + τ²·d), β̂ itself fitted with these weights."""
    weight = 1 / (1 + tau2 * d)
    beta, _ = _least_squares(y, x, weight)
    return float(weight @ (y - x @ beta) ** 2)


def solve_tau2(y: Array, x: Array, d: Array) -> float:
    """Return τ̂² of independent estimates: Q(τ²) = N - p, truncated at zero (Paule & Mandel 1982).

    Q falls as τ² grows, so that the root is bracketed and then closed in on.

    Args:
        y: The estimates, shape (N,).
        x: Their covariates, shape (N, p).
        d: Estimate j has the variance 1 + τ²·d_j, shape (N,).
    """
    from scipy.optimize import brentq

    wanted = len(y) - x.shape[1]
    if wanted <= 0 or _misfit(y, x, d, 0.0) <= wanted or not d.any():
        return 0.0
    high = 1 / float(d.max())
    for _ in range(_STEPS):
        if _misfit(y, x, d, high) < wanted:
            break
        high *= 4
    return float(
        brentq(lambda tau2: _misfit(y, x, d, tau2) - wanted, 0.0, high, rtol=1e-13, xtol=1e-300)
    )
