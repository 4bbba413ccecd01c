"""Which creatives of a product a variant may show, and which it may not and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import CreativeChoice
from abplatform.traffic.registry import Review

__all__ = ["Admission", "Lineup", "admission", "baseline_lineups", "birth_week", "lineups"]

Admission = Callable[[Lineage], str | None]
"""Says why a creative may not be shown, None when it may."""


@dataclass(frozen=True, slots=True)
class Lineup:
    """The creatives of one product that one variant has.

    Args:
        eligible: Those that may be shown, in the order in which they were made.
        excluded: Those that may not, to the reason: ``rejected``, ``pending_review`` ….
    """

    eligible: tuple[str, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)


def birth_week(moment: datetime, zone: ZoneInfo) -> str:
    """Return the ISO week whose creatives an experiment shows: the one in which it started."""
    year, number, _ = moment.astimezone(zone).isocalendar()
    return f"{year}-W{number:02d}"


def admission(
    reviews: Mapping[str, Review],
    approval: Literal["rules", "human"],
    refused: Callable[[Lineage], str | None] = lambda _: None,
) -> Admission:
    """Return what lets creatives into traffic.

    Args:
        reviews: Creative to its newest review.
        approval: ``human`` admits generated creatives only once a person has approved them.
        refused: Says why a creative is refused whatever reviews say, such as ``withdrawn``.
    """

    def admit(lineage: Lineage) -> str | None:
        review = reviews.get(lineage.creative_id)
        if reason := refused(lineage):
            return reason
        if review is not None and review.decision == "rejected":
            return "rejected"
        if review is None and approval == "human" and lineage.source == "generated":
            return "pending_review"
        return None

    return admit


def baseline_lineups(creatives: Iterable[Lineage], admit: Admission) -> dict[str, Lineup]:
    """Return every product's original baselines."""
    return _by_product((one for one in creatives if one.source == "baseline"), admit)


def lineups(
    creatives: Iterable[Lineage],
    choice: CreativeChoice,
    admit: Admission,
    *,
    week: str,
    checkpoint: str | None = None,
) -> dict[str, Lineup]:
    """Return a variant's creatives by product.

    Generated ones are those made in the experiment's week; where a product has none, those that
    were made without a week, as `abp generate` makes them.

    Args:
        creatives: All there are, in the order of making.
        choice: What the variant shows.
        admit: What lets them into traffic.
        week: The ISO week in which the experiment's creatives were made.
        checkpoint: The sha256 of the model that screened them; None where none did.
    """
    if choice.source == "baseline":
        return baseline_lineups(creatives, admit)
    drawn = [one for one in creatives if one.source == "generated"]
    mine = [one for one in drawn if checkpoint is None or checkpoint in one.checkpoints.values()]
    born = _by_product((one for one in mine if one.week == week), admit, most=choice.per_product)
    others = _by_product((one for one in drawn if one.week is None), admit, most=choice.per_product)
    return {**others, **born}


def _by_product(
    creatives: Iterable[Lineage], admit: Admission, most: int | None = None
) -> dict[str, Lineup]:
    """Gather by product; of each at most so many, whether or not they are admitted."""
    gathered: dict[str, list[Lineage]] = {}
    for one in creatives:
        gathered.setdefault(one.product_id, []).append(one)
    found = {}
    for product_id, made in gathered.items():
        reasons = {one.creative_id: admit(one) for one in made[:most]}
        found[product_id] = Lineup(
            tuple(name for name, reason in reasons.items() if reason is None),
            {name: reason for name, reason in reasons.items() if reason is not None},
        )
    return found
