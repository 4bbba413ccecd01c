"""What is asked of a decision, and its record: a ``decision`` event that can be repeated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from abplatform.domain.events import CURRENT_SCHEMA, Assigned, Attributes, Impression, Name

__all__ = [
    "MOST_PRODUCTS",
    "Allocation",
    "DecisionRecord",
    "PolicyUsed",
    "Request",
    "RequestContext",
    "impression_of",
    "new_decision_id",
]

MOST_PRODUCTS: Final = 100
"""From so many products at most one creative is chosen; of a category, the catalogue's first."""


class RequestContext(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known about a request.

    Args:
        category: The path; by default that of the first product that the catalogue has.
        country: ISO 3166 code.
        channel: Such as ``app``.
        placement: Such as ``feed-3``.
        segment: The unit's.
        product_ids: What may be advertised; by default all products of the category.
        attributes: Whatever else targeting, policies or the analysis use, flat.
    """

    category: Name | None = None
    country: Name | None = None
    channel: Name | None = None
    placement: Name | None = None
    segment: Name | None = None
    product_ids: Annotated[list[Name], Meta(max_length=MOST_PRODUCTS)] = []
    attributes: Attributes = {}


class Request(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody asks what to show a unit here.

    Args:
        unit_id: Who will see it.
        experiment: The experiment that decides; or
        layer: the layer, in which the unit's slot says which experiment decides.
        request_id: The caller's own id.
        context: What is known.
        force: Experiment to variant, for looking at it: such decisions are not compared.
    """

    unit_id: Name
    experiment: Name | None = None
    layer: Name | None = None
    request_id: Name | None = None
    context: RequestContext = RequestContext()
    force: dict[Name, Name] = {}


class Allocation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a unit got its variant, or why it got none.

    Args:
        experiment: The experiment.
        layer: Its layer.
        spec_sha256: Of the YAML in force.
        phase: Counted from 1.
        layer_bucket: The unit's bucket in the layer, 0 … 2³²-1.
        bucket: Its bucket in the experiment, 0 … 2³²-1.
    """

    experiment: str
    layer: str
    spec_sha256: str
    phase: int
    layer_bucket: int
    bucket: int


class PolicyUsed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What chose: its name in the YAML, its snapshot's sha256, its floor."""

    name: str
    snapshot: str | None = None
    floor: float = 0.0


class DecisionRecord(
    Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event_type", tag="decision"
):
    """A ``decision`` event with everything that repeats it; DESIGN's names, see the contracts.

    Args:
        decision_id: UUIDv7, also the ``event_id``.
        ts: The moment.
        assignments: The variant, or none.
        reason: ``assigned``, ``forced``, ``fallback``, or the first rule that excluded the unit.
        allocation: How that came; None where nothing was found to ask.
        policy: What chose among the eligible.
        asked_category: The one that targeting and policy were told, where it is not the product's.
        eligible: Creative ids; ``probabilities`` and ``scores`` have their order.
        excluded: Creatives that were not eligible, to the reason.
        probabilities: With which each was to be chosen, floor included.
        propensity: The chosen one's.
        draw: The number that chose, 0 … 1.
        floor_draw: The number that decided between floor and policy.
        stratum: Decisions of one stratum have the same eligible creatives and probabilities.
        generator: Renderer and models of the chosen creative.
        scores: The reward model's, where it has scored; null for a creative it has not.
        config: The version of what decided.
    """

    schema: Literal[1]
    event_id: str
    decision_id: str
    ts: datetime
    unit_id: str
    request_id: str | None = None
    assignments: list[Assigned]
    action: Literal["show", "hold"]
    reason: str
    allocation: Allocation | None = None
    policy: PolicyUsed | None = None
    channel: str | None = None
    placement: str | None = None
    country: str | None = None
    segment: str | None = None
    attributes: Attributes = {}
    product_id: str | None = None
    category: str | None = None
    asked_category: str | None = None
    eligible: tuple[str, ...] = ()
    excluded: Mapping[str, str] = {}
    probabilities: tuple[float, ...] = ()
    propensity: float | None = None
    propensity_kind: Literal["exact"] | None = None
    explored: bool = False
    draw: float | None = None
    floor_draw: float | None = None
    stratum: str | None = None
    creative_id: str | None = None
    generator: dict[str, str] = {}
    scores: tuple[float | None, ...] = ()
    config: str


def new_decision_id(at: datetime) -> str:
    """Return a new UUIDv7: ids ascend with time (RFC 9562, 5.7).

    Args:
        at: Now, with a time zone.
    """
    milliseconds = int(at.timestamp() * 1000) & (1 << 48) - 1
    luck = int.from_bytes(os.urandom(10), "big")
    high, low = luck >> 68, luck & (1 << 62) - 1
    number = milliseconds << 80 | 0x7 << 76 | (high & 0xFFF) << 64 | 0b10 << 62 | low
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def impression_of(record: DecisionRecord) -> Impression | None:
    """Return the impression that a shown decision leads to; None for one that held.

    It bears the decision's moment and an id made of the decision's, so that however often it is
    reported, and to whichever replica, it is one event.
    """
    if record.creative_id is None or record.product_id is None:
        return None
    known = {"assigned", "forced", "holdout"}
    return Impression(
        schema=CURRENT_SCHEMA,
        event_id=f"{record.decision_id}-i",
        ts=record.ts,
        unit_id=record.unit_id,
        assignments=record.assignments,
        creative_id=record.creative_id,
        product_id=record.product_id,
        category=record.category or "unknown",
        decision_id=record.decision_id,
        channel=record.channel,
        placement=record.placement,
        country=record.country,
        segment=record.segment,
        propensity=record.propensity,
        explored=record.explored or None,
        stratum=record.stratum,
        reason=record.reason if record.reason in known else "fallback",  # type: ignore[arg-type]
        attributes=record.attributes or None,
    )
