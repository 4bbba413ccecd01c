"""Which of several rates is the highest, the second highest …: exactly, for Beta posteriors.

    P(i is best) = ∫ f_i(x) ∏_{j≠i} F_j(x) dx,   rates x_j ~ Beta(a_j, b_j), independent

The integral is taken over z = log(x / (1 - x)), where every density is smooth and log-concave, by
Gauss-Legendre quadrature on panels no wider than a few standard deviations of any posterior that is
neither 0 nor 1 there. Below the highest of the lower ends some F_j is 0; above the highest of the
upper ends every f_i is, so nothing is left out but tails of 10⁻¹³.

A density is taken relative to its mode x₀ = a / (a + b), at t = z - z₀:

    log f(z) - log f(z₀) = -a log(1 + (1 - x₀)(e^-t - 1)) - b log(1 + x₀ (e^t - 1))
    log f(z₀) = ½ log(a b / (a + b)) - ½ log 2π + δ(a + b) - δ(a) - δ(b)

with Stirling's remainder δ, so that a posterior of millions of impressions loses no digits. The
probabilities sum to 1 because the sum of the integrands is the derivative of ∏ F_j; by how much the
quadrature misses that is corrected in proportion and lies below 10⁻¹⁰.

References:
    Scott, S. L. (2010). A modern Bayesian look at the multi-armed bandit. Applied Stochastic Models
    in Business and Industry 26, 639-658.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST_PARAMETER", "best_probabilities", "rank_probabilities"]

Vector = npt.NDArray[np.float64]

LEAST_PARAMETER = 0.02
"""Betas below it put their mass where doubles end."""

_MOST_PARAMETER = 1e12

_TAIL = 1e-13
_NODES = 16
_PANEL_SIGMAS = 3.0
_WIDEST_PANEL = 3.0  # a skewed posterior ends like exp(-e^z), whatever its standard deviation
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
_STIRLING_FROM = 10.0


def best_probabilities(a: Sequence[float] | Vector, b: Sequence[float] | Vector) -> Vector:
    """Return for each of K independent rates the probability that it is the highest.

    Args:
        a: First parameters of the Beta distributions, such as clicks plus a prior's.
        b: Second parameters, such as impressions without a click plus a prior's.

    Returns:
        K probabilities that sum to 1, each within 10⁻⁹ of the truth.

    Raises:
        ValueError: Nothing to compare, sizes that differ, or a parameter that is not between
            :data:`LEAST_PARAMETER` and a million millions.
    """
    probabilities: Vector = rank_probabilities(a, b, ranks=1)[:, 0]
    return probabilities


def rank_probabilities(
    a: Sequence[float] | Vector, b: Sequence[float] | Vector, *, ranks: int
) -> Vector:
    """Return for each of K independent rates the probability of every rank, the highest first.

    Whoever shows the best ones of one draw in order shows creative i in place r with probability

        P(rank of i = r) = ∫ f_i(x) P(exactly r - 1 of the others exceed x) dx

    Args:
        a: First parameters of the Beta distributions.
        b: Second parameters.
        ranks: How many ranks, 1 … K.

    Returns:
        Probabilities of shape (K, ranks); every column sums to 1.

    Raises:
        ValueError: Nothing to compare, sizes that differ, a rank beyond the last, or a parameter
            that is not between :data:`LEAST_PARAMETER` and a million millions.
    """
    alpha, beta = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    parameters = np.concatenate([alpha, beta])
    if alpha.shape != beta.shape or alpha.ndim != 1 or not alpha.size:
        message = f"needs as many a as b, one or more, not {alpha.shape} and {beta.shape}"
        raise ValueError(message)
    if not 1 <= ranks <= alpha.size:
        message = f"of {alpha.size} rates there are as many ranks, not {ranks}"
        raise ValueError(message)
    if not np.all((parameters >= LEAST_PARAMETER) & (parameters <= _MOST_PARAMETER)):
        message = f"parameters must lie between {LEAST_PARAMETER} and {_MOST_PARAMETER:g}"
        raise ValueError(message)
    if alpha.size == 1:
        return np.ones((1, 1))
    z, weights = _nodes(alpha, beta, ranks)
    below = _distributions(z, alpha, beta)
    densities = _densities(z, alpha, beta)
    if ranks == 1:
        mass = ((densities * _products_of_others(below)) @ weights)[:, np.newaxis]
    else:
        above = _distributions(-z, beta, alpha)
        mass = np.einsum("kn,rkn,n->kr", densities, _exceeding(below, above, ranks), weights)
    probabilities: Vector = mass / mass.sum(axis=0)
    return probabilities


def _nodes(alpha: Vector, beta: Vector, ranks: int) -> tuple[Vector, Vector]:
    """Return where the integrand is taken, on the logit scale, and with what weight."""
    from scipy.special import polygamma

    low, high = _ends(alpha, beta, _TAIL), -_ends(beta, alpha, _TAIL)
    sigma = np.sqrt(polygamma(1, alpha) + polygamma(1, beta))  # of the logit, exactly
    widths = np.minimum(_PANEL_SIGMAS * sigma, _WIDEST_PANEL)
    edges = [float(np.sort(low)[-ranks])]
    last = float(high.max())
    while edges[-1] < last:
        here = edges[-1]
        # A posterior that begins further on may have a wide panel up to there.
        ends = np.maximum(here + widths, low)[high > here]
        edges.append(min(float(ends.min()), last))
    x, weights = _legendre()
    bounds = np.asarray(edges)
    half = np.diff(bounds)[:, np.newaxis] / 2
    centre = (bounds[1:, np.newaxis] + bounds[:-1, np.newaxis]) / 2
    return (centre + half * x).ravel(), (half * weights).ravel()


@cache
def _legendre() -> tuple[Vector, Vector]:
    x, weights = np.polynomial.legendre.leggauss(_NODES)
    return x, weights


def _ends(alpha: Vector, beta: Vector, tail: float) -> Vector:
    """Return the logits below which each Beta has at most a tail's mass."""
    from scipy.special import betaincinv, betaln, logit

    x = betaincinv(alpha, beta, tail)
    # Near 0 the distribution is x^a / (a B(a, b)), also where doubles end.
    power = (math.log(tail) + np.log(alpha) + betaln(alpha, beta)) / alpha
    with np.errstate(divide="ignore"):
        ends: Vector = np.where(x > 1e-250, logit(x), power)
    return ends


