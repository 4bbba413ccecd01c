"""Experiments, their variants, layers and phases, and the rules they keep.

Everything here is already valid: :mod:`abplatform.domain.spec` reads YAML, names the line of every
mistake and builds these types only when there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from abplatform.domain.catalog import CreativeSource
from abplatform.domain.metrics import METRICS, Direction
from abplatform.domain.targeting import Condition

__all__ = [
    "LEARNING_POLICIES",
    "UNIT_NOUNS",
    "Analysis",
    "Approval",
    "Assigned",
    "Breakdown",
    "BreakdownBy",
    "BucketRange",
    "CreativeChoice",
    "Cuped",
    "EventWindows",
    "Experiment",
    "Gate",
    "Guardrail",
    "Layer",
    "Learning",
    "Phase",
    "Policy",
    "PolicyName",
    "PolicyRule",
    "PrimaryMetric",
    "RampStep",
    "State",
    "Test",
    "Unit",
    "Variant",
    "Verdict",
    "VerdictRules",
]

Unit = Literal["user_id", "request_id", "product_id"]
Assigned = Literal["platform", "external"]
Test = Literal["sequential", "anytime", "fixed"]
BreakdownBy = Literal["category", "segment", "channel", "country", "bots"]
Gate = Literal["srm", "guardrails"]
PolicyName = Literal["uniform", "thompson", "contextual", "reward", "rules"]

LEARNING_POLICIES: frozenset[PolicyName] = frozenset({"thompson", "contextual", "reward"})
"""Policies that rest on a snapshot of what is known, and change as more is."""

UNIT_NOUNS: Mapping[str, str] = {
    "user_id": "users",
    "request_id": "requests",
    "product_id": "products",
}
"""What people call units, in the plural."""


class State(StrEnum):
    """Where an experiment stands; the journal holds every change."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DECIDED = "decided"


class Verdict(StrEnum):
    """What an experiment says. Earlier members win over later ones."""

    INVALID = "invalid"
    REJECT = "reject"
    SHIP = "ship"
    NO_DIFFERENCE = "no_difference"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Layer:
    """Experiments of one layer never share a unit.

    Args:
        name: The layer; a private one bears the experiment's key.
        share: How much of the layer this experiment takes, 0 … 1.
    """

    name: str
    share: float = 1.0

    @property
    def salt(self) -> str:
        """What the layer's slot is hashed with."""
        return f"layer:{self.name}"


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """Where a context is as described, creatives of certain scenes are preferred.

    Args:
        when: Name to condition, as in targeting; empty holds everywhere.
        prefer: Allowed words by name in the creative's scene, such as ``surface``.
    """

    when: Mapping[str, Condition]
    prefer: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Policy:
    """How a variant chooses among its eligible creatives.

    Args:
        choose: The policy's name, one of :data:`PolicyName`.
        floor: The least share of traffic that is drawn uniformly, 0 … 1.
        rules: In their order, where ``choose`` is ``rules``.
    """

    choose: PolicyName = "uniform"
    floor: float = 0.0
    rules: tuple[PolicyRule, ...] = ()


