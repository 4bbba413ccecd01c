"""Which creatives of a product a variant may show, and which it may not and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import CreativeChoice
from abplatform.traffic.approval import Clauses, Place, why_not

__all__ = [
    "Lineup",
    "Stock",
    "baseline_stock",
    "birth_week",
    "line_up",
    "stock_of",
]

Stock = Mapping[str, tuple[str, ...]]
"""Product to the creatives that were made of it for one variant, admitted or not."""


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


def baseline_stock(creatives: Iterable[Lineage]) -> Stock:
    """Return every product's original baselines, in the order of making."""
    return _by_product(one for one in creatives if one.source == "baseline")


def stock_of(
    creatives: Iterable[Lineage],
    choice: CreativeChoice,
    *,
    week: str,
    checkpoint: str | None = None,
) -> Stock:
    """Return a variant's creatives by product, at most so many as its YAML asks for.

    Generated ones are those made in the experiment's week; where a product has none, those that
    were made without a week, as `abp generate` makes them.

    Args:
        creatives: All there are, in the order of making.
        choice: What the variant shows.
        week: The ISO week in which the experiment's creatives were made.
        checkpoint: The sha256 of the model that screened them; None where none did.
    """
    if choice.source == "baseline":
        return baseline_stock(creatives)
    drawn = [one for one in creatives if one.source == "generated"]
    mine = (one for one in drawn if checkpoint is None or checkpoint in one.checkpoints.values())
    found = {
        **_by_product(one for one in drawn if one.week is None),
        **_by_product(one for one in mine if one.week == week),
    }
    return {product_id: names[: choice.per_product] for product_id, names in found.items()}


def line_up(
    names: tuple[str, ...],
    excluded: Mapping[str, str],
    clauses: Mapping[str, Clauses] | None = None,
    place: Place | None = None,
) -> Lineup:
    """Return which of some creatives may be shown.

    Args:
        names: In the order of making.
        excluded: Creatives that may not be shown anywhere, to the reason.
        clauses: Creatives that may be shown at some places or for some time, to what was said.
        place: Where and when; needed where there are clauses.
    """
    if clauses and place is not None and not clauses.keys().isdisjoint(names):
        told = {n: why_not(clauses[n], place) for n in names if n in clauses}
        excluded = {**excluded, **{name: why for name, why in told.items() if why is not None}}
    if excluded.keys().isdisjoint(names):
        return Lineup(names)
    return Lineup(
        tuple(name for name in names if name not in excluded),
        {name: excluded[name] for name in names if name in excluded},
    )


def _by_product(creatives: Iterable[Lineage]) -> dict[str, tuple[str, ...]]:
    gathered: dict[str, list[str]] = {}
    for one in creatives:
        gathered.setdefault(one.product_id, []).append(one.creative_id)
    return {product_id: tuple(names) for product_id, names in gathered.items()}
