"""Numbers that a person states, in place of what the logs say or where no log says anything."""

from __future__ import annotations

from dataclasses import dataclass, replace

from abplatform.analysis.planning.growth import Growth, UnitFacts, grow_evenly
from abplatform.stats.power import share_unit_variance

__all__ = ["Stated", "restate"]


@dataclass(frozen=True, slots=True)
class Stated:
    """What a person states; None leaves a number to the logs.

    Args:
        rate: The control's rate, 0 … 1.
        units_per_day: New units a day in all variants.
        per_unit: Impressions, or what else the metric divides by, per unit.
        design_effect: Variance by unit over variance by independent impression.
    """

    rate: float | None = None
    units_per_day: float | None = None
    per_unit: float | None = None
    design_effect: float | None = None

    @property
    def anything(self) -> bool:
        """Whether any number is stated."""
        stated = (self.rate, self.units_per_day, self.per_unit, self.design_effect)
        return any(value is not None for value in stated)


def restate(seen: Growth | None, stated: Stated) -> Growth | None:
    """Return how units gather with what is stated in place of what was seen.

    Args:
        seen: From a log; None where none says enough.
        stated: Stated numbers, of a metric that is a share.

    Returns:
        The growth; None when neither says how many units come and at which rate they click.
    """
    if seen is None and (stated.rate is None or stated.units_per_day is None):
        return None
    if not stated.anything:
        return seen
    facts = _facts(seen.facts if seen else None, stated)
    if stated.units_per_day is not None:
        return grow_evenly(facts, units_per_day=stated.units_per_day)
    if seen is None:
        return None
    factor = seen.facts.unit_variance / facts.unit_variance
    worth = replace(seen.worth, seen=tuple(value * factor for value in seen.worth.seen))
    return replace(seen, worth=worth, facts=facts)


def _facts(seen: UnitFacts | None, stated: Stated) -> UnitFacts:
    rate = stated.rate or (seen.rate if seen else 0.0)
    per_unit = stated.per_unit or (seen.per_unit if seen else 1.0)
    effect = stated.design_effect or (seen.design_effect if seen else None) or 1.0
    return UnitFacts(
        rate=rate,
        per_unit=per_unit,
        unit_variance=share_unit_variance(rate, per_unit=per_unit, design_effect=effect),
        event_share=1 - (1 - rate) ** per_unit,
    )
