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

_METHODS: dict[str, str] = {"bh": "fdr_bh", "by": "fdr_by", "holm": "holm"}


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
    if not known or correction == "none":
        return list(p_values)
    # statsmodels carries no types.
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    adjusted = iter(multipletests(known, method=_METHODS[correction])[1])
    return [None if p is None else float(next(adjusted)) for p in p_values]
