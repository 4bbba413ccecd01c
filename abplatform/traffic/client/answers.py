"""What the service answers, as its clients see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from msgspec import Struct

from abplatform.domain.events import Assigned

__all__ = ["Decision", "Delivery", "Rejected", "ShownCreative"]


class ShownCreative(Struct, frozen=True, kw_only=True):
    """A creative to show.

    Args:
        id: Its content hash, or a name of the caller's own for a default.
        product_id: The product that it advertises.
        url: Where the picture is.
        text: The ad's text, if it has one.
    """

    id: str
    product_id: str | None = None
    url: str | None = None
    text: str | None = None


class Decision(Struct, frozen=True, kw_only=True):
    """What to show a unit; it is there whatever happened to the service.

    Args:
        action: ``show`` or ``hold``; where nothing is to be shown, hold the place.
        reason: ``assigned``, ``forced``, ``fallback``, or the first rule that excluded the unit.
        decision_id: None where the service did not answer.
        assignments: The unit's variant, or none.
        creative: What to show, None when held.
        propensity: The exact probability with which it was chosen.
        impression_url: Is to be fetched when it was seen.
        click_url: Is to be fetched when it was clicked.
        valid_until: It must not be shown later.
        problem: Why the answer is the caller's own default; None when the service answered.
    """

    action: Literal["show", "hold"]
    reason: str
    decision_id: str | None = None
    assignments: tuple[Assigned, ...] = ()
    creative: ShownCreative | None = None
    propensity: float | None = None
    impression_url: str | None = None
    click_url: str | None = None
    valid_until: datetime | None = None
    problem: str | None = None

    def variant(self, experiment: str) -> str | None:
        """Return the unit's variant in an experiment, None when it has none.

        Args:
            experiment: The experiment's key.
        """
        found = (one.variant for one in self.assignments if one.experiment == experiment)
        return next(found, None)


class Rejected(Struct, frozen=True):
    """An event that will never be taken in as it is.

    Args:
        index: Its place among those that were reported, from 0.
        reason: As in the receipts of ``abp ingest``.
    """

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """Events that reached the disk of the service.

    Args:
        received: How many were reported.
        acknowledged: How many are kept for good.
        rejected: The others.
    """

    received: int
    acknowledged: int
    rejected: tuple[Rejected, ...] = ()
