"""Many comparisons at once: an error rate that holds for the whole family.

p-values are adjusted at the one look that was planned for them. While an experiment is watched,
e-values are judged instead: E(e) ≤ 1 under the null holds at any stopping time, and e-BH keeps the
false discovery rate under any dependence. It must see the *current* e-values: their running maxima
are no e-values, and rejecting by them does not control the rate.

References:
    Benjamini, Y., Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B 57(1).
    Benjamini, Y., Yekutieli, D. (2001). The control of the FDR under dependency. Ann. Stat. 29(4).
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Stat. 6(2).
    Wang, R., Ramdas, A. (2022). False discovery rate control with e-values. JRSS B 84(3), 822-852.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

__all__ = ["Correction", "adjust", "reject_by_e_values"]

Correction = Literal["bh", "by", "holm", "none"]

_METHODS = {"bh": "fdr_bh", "by": "fdr_by"}


def adjust(p_values: Sequence[float | None], *, correction: Correction) -> list[float | None]:
    """Adjust the p-values of one family.

    Args:
        p_values: One per comparison; None where there is no result, which is not in the family.
        correction: ``bh`` (false discovery rate), ``by`` (likewise under any dependence), ``holm``
            (family-wise error) or ``none``.

    Returns:
        Adjusted p-values in the order given, None where there was none.

    Raises:
        ValueError: A p-value lies outside 0 … 1.
    """
    known = [p for p in p_values if p is not None]
    if any(math.isnan(p) or not 0 <= p <= 1 for p in known):
        message = f"p-values lie between 0 and 1: {known}"
        raise ValueError(message)
    if len(known) < 2 or correction == "none":
        return list(p_values)
    adjusted = iter(_holm(known) if correction == "holm" else _step_up(known, correction))
    return [None if p is None else next(adjusted) for p in p_values]


def reject_by_e_values(
    e_values: Sequence[float | None], *, alpha: float, correction: Correction
) -> list[bool]:
    """Say which nulls of one family the current e-values reject.

    e-BH rejects the k* largest, k* the greatest k with e_(k) ≥ K/(k·alpha). It keeps the false
    discovery rate under any dependence, so that it stands for ``bh`` and ``by`` alike. 1/e is a
    p-value, so that ``holm`` keeps the family-wise error and ``none`` each test's own.

    Args:
        e_values: One per comparison, infinite allowed; None where there is no result, which is not
            in the family.
        alpha: The error rate.
        correction: What the YAML asks for.

    Returns:
        Whether each is rejected, False where there is no e-value.

    Raises:
        ValueError: An e-value is negative or NaN.
    """
    known = [e for e in e_values if e is not None]
    if any(math.isnan(e) or e < 0 for e in known):
        message = f"e-values are not negative: {known}"
        raise ValueError(message)
    if correction in {"bh", "by"}:
        ranked = sorted(known, reverse=True)
        enough = [e for rank, e in enumerate(ranked, start=1) if e * rank * alpha >= len(ranked)]
        least = min(enough, default=math.inf)
        return [e is not None and bool(enough) and e >= least for e in e_values]
    p_values = [None if e is None else 1 / max(e, 1.0) for e in e_values]
    adjusted = adjust(p_values, correction=correction)
    return [p is not None and p <= alpha for p in adjusted]


def _step_up(p_values: list[float], correction: Literal["bh", "by"]) -> list[float]:
    # statsmodels carries no types.
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    return [float(p) for p in multipletests(p_values, method=_METHODS[correction])[1]]


def _holm(p_values: list[float]) -> list[float]:
    """Return Holm's adjusted p-values; statsmodels collects garbage at every call, 0.2 s each."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
