"""What the looks decided, and what the scorecard's lifts take from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from abplatform.analysis.scorecard.lifts import Compared
from abplatform.analysis.scorecard.pairwise import compare_treatments
from abplatform.analysis.scorecard.plans import LooksOf
from abplatform.analysis.scorecard.record import LiftEstimate, TreatmentFacts
from abplatform.analysis.scorecard.rulings import gather_facts, open_facts
from abplatform.analysis.scorecard.strata import CorrectedLift, PairwiseLift
from abplatform.analysis.scorecard.taken import (
    EstimateAtDecision,
    JudgedLift,
    Outcome,
    TakenLook,
)
from abplatform.analysis.scorecard.winners import correct_winners
from abplatform.domain.experiment import Experiment
from abplatform.stats.anytime import monitor
from abplatform.stats.ratio import Undetermined
from abplatform.stats.sequential import Plan, PlanKind

__all__ = [
    "collect_corrected",
    "collect_facts",
    "collect_pairs",
    "fill_from_looks",
    "in_order",
    "judged_lift",
    "monitor_lifts",
    "place_of",
    "settle",
]

Judge = Callable[[datetime], Sequence[Compared]]
"""Moment to what the final rows up to it say, families adjusted."""


def settle(
    experiment: Experiment, looks: LooksOf, judge: Judge, *, log_end: datetime | None = None
) -> dict[str, list[TakenLook]]:
    """Give every deciding look its outcome; those that have one keep it.

    Args:
        experiment: Names metrics and rules.
        looks: Treatment to its looks.
        judge: Asked once a moment.
        log_end: The decision look of an experiment that was assigned elsewhere, the log's end.
    """
    known: dict[datetime, Sequence[Compared]] = {}
    settled = {}
    for treatment, taken in looks.items():
        settled[treatment] = [*taken]
        if not taken or not taken[-1].decides or taken[-1].outcome is not None:
            continue
        at = log_end or taken[-1].at
        if at not in known:
            known[at] = judge(at)
        found = _with_outcome(experiment, taken[-1], known[at])
        if _is_last_to_decide(taken[-1], looks) and found.outcome is not None:
            pairs = compare_treatments(experiment, known[at], decided=True)
            found = replace(found, outcome=replace(found.outcome, pairs=pairs))
        settled[treatment][-1] = found
    return settled


def collect_facts(
    experiment: Experiment, looks: LooksOf, *, waiting: str
) -> tuple[TreatmentFacts, ...]:
    """Return what the rules may ask: facts of decided treatments, harm of the others.

    Nothing, while nothing is decided and nobody harmed.

    Args:
        experiment: Names the treatments.
        looks: Treatment to its looks, settled.
        waiting: What an open treatment waits for.
    """
    last = {name: taken[-1] for name, taken in looks.items() if taken}
    if not any(look.outcome or look.harmed for look in last.values()):
        return ()
    facts: list[TreatmentFacts] = []
    for variant in experiment.treatments:
        look = last.get(variant.name)
        if look is not None and look.outcome is not None:
            facts += look.outcome.facts
        else:
            facts.append(open_facts(variant.name, waiting, look.harmed if look else {}))
    # Overall facts first; the sort is stable.
    return tuple(sorted(facts, key=lambda one: one.category is not None))


def collect_pairs(looks: LooksOf) -> tuple[PairwiseLift, ...]:
    """Return the treatments against each other as the last deciding look found them.

    Args:
        looks: Treatment to its looks, settled.
    """
    outcomes = (taken[-1].outcome for taken in looks.values() if taken)
    return next((outcome.pairs for outcome in outcomes if outcome and outcome.pairs), ())


def collect_corrected(looks: LooksOf) -> tuple[CorrectedLift, ...]:
    """Return what the deciding looks called significant, corrected for that.

    Args:
        looks: Treatment to its looks, settled.
    """
    outcomes = (taken[-1].outcome for taken in looks.values() if taken)
    return tuple(lift for outcome in outcomes if outcome for lift in outcome.corrected)


def monitor_lifts(
    experiment: Experiment, compared: Iterable[Compared], plan: Plan
) -> list[Compared]:
    """Fill what the confidence sequence of each lift says now.

    Args:
        experiment: Names the primary metric.
        compared: Of every row asked for.
        plan: Brings alpha of the primary metric, and what sequences are tuned to.
    """
    return [_monitored(one, experiment, plan) for one in compared]


def fill_from_looks(
    experiment: Experiment, compared: Iterable[Compared], looks: LooksOf
) -> tuple[LiftEstimate, ...]:
    """Return the lifts with what the looks found and decided.

    Args:
        experiment: Names the primary metric.
        compared: Of every row asked for.
        looks: Treatment to its looks, settled.
    """
    last = {name: taken[-1] for name, taken in looks.items() if taken}
    judged = {
        (name, *place_of(lift)): lift
        for name, look in last.items()
        if look.outcome is not None
        for lift in look.outcome.lifts
    }
    lifts = []
    for one in compared:
        lift, look = one.lift, last.get(one.lift.treatment)
        ruling = judged.get((lift.treatment, *place_of(judged_lift(one))))
        if ruling is not None:
            lift = replace(lift, p_adjusted=ruling.p_adjusted, significant=ruling.significant)
        elif look is not None and look.outcome is not None:
            # A slice that did not exist at the decision look is in no family.
            lift = replace(lift, p_adjusted=None, significant=False)
        if look is not None and one.cut is None and lift.metric == experiment.primary.metric:
            lift = _with_look(lift, look)
        lifts.append(lift)
    return tuple(lifts)


def in_order(looks: LooksOf) -> tuple[TakenLook, ...]:
    """Return all looks in order of time and then of treatments."""
    return tuple(
        sorted((look for taken in looks.values() for look in taken), key=lambda look: look.at)
    )


def _with_outcome(experiment: Experiment, look: TakenLook, judged: Sequence[Compared]) -> TakenLook:
    mine = [
        _by_plan(one, experiment, look) for one in judged if one.lift.treatment == look.treatment
    ]
    outcome = Outcome(
        facts=gather_facts(experiment, mine, look),
        lifts=tuple(judged_lift(one) for one in mine),
        corrected=tuple(_corrected(experiment, judged, look.treatment)),
    )
    own = (lift for lift in outcome.corrected if lift.breakdown is None)
    winner = next((lift for lift in own if lift.metric == experiment.primary.metric), None)
    estimate = _as_winner(look.estimate, winner) if look.estimate and winner else look.estimate
    return replace(look, outcome=outcome, estimate=estimate)


def _as_winner(found: EstimateAtDecision, mine: CorrectedLift) -> EstimateAtDecision:
    """Return a winner of the fixed test as corrected for having won; no look explains that."""
    return replace(
        found,
        median_unbiased=mine.median_unbiased,
        low=mine.low,
        high=mine.high,
        method=mine.method,
        undetermined=mine.undetermined,
    )


def _is_last_to_decide(look: TakenLook, looks: LooksOf) -> bool:
    """Whether every treatment has decided by the end of this look's day."""
    return all(taken and taken[-1].decides and taken[-1].at <= look.at for taken in looks.values())


