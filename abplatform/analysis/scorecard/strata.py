"""What a scorecard says beyond single contrasts, as data.

Categories together, treatments against each other, winners corrected for having been picked. A
number that cannot be computed is None, and the reason stands beside it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

__all__ = ["CorrectedLift", "Heterogeneity", "PairwiseLift"]


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Do the categories of one contrast differ in their lift, and what do they have in common?

    Args:
        treatment: The variant.
        statistic: Wald statistic on the joint covariance.
        df: Its degrees of freedom.
        p_value: From F, or chi-square where variances are not estimated from units.
        tau2: Variance of the true log-lifts among categories (Paule-Mandel).
        pooled_lift: Relative lift within categories, their different traffic set aside.
        pooled_low: Of its interval.
        pooled_high: Of its interval.
        categories: How many it rests on.
        left_out: Categories that are not among them.
        undetermined: Why a number is missing, or None.
        others: The same of further treatments.
    """

    treatment: str
    statistic: float | None = None
    df: int | None = None
    p_value: float | None = None
    tau2: float | None = None
    pooled_lift: float | None = None
    pooled_low: float | None = None
    pooled_high: float | None = None
    categories: int = 0
    left_out: tuple[str, ...] = ()
    undetermined: str | None = None
    others: tuple[Heterogeneity, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the contract's object: of the first treatment, ``by_treatment`` of every one."""
        data = _without_others(self)
        if self.others:
            data["by_treatment"] = [_without_others(one) for one in (self, *self.others)]
        return data


def _without_others(one: Heterogeneity) -> dict[str, Any]:
    data = asdict(replace(one, others=()))
    del data["others"]
    # The four fields of the contract first.
    first = {name: data.pop(name) for name in ("statistic", "df", "p_value", "tau2")}
    return {**first, **data, "left_out": list(one.left_out)}


@dataclass(frozen=True, slots=True)
class PairwiseLift:
    """One treatment against another in one metric, everything together.

    Args:
        metric: The metric.
        base: The treatment that is compared with.
        treatment: The treatment that is compared.
        rate_base: Its rate, in the metric's scale.
        rate_treatment: Likewise.
        absolute_lift: Their difference.
        relative_lift: Their ratio less 1.
        ci_low: Of the fixed-horizon interval of ``relative_lift``.
        ci_high: Likewise.
        p_value: Fixed horizon, two-sided.
        log10_p: Its decimal logarithm.
        p_adjusted: By Holm over the pairs of one metric, at the decision look only.
        significant: Whether it is at most alpha.
        undetermined: Why a number is missing, or None.
    """

    metric: str
    base: str
    treatment: str
    rate_base: float | None = None
    rate_treatment: float | None = None
    absolute_lift: float | None = None
    relative_lift: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    log10_p: float | None = None
    p_adjusted: float | None = None
    significant: bool = False
    undetermined: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the scorecard's ``pairwise``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CorrectedLift:
    """A significant lift, corrected for having been reported because it is significant.

    Args:
        metric: The metric.
        treatment: The variant.
        breakdown: The cut, None for everything together.
        level: The slice, None for everything together.
        relative_lift: As estimated.
        conditional_mle: The conditional maximum-likelihood estimate of the relative lift.
        median_unbiased: As often too large as too small; None where the data do not bound it.
        low: Lower end of its interval given the selection; None where the data do not bound it.
        high: Upper end, likewise.
        method: What was corrected for.
        undetermined: Why a number is missing, or None.
    """

    metric: str
    treatment: str
    breakdown: str | None
    level: str | None
    relative_lift: float
    conditional_mle: float | None
    median_unbiased: float | None
    low: float | None
    high: float | None
    method: str
    undetermined: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the scorecard's corrected lifts."""
        return asdict(self)
