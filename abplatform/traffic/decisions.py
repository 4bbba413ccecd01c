"""One decision: eligible → variant → policy → record, as a ``decision`` event of the wire.

A decision is a pure function of the config, the request, the decision's id and the moment: whoever
has these four gets the same record, bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from abplatform.domain.assignment import Assignment, assign
from abplatform.domain.events import CURRENT_SCHEMA, Assigned, Attributes, Impression, Name
from abplatform.domain.targeting import Context
from abplatform.traffic.config import Config, ServedExperiment
from abplatform.traffic.lineup import Lineup, line_up
from abplatform.traffic.policies import Policy, Uniform, choose
from abplatform.traffic.policies.remembering import remembered

__all__ = [
    "MOST_PRODUCTS",
    "Allocation",
    "DecisionRecord",
    "PolicyUsed",
    "Request",
    "RequestContext",
    "decide",
    "impression_of",
    "new_decision_id",
]

MOST_PRODUCTS: Final = 100
"""From so many products at most one creative is chosen; of a category, the catalogue's first."""

_OUTSIDE: Final = Uniform()
_NO_LINEUP: Final = Lineup()


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


def decide(config: Config, request: Request, *, decision_id: str, at: datetime) -> DecisionRecord:
    """Decide what one unit sees.

    A unit outside the experiment sees the product's original baselines and has no assignment; so
    does everybody while experiments are halted or the one that is asked for is unknown.

    Args:
        config: All that decides.
        request: Who asks, about what.
        decision_id: See :func:`new_decision_id`; every draw comes from it.
        at: Now, with a time zone.

    Raises:
        ValueError: ``unit_id`` holds a lone surrogate, so it has no UTF-8 form.
    """
    asked = request.context
    # Named twice, a product's creatives would be eligible twice, each with half of its chance.
    products = tuple(dict.fromkeys(asked.product_ids)) or _products_of(config, asked.category)
    known = (config.categories[name] for name in products if name in config.categories)
    category = asked.category or next(known, None)
    context = _flat(asked, category)
    stands = _place(config, request, context)
    lineup = _lineup(config, stands, products)
    policy, floor = stands.policy, stands.floor
    choice = choose(policy, context, lineup.eligible, floor=floor, decision_id=decision_id)
    product_id = products[0] if products else None
    chosen: dict[str, Any] = {"action": "hold"}
    if choice:
        made = config.creatives[choice.creative_id]
        product_id = made.product_id
        chosen = {
            "action": "show",
            "creative_id": choice.creative_id,
            "generator": {"renderer": made.renderer, **made.checkpoints},
            "probabilities": choice.probabilities,
            "propensity": choice.propensity,
            "propensity_kind": "exact",
            "explored": choice.explored,
            "draw": choice.draw,
            "floor_draw": choice.floor_draw,
            "stratum": _stratum(lineup.eligible, choice.probabilities),
        }
    shown_category = config.categories.get(product_id or "", category)
    return DecisionRecord(
        schema=CURRENT_SCHEMA,
        event_id=decision_id,
        decision_id=decision_id,
        ts=at,
        unit_id=request.unit_id,
        request_id=request.request_id,
        assignments=stands.assignments,
        reason=stands.reason,
        allocation=stands.allocation,
        policy=PolicyUsed(name=policy.name, snapshot=policy.snapshot, floor=floor),
        channel=asked.channel,
        placement=asked.placement,
        country=asked.country,
        segment=asked.segment,
        attributes=asked.attributes,
        product_id=product_id,
        category=shown_category,
        asked_category=category if category != shown_category else None,
        eligible=lineup.eligible,
        excluded=lineup.excluded,
        scores=_scores(config, lineup.eligible),
        config=config.version,
        **chosen,
    )


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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a unit stands: in a variant of an experiment, in none of its variants, or nowhere."""

    reason: str
    served: ServedExperiment | None = None
    assignment: Assignment | None = None
    variant: str | None = None

    def own(self, product_id: str) -> Lineup:
        """Return the variant's own creatives of a product."""
        if self.served is None or self.variant is None:
            return _NO_LINEUP
        names = self.served.stocks.get(self.variant, {}).get(product_id, ())
        return line_up(names, self.served.excluded)

    @property
    def policy(self) -> Policy:
        """What chooses; outside of experiments every baseline is equally likely."""
        if self.served is None or self.variant is None:
            return _OUTSIDE
        return self.served.policies[self.variant]

    @property
    def floor(self) -> float:
        """The share that is drawn uniformly."""
        if self.served is None or self.variant is None:
            return 0.0
        return self.served.floors[self.variant]

    @property
    def assignments(self) -> list[Assigned]:
        """The variant on the wire, or none."""
        if self.served is None or self.variant is None:
            return []
        return [Assigned(self.served.plan.experiment_key, self.variant)]

    @property
    def allocation(self) -> Allocation | None:
        """How that came."""
        if self.served is None or self.assignment is None:
            return None
        return Allocation(
            experiment=self.served.plan.experiment_key,
            layer=self.served.plan.layer_name,
            spec_sha256=self.served.spec_sha256,
            phase=self.assignment.phase,
            layer_bucket=self.assignment.layer_bucket,
            bucket=self.assignment.bucket,
        )