def _distributions(z: Vector, alpha: Vector, beta: Vector) -> Vector:
    """Return F_j at the nodes, shape (K, nodes)."""
    from scipy.special import betainc, betaincc, expit

    a, b = alpha[:, np.newaxis], beta[:, np.newaxis]
    # I_x(a, b) = 1 - I_{1-x}(b, a): each half from its own end keeps the digits of 1 - x.
    left, right = z <= 0, z > 0
    found: Vector = np.empty((alpha.size, z.size))
    found[:, left] = betainc(a, b, expit(z[left]))
    found[:, right] = betaincc(b, a, expit(-z[right]))
    return found


def _densities(z: Vector, alpha: Vector, beta: Vector) -> Vector:
    """Return f_j at the nodes, per unit of z, shape (K, nodes)."""
    a, b = alpha[:, np.newaxis], beta[:, np.newaxis]
    mode = a / (a + b)
    t = z - np.log(a / b)
    with np.errstate(over="ignore"):
        exponent = -a * np.log1p(b / (a + b) * np.expm1(-t)) - b * np.log1p(mode * np.expm1(t))
    top = (
        0.5 * np.log(alpha * beta / (alpha + beta) / (2 * math.pi))
        + _stirling_rest(alpha + beta)
        - _stirling_rest(alpha)
        - _stirling_rest(beta)
    )
    densities: Vector = np.exp(exponent + top[:, np.newaxis])
    return densities


def _stirling_rest(n: Vector) -> Vector:
    """Return δ(n) = log Γ(n) - (n - ½) log n + n - ½ log 2π."""
    from scipy.special import gammaln

    near = np.minimum(n, _STIRLING_FROM)
    direct = gammaln(near) - (near - 0.5) * np.log(near) + near - 0.5 * math.log(2 * math.pi)
    far = np.maximum(n, _STIRLING_FROM)
    series = np.zeros_like(far)
    for power, term in enumerate(_STIRLING):
        series += term / far ** (2 * power + 1)
    rest: Vector = np.where(n < _STIRLING_FROM, direct, series)
    return rest


def _products_of_others(rows: Vector) -> Vector:
    """Return for each row the product of all other rows; zeros may be among them."""
    ones = np.ones((1, rows.shape[1]))
    before: Vector = np.cumprod(np.vstack([ones, rows[:-1]]), axis=0, dtype=np.float64)
    after: Vector = np.cumprod(np.vstack([ones, rows[:0:-1]]), axis=0, dtype=np.float64)[::-1]
    return before * after


def _exceeding(below: Vector, above: Vector, ranks: int) -> Vector:
    """Return for each row how likely exactly 0 … ranks - 1 of the others exceed the node.

    Args:
        below: F_j, shape (K, nodes).
        above: 1 - F_j.
        ranks: How many.

    Returns:
        Shape (ranks, K, nodes).
    """
    size, nodes = below.shape
    nobody = np.zeros((ranks, nodes))
    nobody[0] = 1.0
    found = np.empty((ranks, size, nodes))
    before = [nobody]
    for j in range(size - 1):
        before.append(_joined(before[-1], below[j], above[j]))
    after = nobody
    for j in range(size - 1, -1, -1):
        for count in range(ranks):
            found[count, j] = sum(before[j][i] * after[count - i] for i in range(count + 1))
        after = _joined(after, below[j], above[j])
    return found


def _joined(counts: Vector, below: Vector, above: Vector) -> Vector:
    """Return how likely 0, 1, … exceed the node once another rate is among them."""
    joined = counts * below
    joined[1:] += counts[:-1] * above
    return joined
