"""One decision: eligible → variant → policy → record, as a ``decision`` event of the wire.

A decision is a pure function of the config, the request, the decision's id and the moment: whoever
has these four gets the same record, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from abplatform.domain.assignment import Assignment, assign
from abplatform.domain.catalog import Lineage
from abplatform.domain.events import CURRENT_SCHEMA, Assigned
from abplatform.domain.targeting import Context
from abplatform.traffic.approval import Place
from abplatform.traffic.config import Config, ServedExperiment
from abplatform.traffic.lineup import Lineup, line_up
from abplatform.traffic.policies import Choice, Policy, Uniform, choose
from abplatform.traffic.policies.remembering import remembered
from abplatform.traffic.record import (
    MOST_PRODUCTS,
    Allocation,
    DecisionRecord,
    PolicyUsed,
    Request,
    RequestContext,
    impression_of,
    new_decision_id,
)

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

_OUTSIDE: Final = Uniform()
_NO_LINEUP: Final = Lineup()


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
    place = Place(asked.channel, asked.country, at)
    lineup = _lineup(config, stands, products, place)
    policy, floor = stands.policy, stands.floor
    choice = choose(policy, context, lineup.eligible, floor=floor, decision_id=decision_id)
    made = config.creatives[choice.creative_id] if choice else None
    product_id = made.product_id if made else next(iter(products), None)
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
        **(_shown(choice, made, lineup) if choice and made else _HELD),
    )


_HELD: Final = {"action": "hold"}


def _shown(choice: Choice, made: Lineage, lineup: Lineup) -> dict[str, Any]:
    """Tell what a record says of a creative that is shown."""
    return {
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


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a unit stands: in a variant of an experiment, in none of its variants, or nowhere."""

    reason: str
    served: ServedExperiment | None = None
    assignment: Assignment | None = None
    variant: str | None = None

    def own(self, product_id: str, place: Place) -> Lineup:
        """Return the variant's own creatives of a product."""
        if self.served is None or self.variant is None:
            return _NO_LINEUP
        names = self.served.stocks.get(self.variant, {}).get(product_id, ())
        return line_up(names, self.served.excluded, self.served.clauses, place)

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


_NOWHERE: Final = _Standing("fallback")


def _place(config: Config, request: Request, context: Context) -> _Standing:
    """Ask the experiment, or the layer's experiments until the unit's slot belongs to one."""
    found = _NOWHERE
    for key in _asked(config, request):
        served = config.experiments[key]
        given = assign(served.plan, request.unit_id, context)
        forced = request.force.get(key)
        if forced in served.plan.phase.variants and served.plan.running:
            return _Standing("forced", served, given, forced)
        found = _Standing(given.reason, served, given, given.variant)
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


def _lineup(config: Config, stands: _Standing, products: Sequence[str], place: Place) -> Lineup:
    """What may be shown of these products: a variant's own creatives, else the baselines."""
    if len(products) == 1:
        return _of_product(config, stands, products[0], place)
    each = [_of_product(config, stands, product_id, place) for product_id in products]
    return Lineup(
        tuple(name for lineup in each for name in lineup.eligible),
        {name: why for lineup in each for name, why in lineup.excluded.items()},
    )


def _of_product(config: Config, stands: _Standing, product_id: str, place: Place) -> Lineup:
    mine = stands.own(product_id, place)
    if mine.eligible:
        return mine
    base = line_up(config.baselines.get(product_id, ()), config.excluded, config.clauses, place)
    return Lineup(base.eligible, {**base.excluded, **mine.excluded}) if mine.excluded else base


def _scores(config: Config, eligible: tuple[str, ...]) -> tuple[float | None, ...]:
    if not config.scores:
        return ()
    return tuple(config.scores.get(name) for name in eligible)


@remembered
def _stratum(eligible: tuple[str, ...], probabilities: tuple[float, ...]) -> str:
    """Name a set of creatives and their probabilities: 16 hex digits of a sha256."""
    return sha256(repr((eligible, probabilities)).encode()).hexdigest()[:16]