_NOWHERE: Final = _Place("fallback")


def _place(config: Config, request: Request, context: Context) -> _Place:
    """Ask the experiment, or the layer's experiments until the unit's slot belongs to one."""
    found = _NOWHERE
    for key in _asked(config, request):
        served = config.experiments[key]
        given = assign(served.plan, request.unit_id, context)
        forced = request.force.get(key)
        if forced in served.plan.phase.variants and served.plan.running:
            return _Place("forced", served, given, forced)
        found = _Place(given.reason, served, given, given.variant)
        if given.reason != "layer":
            break
    return found


def _asked(config: Config, request: Request) -> tuple[str, ...]:
    """The experiments that may decide: none while they are halted."""
    if config.halted:
        return ()
    if request.experiment is not None:
        return (request.experiment,) if request.experiment in config.experiments else ()
    return config.layers.get(request.layer or "", ())


def _products_of(config: Config, category: str | None) -> tuple[str, ...]:
    return config.products.get(category or "", ())[:MOST_PRODUCTS]


def _flat(asked: RequestContext, category: str | None) -> Context:
    """What targeting and policies are told; the platform's own words win over attributes."""
    own = {
        "category": category,
        "country": asked.country,
        "channel": asked.channel,
        "placement": asked.placement,
        "segment": asked.segment,
    }
    return {**asked.attributes, **{name: value for name, value in own.items() if value is not None}}


def _lineup(config: Config, stands: _Place, products: Sequence[str]) -> Lineup:
    """What may be shown of these products: a variant's own creatives, else the baselines."""
    if len(products) == 1:
        return _of_product(config, stands, products[0])
    each = [_of_product(config, stands, product_id) for product_id in products]
    return Lineup(
        tuple(name for lineup in each for name in lineup.eligible),
        {name: why for lineup in each for name, why in lineup.excluded.items()},
    )


def _of_product(config: Config, stands: _Place, product_id: str) -> Lineup:
    mine = stands.own(product_id)
    if mine.eligible:
        return mine
    base = line_up(config.baselines.get(product_id, ()), config.excluded)
    return Lineup(base.eligible, {**base.excluded, **mine.excluded}) if mine.excluded else base


def _scores(config: Config, eligible: tuple[str, ...]) -> tuple[float | None, ...]:
    if not config.scores:
        return ()
    return tuple(config.scores.get(name) for name in eligible)


@remembered
def _stratum(eligible: tuple[str, ...], probabilities: tuple[float, ...]) -> str:
    """Name a set of creatives and their probabilities: 16 hex digits of a sha256."""
    return sha256(repr((eligible, probabilities)).encode()).hexdigest()[:16]
