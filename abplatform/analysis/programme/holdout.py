"""The cumulative lift: everyone else against the units kept on original baselines for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from abplatform.analysis.programme.record import HoldoutLift
from abplatform.analysis.scorecard.lifts import relative_fields
from abplatform.analysis.scorecard.totals import NOBODY
from abplatform.logs.holdout import read_holdout
from abplatform.logs.store.answering import Store
from abplatform.stats.ratio import RatioSums, Undetermined, contrast
from abplatform.stats.srm import chi_square

__all__ = ["measure_holdout"]

_SUMS = ("units", "n", "k", "nn", "kk", "kn", "n_units", "k_units")

_NOTE = (
    "everyone else saw whatever was live: shipped creatives and every variant of running "
    "experiments, controls included; only days in which the holdout was served are compared"
)


def measure_holdout(warehouse: Store, *, planned_share: float, alpha: float = 0.05) -> HoldoutLift:
    """Compare CTR by the unit-clustered Fieller test, final impressions only.

    Args:
        warehouse: The open store.
        planned_share: What abp.yaml holds out now, 0 … 1.
        alpha: Two-sided error rate of the interval.
    """
    lift = HoldoutLift(planned_share=planned_share)
    frame = read_holdout(warehouse)
    if frame is None:
        return replace(lift, undetermined=_why_none(planned_share))
    sides = {row["side"]: row for row in frame.iter_rows(named=True)}
    control, others = _sums(sides.get("holdout")), _sums(sides.get("others"))
    present = [row for row in sides.values() if row["side"] != "both"]
    lift = replace(
        lift,
        units_holdout=control.units,
        units_others=others.units,
        units_both=_sums(sides.get("both")).units,
        rate_holdout=control.rate,
        rate_others=others.rate,
        first_at=_moment(min((row["first_micros"] for row in present), default=None)),
        last_at=_moment(max((row["last_micros"] for row in present), default=None)),
        note=_note(planned_share, control.units, others.units),
    )
    found = contrast(control, others, alpha=alpha, share=True)
    if isinstance(found, Undetermined):
        told = found.reason.replace("control", "the holdout").replace("treatment", "the rest")
        return replace(lift, undetermined=told)
    return replace(lift, **relative_fields(found))


def _why_none(planned_share: float) -> str:
    if planned_share:
        return (
            f"no_holdout: abp.yaml holds out {100 * planned_share:.3g}% of all units, but no final "
            "impression carries `reason: holdout` yet; log them for units that `abp assign` "
            "answers with holdout"
        )
    return (
        "no_holdout: nobody is kept on original baselines; write `holdout: 2%` into abp.yaml "
        "before the next start, and from then on the lift of all that is shipped can be measured"
    )


def _note(planned_share: float, held: int, others: int) -> str:
    """Say what is compared, and whether the holdout has the size that abp.yaml plans."""
    planned = {"holdout": planned_share, "others": 1 - planned_share}
    test = chi_square({"holdout": held, "others": others}, planned)
    if not planned_share or isinstance(test, Undetermined) or not test.alarm:
        return _NOTE
    return (
        f"{_NOTE}; the log's holdout is {held / (held + others):.2%} of all units where abp.yaml "
        f"plans {planned_share:.2%} (p = {test.p_value:.2g}): unless that share was changed, "
        "units are lost on one side, and the lift cannot be trusted"
    )


def _sums(row: dict[str, Any] | None) -> RatioSums:
    return RatioSums(*(int(row[name]) for name in _SUMS)) if row else NOBODY


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else datetime.fromtimestamp(micros / 1e6, UTC)
