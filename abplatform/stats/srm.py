"""Sample ratio mismatch: did the units arrive in the shares that were planned?

A broken split makes every lift meaningless, so it is checked before anything else: once, by a
chi-square, and after every day, by an e-value that stays valid however often one looks.

Units arrive in phases, stretches of time with one set of weights. Under the plan, the counts n_v
of one phase are multinomial with shares θ_v. The e-value bets against that with a Dirichlet prior
around the plan, a_v = 1,000·θ_v (A = Σ a_v, N = Σ n_v):

    e = Γ(A) / Γ(A + N) · Π_v Γ(a_v + n_v) / (Γ(a_v)·θ_v^n_v)

which is the likelihood of the counts if the true shares were drawn from the prior, over that of
the plan. It starts at 1 and is a martingale in the order of arrival: under the plan it ever reaches
1,000 in at most one of 1,000 experiments (Ville 1939), however often one looks. A change of weights
starts a new factor; the e-value is the product over phases.

References:
    Fabijan, A. et al. (2019). Diagnosing sample ratio mismatch in online controlled experiments.
    KDD 2019, doi:10.1145/3292500.3330722.
    Lindon, M., Malek, A. (2022). Anytime-valid inference for multinomial count data.
    NeurIPS 2022, arXiv:2011.03567.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abplatform.stats.ratio import Undetermined

__all__ = [
    "FIRES_AT",
    "PRIOR_UNITS",
    "SRM_ALPHA",
    "PhaseCounts",
    "SrmTest",
    "chi_square",
    "chi_square_by_phase",
    "e_value_of",
    "log_e_path",
    "log_e_value",
]

SRM_ALPHA = 0.001
"""A mismatch is an alarm below this p-value."""

FIRES_AT = 1 / SRM_ALPHA
"""A mismatch is an alarm from this e-value on."""

PRIOR_UNITS = 1000.0
"""A, the weight of the plan in the prior, in units: deviations of about 1/√A are looked for."""

_LEAST_EXPECTED = 10
"""Below this many expected units in a variant, chi-square rings too often (see chi_square)."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SrmTest:
    """Observed counts against planned shares.

    Args:
        observed: Variant to units.
        expected: Variant to units as planned; sums to the same total.
        statistic: Σ (observed - expected)² / expected, added up over phases.
        df: Variants with a weight, less one, added up over phases.
        p_value: Upper tail; 2.2e-308 where it underflows or the plan makes the counts impossible.
        alarm: Whether p < 0.001.
        exact: Whether p comes from binomials instead, as counts are small.
    """

    observed: Mapping[str, int]
    expected: Mapping[str, float]
    statistic: float
    df: int
    p_value: float
    alarm: bool
    exact: bool = False


@dataclass(frozen=True, slots=True)
class PhaseCounts:
    """Units of one phase.

    Args:
        observed: Variant to units; a variant that is missing has none.
        weights: Variant to weight on any scale, or to the planned count; 0 for one that was not
            planned.

    Raises:
        ValueError: A count or a weight is negative.
    """

    observed: Mapping[str, int]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        if min([*self.observed.values(), *self.weights.values()], default=0) < 0:
            message = f"counts and weights are not negative: {self.observed}, {self.weights}"
            raise ValueError(message)

    @property
    def names(self) -> list[str]:
        """All variants, planned ones first."""
        return list(dict.fromkeys([*self.weights, *self.observed]))

    @property
    def planned(self) -> list[str]:
        """Variants with a weight."""
        return [name for name in self.weights if self.weights[name] > 0]

    @property
    def inside(self) -> list[int]:
        """Units of the variants with a weight."""
        return [int(self.observed.get(name, 0)) for name in self.planned]

    @property
    def unplanned(self) -> int:
        """Units where nobody should have come; one of them is an alarm by itself."""
        return sum(int(count) for count in self.observed.values()) - sum(self.inside)

    @property
    def shares(self) -> list[float]:
        """Planned shares of the variants with a weight."""
        whole = sum(self.weights.values())
        return [self.weights[name] / whole for name in self.planned]

    @property
    def expected(self) -> dict[str, float]:
        """Variant to units as planned."""
        total, whole = sum(self.observed.values()), sum(self.weights.values())
        return {
            name: total * self.weights.get(name, 0.0) / whole if whole else 0.0
            for name in self.names
        }