def _corrected(
    experiment: Experiment, judged: Sequence[Compared], treatment: str
) -> Iterator[CorrectedLift]:
    primary, by_looks = experiment.primary.metric, experiment.analysis.test != "fixed"
    for lift in correct_winners(experiment, judged):
        # Where many looks share alpha, the primary lift was picked by them: see the estimate.
        by_plan = by_looks and lift.breakdown is None and lift.metric == primary
        if lift.treatment == treatment and not by_plan:
            yield lift


def _by_plan(one: Compared, experiment: Experiment, look: TakenLook) -> Compared:
    """Let the plan answer for the primary metric: its looks share alpha, one p-value does not."""
    if one.cut is not None or one.lift.metric != experiment.primary.metric:
        return one
    p_adjusted = one.lift.p_adjusted if experiment.analysis.test == "fixed" else None
    lift = replace(one.lift, p_adjusted=p_adjusted, significant=look.row.crossed)
    return replace(one, lift=lift)


def judged_lift(one: Compared) -> JudgedLift:
    """Return what the decision says of one lift, as it is kept."""
    lift = one.lift
    return JudgedLift(
        metric=lift.metric,
        breakdown=lift.breakdown,
        depth=one.cut.level if one.cut else None,
        level=lift.level,
        p_adjusted=lift.p_adjusted,
        significant=lift.significant,
    )


def place_of(lift: JudgedLift) -> tuple[str, str | None, int | None, str | None]:
    """Return which lift of a treatment it is."""
    return lift.metric, lift.breakdown, lift.depth, lift.level


def _with_look(lift: LiftEstimate, look: TakenLook) -> LiftEstimate:
    row = look.row
    return replace(
        lift,
        sequential_low=look.sequential_low,
        sequential_high=look.sequential_high,
        sequential_p=look.sequential_p,
        look=row.look,
        information_fraction=row.information_fraction,
        boundary=row.boundary,
        alpha_spent=row.alpha_spent,
        decided_at=look.at if look.decides else None,
        significant=row.crossed,
    )


def _monitored(one: Compared, experiment: Experiment, plan: Plan) -> Compared:
    lift = one.lift
    primary = one.cut is None and lift.metric == experiment.primary.metric
    shared = primary and plan.kind is not PlanKind.FIXED
    view = monitor(
        one.contrast,
        event_units=one.event_units,
        alpha=plan.alpha if shared else experiment.analysis.alpha,
        tau2=plan.tau2,
    )
    if isinstance(view, Undetermined):
        return one
    filled = replace(
        lift,
        anytime_low=view.relative.low,
        anytime_high=view.relative.high,
        anytime_p=view.p_value,
        e_value=view.e_value,
    )
    return replace(one, lift=filled)
