"""How sure are we that one creative's CTR is higher than another's?

Raw winners are often luck: at 10,000 impressions a creative, a third of the winner labels are
wrong. So a pair carries ``p_win``, the posterior probability that its difference is positive, under
a model in which the creatives of a product scatter around the product's own level:

    k_eff = k / D,  n_eff = n / D          D: the category's design effect, at least 1
    y_j   = log((k_eff + ½) / n_eff)       sampling variance V_jj = 1 / (k_eff + ½)
    V_jl  = ω · Σ_i n_ij·n_il / (n_j·n_l)  where units i saw both creatives
    y     ~ N(θ, V),  θ_j ~ N(μ_product, τ²),  flat μ

τ is shared by a category. Its restricted likelihood (μ integrated out) times a half-normal prior of
scale 0.25 is integrated on a grid; plugging in a single τ gives wrong signs 7-14 % of the time
where 5 % is stated. ω is what units have in common: how much more often than by chance the clicks
on two creatives come from the same units, pooled over the category like D.

References:
    Harville, D. A. (1977). Maximum likelihood approaches to variance component estimation. JASA 72.
    Gelman, A. (2006). Prior distributions for variance parameters. Bayesian Analysis 1(3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abplatform.stats.ratio import RatioSums
from abplatform.stats.stratified import Strata, stratified_rates

__all__ = [
    "TAU_SCALE",
    "ProductCounts",
    "design_effect",
    "log_rates",
    "pair_weight",
    "win_probabilities",
]

Matrix = npt.NDArray[np.float64]

TAU_SCALE = 0.25
"""Scale of the half-normal prior of τ, the spread of log-CTR among a product's creatives."""

_GRID_POINTS = 96
_GRID_END = 2.0
_LARGEST_CORRELATION = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class ProductCounts:
    """The creatives of one product.

    Args:
        impressions: n_j, shape (K,), all positive.
        clicks: k_j, shape (K,).
        shared_nn: Σ_i n_ij·n_il over units, shape (K, K); None where no unit saw two of them.
        shared_kk: Σ_i k_ij·k_il, shape (K, K).
        shared_kn: Σ_i k_ij·n_il, shape (K, K).
        strata: Where a policy that learns chose among them: the same counts by stratum, within
            which y and V are estimated; None where propensities never changed.
    """

    impressions: Matrix
    clicks: Matrix
    shared_nn: Matrix | None = None
    shared_kk: Matrix | None = None
    shared_kn: Matrix | None = None
    strata: Strata | None = None

    def __post_init__(self) -> None:
        """Refuse counts that no log can have."""
        finite = np.isfinite(self.impressions).all() and np.isfinite(self.clicks).all()
        if not finite or (self.impressions <= 0).any() or (self.clicks < 0).any():
            message = "every creative needs impressions above zero and clicks of zero or more"
            raise ValueError(message)


def design_effect(creatives: Sequence[RatioSums]) -> float:
    """Return the category's design effect: variance by unit over binomial variance, at least 1.

    Args:
        creatives: Clicks over impressions by unit, one entry per creative.
    """
    clustered = binomial = 0.0
    for sums in creatives:
        if sums.units >= 2 and 0 < sums.k < sums.n:
            clustered += sums.variance * sums.n**2
            binomial += sums.trial_variance * sums.n**2
    return max(1.0, clustered / binomial) if binomial else 1.0


def win_probabilities(
    products: Sequence[ProductCounts], *, design_effect: float = 1.0
) -> list[Matrix]:
    """Return for each product the matrix of P(θ_j > θ_l), shape (K, K), ½ on the diagonal.

    Args:
        products: The products of one category; they share τ.
        design_effect: What impressions and clicks are divided by.
    """
    tau, log_weight = _tau_grid()
    omega = _shared_taste(products)
    fits = [_fit(product, tau, deff=design_effect, omega=omega) for product in products]
    log_posterior = log_weight + sum((fit.log_likelihood for fit in fits), np.zeros_like(tau))
    weight = np.exp(log_posterior - log_posterior.max())
    weight /= weight.sum()
    # the weights' sum may round to just above 1, and a probability may not
    return [np.clip(np.einsum("g,gjl->jl", weight, fit.win), 0.0, 1.0) for fit in fits]


def log_rates(
    products: Sequence[ProductCounts], *, design_effect: float = 1.0
) -> list[tuple[Matrix, Matrix]]:
    """Return for each product y, shape (K,), and its sampling covariance V, shape (K, K).

    Args:
        products: The products of one category.
        design_effect: What impressions and clicks are divided by.
    """
    omega = _shared_taste(products)
    return [_estimate(product, deff=design_effect, omega=omega) for product in products]


def pair_weight(p_win: float, *, creatives: int) -> float:
    """Return what a pair counts in training: (2·p - 1)² · 2/K.

    The K(K - 1)/2 pairs of K creatives hold K - 1 independent comparisons, hence 2/K.
    """
    return (2 * p_win - 1) ** 2 * 2 / creatives


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    log_likelihood: Matrix  # (G,)
    win: Matrix  # (G, K, K)


def _tau_grid() -> tuple[Matrix, Matrix]:
    """Return G midpoints, dense near zero, and the log of prior density times step."""
    u = (np.arange(_GRID_POINTS) + 0.5) / _GRID_POINTS
    tau = _GRID_END * u**2
    return tau, np.log(u) - 0.5 * (tau / TAU_SCALE) ** 2