def chi_square(
    observed: Mapping[str, int], expected_shares: Mapping[str, float]
) -> SrmTest | Undetermined:
    """Test counts against planned shares, once.

    A variant without weight adds no degree of freedom. Units found there were not planned at all,
    which no chance explains: that is an alarm by itself.

    Where fewer than 10 units are expected in a variant, p is exact instead: the least of the
    variants' two-sided binomial p-values, times their number (two variants share one). With 0.2
    expected units chi-square would ring 17 times as often as it says, with 2 up to 4 times, with
    10 twice.

    Args:
        observed: Variant to units; a variant that is missing has none.
        expected_shares: Variant to weight on any scale, or to the planned count.

    Returns:
        The test, or the reason why there is none.

    Raises:
        ValueError: A count or a weight is negative.
    """
    return chi_square_by_phase([PhaseCounts(observed, expected_shares)])


def chi_square_by_phase(phases: Sequence[PhaseCounts]) -> SrmTest | Undetermined:
    """Test the counts of every phase against its own shares, together.

    Statistics and degrees of freedom add up over phases; pooled counts could hide a fault that
    changed its sign. Phases with small counts have an exact p of their own, and the least p counts
    times how many there are.

    Args:
        phases: Units by phase.

    Returns:
        The test, or the reason why there is none.
    """
    usable = [phase for phase in phases if len(phase.planned) > 1]
    unplanned = sum(phase.unplanned for phase in phases if phase.planned)
    if not usable:
        return Undetermined("no_weights: fewer than two variants have a planned share")
    if not any(any(phase.observed.values()) for phase in phases):
        return Undetermined("no_traffic: no unit has been seen yet")
    large = [phase for phase in usable if not _is_small(phase)]
    small = [phase for phase in usable if _is_small(phase) and any(phase.inside)]
    statistic = sum(_pearson(phase) for phase in usable)
    found = [_exact_p(phase) for phase in small]
    if large:
        df = sum(len(phase.planned) - 1 for phase in large)
        found.append(_upper_tail(df, sum(_pearson(phase) for phase in large)))
    p_value = 0.0 if unplanned else min(1.0, len(found) * min(found, default=1.0))
    p_value = max(p_value, sys.float_info.min)
    names = list(dict.fromkeys(name for phase in phases for name in phase.names))
    expected = [phase.expected for phase in phases]
    return SrmTest(
        observed={
            name: sum(int(phase.observed.get(name, 0)) for phase in phases) for name in names
        },
        expected={name: sum(one.get(name, 0.0) for one in expected) for name in names},
        statistic=statistic,
        df=sum(len(phase.planned) - 1 for phase in usable),
        p_value=p_value,
        alarm=p_value < SRM_ALPHA,
        exact=bool(small),
    )