@dataclass(frozen=True, slots=True)
class CreativeChoice:
    """Which creatives a variant shows.

    Args:
        source: ``baseline`` or ``generated``.
        generator: The generator's name, None for baselines.
        checkpoint: An alias or a sha256, None for baselines.
        per_product: How many creatives a product gets.
        follow: ``champion`` if a later promotion shall open a new phase.
    """

    source: CreativeSource
    generator: str | None = None
    checkpoint: str | None = None
    per_product: int = 1
    follow: Literal["champion"] | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the things that are compared.

    Args:
        name: Unique in its experiment.
        weight: Its share of the experiment's units, in percent.
        control: Whether the others are compared with it.
        creatives: Which creatives it shows; None when the log alone knows.
        policy: How it chooses among them.
    """

    name: str
    weight: float
    control: bool = False
    creatives: CreativeChoice | None = None
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class RampStep:
    """A stretch of time at one share of traffic.

    Args:
        traffic: Share of the experiment's units that are exposed, 0 … 1.
        hold: How long it lasts at least; None for the last step.
        gate: What must be in order before the next step.
    """

    traffic: float
    hold: timedelta | None = None
    gate: tuple[Gate, ...] = ()


@dataclass(frozen=True, slots=True)
class EventWindows:
    """Until when events count.

    Args:
        attribution_window: From impression to click.
        conversion_window: From click, or from a unit's first exposure, to conversion.
        refund_window: From conversion to refund.
        late_data: How late an event may arrive before its row is final.
        bots: Whether flagged units stay in the scorecard.
    """

    attribution_window: timedelta = timedelta(hours=24)
    conversion_window: timedelta = timedelta(days=7)
    refund_window: timedelta = timedelta(0)
    late_data: timedelta = timedelta(hours=72)
    bots: Literal["exclude", "include"] = "exclude"


@dataclass(frozen=True, slots=True)
class PrimaryMetric:
    """The metric that decides.

    Args:
        metric: A name in :data:`abplatform.domain.metrics.METRICS`.
        direction: What is better.
        mde: The smallest relative lift worth having, or None.
    """

    metric: str
    direction: Direction = "increase"
    mde: float | None = None


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A metric that must not get worse.

    Args:
        metric: A name in :data:`abplatform.domain.metrics.METRICS`.
        non_inferiority_margin: The largest relative loss that is tolerated, or None.
        min: The least absolute rate of the treatment, or None.
    """

    metric: str
    non_inferiority_margin: float | None = None
    min: float | None = None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A cut of the scorecard, one lift per slice.

    Args:
        by: The dimension.
        level: Depth of the category path; 1 is the top.
        correction: How p-values of one family are adjusted.
        shrink: Whether lifts are shown shrunk towards the overall one.
    """

    by: BreakdownBy = "category"
    level: int = 1
    correction: Literal["bh", "by", "holm", "none"] = "bh"
    shrink: bool = True


@dataclass(frozen=True, slots=True)
class Cuped:
    """Where the pre-period totals come from: a window of own logs, or impression attributes."""

    window: timedelta | None = None
    numerator: str | None = None
    denominator: str | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """How the primary metric is tested.

    Args:
        test: The plan.
        alpha: Two-sided error rate of the primary metric.
        cuped: Pre-period covariates, or None.
        min_runtime: No verdict before it.
        max_runtime: The last look.
    """

    test: Test = "sequential"
    alpha: float = 0.05
    cuped: Cuped | None = None
    min_runtime: timedelta = timedelta(days=7)
    max_runtime: timedelta = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class VerdictRules:
    """Conditions in the verdict grammar of :mod:`abplatform.domain.spec`."""

    ship: str = "primary.wins and guardrails.hold"
    reject: str = "primary.loses or guardrails.harmed"
    no_difference: str = "primary.within_mde"


@dataclass(frozen=True, slots=True)
class Approval:
    """Who lets generated creatives into traffic where nobody has reviewed them.

    Args:
        by: ``human``: nobody but a person; ``rules``: what the inspector let through and the
            following holds for.
        min_fit: The least fit of product and background that the inspector found, 0 … 1.
        min_win: The least predicted chance to win over the baseline, of what was screened, 0 … 1.
        channels: Where the rules let in; empty: in every channel.
        countries: Likewise, ISO 3166 codes.
    """

    by: Literal["rules", "human"] = "rules"
    min_fit: float = 0.0
    min_win: float = 0.0
    channels: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Learning:
    """What an ended experiment teaches.

    Args:
        scope: Which creatives may be compared with each other.
        min_p_win: Pairs below it are left out, 0.5 … 1.
        retrain: When the reward model learns from it.
    """

    scope: tuple[str, ...] = ("product", "category")
    min_p_win: float = 0.5
    retrain: Literal["weekly", "never"] = "weekly"


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment as its YAML says.

    Args:
        key: Unique in the workspace.
        variants: In the YAML's order; exactly one is the control.
        primary: The metric that decides.
        owner: The team that answers for it.
        hypothesis: One sentence that can turn out false.
        layer: Where it runs; a private layer by default.
        unit: What is randomised and analysed.
        assignment: ``external`` when the log says who saw what.
        targeting: Name to condition; empty admits everyone.
        forced: Variant to units that always get it and are not compared.
        approval: Who lets creatives into traffic.
        ramp: Steps of traffic; the last one stays.
        events: Until when events count.
        guardrails: Metrics that must not get worse.
        breakdowns: Cuts of the scorecard.
        analysis: How the primary metric is tested.
        verdict: When to ship, reject or call it even.
        learning: What it teaches once it has ended.
    """

    key: str
    variants: tuple[Variant, ...]
    primary: PrimaryMetric
    owner: str | None = None
    hypothesis: str | None = None
    layer: Layer | None = None
    unit: Unit = "user_id"
    assignment: Assigned = "platform"
    targeting: Mapping[str, Condition] = field(default_factory=dict)
    forced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    approval: Approval = field(default_factory=Approval)
    ramp: tuple[RampStep, ...] = (RampStep(traffic=1.0),)
    events: EventWindows = field(default_factory=EventWindows)
    guardrails: tuple[Guardrail, ...] = ()
    breakdowns: tuple[Breakdown, ...] = (Breakdown(),)
    analysis: Analysis = field(default_factory=Analysis)
    verdict: VerdictRules = field(default_factory=VerdictRules)
    learning: Learning = field(default_factory=Learning)

    def __post_init__(self) -> None:
        """Refuse what the YAML reader would have named by line."""
        controls = [variant.name for variant in self.variants if variant.control]
        names = {variant.name for variant in self.variants}
        if len(controls) != 1 or len(names) != len(self.variants):
            message = f"{self.key}: needs distinct variants with one control, has {controls}"
            raise ValueError(message)

    @property
    def control(self) -> Variant:
        """The variant that the others are compared with."""
        return next(variant for variant in self.variants if variant.control)

    @property
    def treatments(self) -> tuple[Variant, ...]:
        """Every variant but the control, in the YAML's order."""
        return tuple(variant for variant in self.variants if not variant.control)

    @property
    def weights(self) -> dict[str, float]:
        """Variant to percent of units, in the YAML's order."""
        return {variant.name: variant.weight for variant in self.variants}

    def direction_of(self, metric: str) -> Direction:
        """Return what is better: as the YAML says of its primary metric, else as the metric says.

        Args:
            metric: A name in :data:`abplatform.domain.metrics.METRICS`.
        """
        if metric == self.primary.metric:
            return self.primary.direction
        return METRICS[metric].direction

    @property
    def own_layer(self) -> Layer:
        """The layer it runs in: its own word for it, else a private one named by the key."""
        return self.layer or Layer(self.key)


@dataclass(frozen=True, slots=True, order=True)
class BucketRange:
    """Buckets ``low`` (included) to ``high`` (excluded), within 0 … 2³²."""

    low: int
    high: int

    def __contains__(self, bucket: int) -> bool:
        """Whether the bucket lies inside."""
        return self.low <= bucket < self.high


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time with one allocation: facts in the journal, never recomputed.

    Args:
        number: Counted from 1 within the experiment.
        starts_at: When it began, with a time zone.
        ends_at: When it ended, or None while it lasts.
        slots: The layer's buckets that belong to the experiment.
        exposure: The ramp buckets that are exposed.
        variants: Variant to its bucket ranges.
        weights: Variant to percent of units in this phase.
    """

    number: int
    starts_at: datetime
    ends_at: datetime | None
    slots: tuple[BucketRange, ...]
    exposure: BucketRange
    variants: Mapping[str, tuple[BucketRange, ...]]
    weights: Mapping[str, float]
