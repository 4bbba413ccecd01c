"""Sample ratio mismatch: did the units arrive in the shares that were planned?

A broken split makes every lift meaningless, so it is checked before anything else.

References:
    Fabijan, A. et al. (2019). Diagnosing sample ratio mismatch in online controlled experiments.
    KDD 2019, doi:10.1145/3292500.3330722.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from abplatform.stats.ratio import Undetermined

__all__ = ["SRM_ALPHA", "SrmTest", "chi_square"]

SRM_ALPHA = 0.001
"""A mismatch is an alarm below this p-value."""


@dataclass(frozen=True, slots=True)
class SrmTest:
    """Pearson's chi-square of observed counts against planned shares.

    Args:
        observed: Variant to units.
        expected: Variant to units as planned; sums to the same total.
        statistic: Σ (observed - expected)² / expected.
        df: Variants with a weight, less one.
        p_value: Upper tail; 2.2e-308 where it underflows or the plan makes the counts impossible.
        alarm: Whether p < 0.001.
    """

    observed: Mapping[str, int]
    expected: Mapping[str, float]
    statistic: float
    df: int
    p_value: float
    alarm: bool


def chi_square(
    observed: Mapping[str, int], expected_shares: Mapping[str, float]
) -> SrmTest | Undetermined:
    """Test counts against planned shares.

    A variant without weight adds no degree of freedom. Units found there were not planned at all,
    which no chance explains: that is an alarm by itself.

    Args:
        observed: Variant to units; a variant that is missing has none.
        expected_shares: Variant to weight on any scale, or to the planned count.

    Returns:
        The test, or the reason why there is none.

    Raises:
        ValueError: A count or a weight is negative.
    """
    names = list(dict.fromkeys([*expected_shares, *observed]))
    counts = {name: int(observed.get(name, 0)) for name in names}
    weights = {name: float(expected_shares.get(name, 0.0)) for name in names}
    if min([*counts.values(), *weights.values()], default=0) < 0:
        message = f"counts and weights are not negative: {counts}, {weights}"
        raise ValueError(message)
    total, planned = sum(counts.values()), sum(weights.values())
    weighted = [name for name in names if weights[name] > 0]
    if len(weighted) < 2:
        return Undetermined("no_weights: fewer than two variants have a planned share")
    if total == 0:
        return Undetermined("no_traffic: no unit has been seen yet")
    expected = {name: total * weights[name] / planned for name in names}
    unplanned = total - sum(counts[name] for name in weighted)
    statistic, p_value = _pearson(counts, weights, weighted)
    p_value = max(0.0 if unplanned else p_value, sys.float_info.min)
    return SrmTest(
        observed=counts,
        expected=expected,
        statistic=statistic,
        df=len(weighted) - 1,
        p_value=p_value,
        alarm=p_value < SRM_ALPHA,
    )


def _pearson(
    counts: Mapping[str, int], weights: Mapping[str, float], names: list[str]
) -> tuple[float, float]:
    from scipy.special import chdtrc

    inside = [counts[name] for name in names]
    planned = sum(weights[name] for name in names)
    if not sum(inside):
        return 0.0, 0.0
    expected = [sum(inside) * weights[name] / planned for name in names]
    statistic = sum((n - e) ** 2 / e for n, e in zip(inside, expected, strict=True))
    return statistic, float(chdtrc(len(names) - 1, statistic))