def log_e_value(
    counts: npt.ArrayLike, weights: npt.ArrayLike, *, prior_units: float = PRIOR_UNITS
) -> Floats:
    """Return the natural logarithm of one phase's e-value.

    The gamma functions are taken apart by Stirling's formula, so that their large parts cancel
    before anything is rounded: with M = A + N, m_v = a_v + n_v and Stirling's remainder s,

        ln e = M·Σ θ_v·φ(m_v/(M·θ_v) - 1) + ½·(Σ ln(a_v/m_v) - ln(A/M))
               + s(A) - s(M) - Σ (s(a_v) - s(m_v)),      φ(x) = (1 + x)·ln(1 + x) - x

    which keeps its digits up to counts of 1e15. The first term is the likelihood ratio of the
    observed shares, the others are what the prior costs.

    Args:
        counts: Units, shape (…, V); any number of leading axes, such as days or simulations.
        weights: Planned weights on any scale, shape (V,), all above zero.
        prior_units: A.

    Returns:
        ln e, shape (…); 0 where nobody has come.

    Raises:
        ValueError: A count is negative or a weight is not above zero.
    """
    n = np.asarray(counts, dtype=float)
    w = np.asarray(weights, dtype=float)
    if (n < 0).any() or not (w > 0).all():
        message = "counts are not negative and weights are above zero"
        raise ValueError(message)
    shares = w / w.sum()
    a = prior_units * shares
    total = n.sum(axis=-1)
    m, whole = a + n, prior_units + total
    planned = whole[..., None] * shares
    excess = (n - total[..., None] * shares) / planned
    gain = (planned * _phi(excess)).sum(axis=-1)
    cost = 0.5 * (np.log(a / m).sum(axis=-1) - np.log(prior_units / whole))
    rest = _remainder(np.asarray(prior_units)) - _remainder(whole)
    return np.asarray(gain + cost + rest - (_remainder(a) - _remainder(m)).sum(axis=-1))


def log_e_path(phases: Sequence[tuple[npt.ArrayLike, Sequence[float]]]) -> Floats:
    """Return ln e at the end of every day: the product over phases of what each knows by then.

    Args:
        phases: New units of each day and variant, shape (…, D, V), and the weights of that phase,
            V numbers; at least one phase. Units under a weight of 0 make the e-value infinite from
            their day on.

    Returns:
        Shape (…, D).
    """
    path = np.zeros(np.shape(phases[0][0])[:-1])
    for daily, given in phases:
        counts, weights = np.cumsum(np.asarray(daily, dtype=float), axis=-2), np.asarray(given)
        inside = weights > 0
        if inside.sum() > 1:
            path = path + log_e_value(counts[..., inside], weights[inside])
        if inside.any():
            path = np.where(counts[..., ~inside].sum(axis=-1) > 0, np.inf, path)
    return path


def e_value_of(log_e: float) -> float:
    """Return e from its logarithm; 1.8e308 and 2.2e-308 where that is beyond a float."""
    if log_e >= math.log(sys.float_info.max):
        return sys.float_info.max
    return max(math.exp(log_e), sys.float_info.min)


def _phi(x: Floats) -> Floats:
    from scipy.special import xlog1py

    return np.asarray(xlog1py(1 + x, x) - x)


def _remainder(x: Floats) -> Floats:
    """lnΓ(x) less Stirling's (x - ½)·ln x - x + ½·ln 2π."""
    from scipy.special import gammaln

    far = np.maximum(x, 10.0)
    square = far**2
    series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / far
    near = np.minimum(x, 10.0)
    direct = gammaln(near) - (near - 0.5) * np.log(near) + near - 0.5 * math.log(2 * math.pi)
    return np.where(x < 10, direct, series)


def _is_small(phase: PhaseCounts) -> bool:
    return sum(phase.inside) * min(phase.shares) < _LEAST_EXPECTED * sum(phase.shares)


def _pearson(phase: PhaseCounts) -> float:
    total, inside = sum(phase.inside), phase.inside
    if not total:
        return 0.0
    whole = sum(phase.shares)
    expected = [total * share / whole for share in phase.shares]
    return sum((n - e) ** 2 / e for n, e in zip(inside, expected, strict=True))


def _upper_tail(df: int, statistic: float) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(df, statistic))


def _exact_p(phase: PhaseCounts) -> float:
    from scipy.stats import binomtest

    shares = [share / sum(phase.shares) for share in phase.shares]
    tests = list(zip(phase.inside, shares, strict=True))
    chosen = tests[:1] if len(tests) == 2 else tests
    total = sum(phase.inside)
    found = [float(binomtest(count, total, share).pvalue) for count, share in chosen]
    return min(1.0, len(found) * min(found))
