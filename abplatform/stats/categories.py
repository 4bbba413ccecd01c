"""Many comparisons at once: p-values adjusted so that a family's error rate holds.

References:
    Benjamini, Y., Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B 57(1).
    Benjamini, Y., Yekutieli, D. (2001). The control of the FDR under dependency. Ann. Stat. 29(4).
    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Stat. 6(2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

__all__ = ["Correction", "adjust"]

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