def _shared_taste(products: Sequence[ProductCounts]) -> float:
    """Return ω: Σ residual co-clicks over the co-clicks that chance would bring."""
    residual = chance = 0.0
    for product in products:
        if product.shared_nn is None or product.shared_kk is None or product.shared_kn is None:
            continue
        rate = product.clicks / product.impressions
        kn = product.shared_kn * rate[None, :]
        expected = np.outer(rate, rate) * product.shared_nn
        above = np.triu_indices(len(rate), k=1)
        residual += float((product.shared_kk - kn - kn.T + expected)[above].sum())
        chance += float(expected[above].sum())
    return residual / chance if chance > 0 else 0.0


def _estimate(product: ProductCounts, *, deff: float, omega: float) -> tuple[Matrix, Matrix]:
    """Return y, shape (K,), and V, shape (K, K); within strata only their contrasts mean much."""
    if product.strata is None:
        covariance = _sampling_covariance(product, deff=deff, omega=omega)
        return _log_rates(product, deff), covariance
    size = len(product.clicks)
    rates = stratified_rates(product.strata, creatives=size, design_effect=deff)
    covariance = rates.covariance
    if product.shared_nn is not None and omega > 0:
        # Clicks that a unit has in common with itself, carried through the estimate.
        rate = product.clicks / product.impressions / deff
        meat = omega * np.outer(rate, rate) * product.shared_nn
        np.fill_diagonal(meat, 0)
        covariance = _no_larger(covariance, covariance @ meat @ covariance)
    level = float(_log_rates(product, deff).mean())
    return rates.log_rates + level, covariance + covariance.diagonal().mean()


def _no_larger(variance: Matrix, change: Matrix) -> Matrix:
    """Add what units have in common; at most the largest correlation's share is taken off."""
    root = np.linalg.cholesky(variance + np.eye(len(variance)) * 1e-9 + 1 / len(variance))
    scaled = np.linalg.solve(root, np.linalg.solve(root, change).T)
    values, vectors = np.linalg.eigh((scaled + scaled.T) / 2)
    kept = root @ vectors
    bounded: Matrix = variance + (kept * np.maximum(values, -_LARGEST_CORRELATION)) @ kept.T
    return bounded


def _log_rates(product: ProductCounts, deff: float) -> Matrix:
    y: Matrix = np.log((product.clicks / deff + 0.5) / (product.impressions / deff))
    return y


def _sampling_covariance(product: ProductCounts, *, deff: float, omega: float) -> Matrix:
    variance = 1 / (product.clicks / deff + 0.5)
    covariance = np.diag(variance)
    if product.shared_nn is None or omega == 0:
        return covariance
    bound = _LARGEST_CORRELATION * np.sqrt(np.outer(variance, variance))
    shared = omega * product.shared_nn / np.outer(product.impressions, product.impressions)
    off_diagonal = ~np.eye(len(variance), dtype=bool)
    covariance[off_diagonal] = np.clip(shared, -bound, bound)[off_diagonal]
    values, vectors = np.linalg.eigh(covariance)
    # Estimated element by element, the matrix may have lost its positive definiteness.
    values = np.maximum(values, 1e-9 * values.max())
    repaired: Matrix = (vectors * values) @ vectors.T
    return repaired


def _fit(product: ProductCounts, tau: Matrix, *, deff: float, omega: float) -> _Fit:
    """Restricted log-likelihood and posterior P(θ_j > θ_l) at every τ of the grid."""
    size = len(product.clicks)
    y, sampling = _estimate(product, deff=deff, omega=omega)
    eye = np.eye(size)
    tau2 = (tau**2)[:, None, None]  # (G, 1, 1)
    total = sampling + tau2 * eye  # (G, K, K)
    precision = np.linalg.inv(total)
    ones = precision.sum(axis=2)  # Σ⁻¹·1, (G, K)
    mass = ones.sum(axis=1)  # 1'Σ⁻¹1, (G,)
    mean = (ones @ y) / mass
    residual = y - mean[:, None]  # (G, K)
    pulled = np.einsum("gjl,gl->gj", precision, residual)
    misfit = np.einsum("gj,gj->g", residual, pulled)
    log_likelihood = -0.5 * (np.linalg.slogdet(total)[1] + np.log(mass) + misfit)
    theta = tau2[:, :, 0] * pulled  # posterior mean less μ̂, which cancels in differences
    loose = 1 - tau2[:, :, 0] * ones
    spread = tau2 * eye - tau2**2 * precision
    spread += loose[:, :, None] * loose[:, None, :] / mass[:, None, None]
    own = np.einsum("gjj->gj", spread)
    variance = own[:, :, None] + own[:, None, :] - 2 * spread
    difference = theta[:, :, None] - theta[:, None, :]
    return _Fit(log_likelihood, _normal_cdf_of_ratio(difference, variance))


def _normal_cdf_of_ratio(difference: Matrix, variance: Matrix) -> Matrix:
    """Φ(difference / √variance), ½ where both are zero (a creative against itself)."""
    from scipy.special import ndtr

    deviation = np.sqrt(np.maximum(variance, 1e-300))
    win: Matrix = ndtr(difference / deviation)
    return win
