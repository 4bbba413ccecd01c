"""The one look at reports: what it decided is kept, whatever a network restates afterwards.

Networks restate recent days. Until the look, the newest numbers count; from then on a restated
report changes the lifts shown and is warned of, never the verdict: who may test again with every
revision rejects more often than alpha says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.lifts import Compared
from abplatform.analysis.scorecard.looks import Run
from abplatform.analysis.scorecard.outcomes import judged_lift, place_of
from abplatform.analysis.scorecard.record import (
    EstimateAtDecision,
    LiftEstimate,
    Look,
    TakenLook,
    TreatmentFacts,
    Warned,
)
from abplatform.analysis.scorecard.taken import Outcome
from abplatform.analysis.scorecard.winners import correct_winners
from abplatform.domain.experiment import Experiment
from abplatform.stats.sequential import LookRow

__all__ = ["decided_lifts", "kept_looks", "note_restated", "take_report_looks"]


def kept_looks(run: Run, look: Look) -> tuple[TakenLook, ...]:
    """Return what the journal holds of the look at reports, one entry a treatment.

    Args:
        run: Brings the journal's looks.
        look: Where the plan stands; before the look nothing is kept.
    """
    if not look.reached:
        return ()
    return tuple(
        TakenLook.from_journal(data, treatment=treatment, day=kept.day, at=kept.at)
        for kept in run.looks
        for treatment, data in kept.treatments.items()
    )


def take_report_looks(
    experiment: Experiment,
    judged: Sequence[Compared],
    facts: Sequence[TreatmentFacts],
    look: Look,
    *,
    run: Run,
    zone: ZoneInfo,
) -> tuple[TakenLook, ...]:
    """Return the look at reports as it is kept; none of an experiment that needs no start.

    Args:
        experiment: Names the primary metric.
        judged: What the verdict rests on, families adjusted.
        facts: What the rules may ask.
        look: Where the plan stands.
        run: How the experiment ran.
        zone: Where a workspace day ends.
    """
    if run.started_at is None or look.at is None:
        return ()
    last = (look.at - timedelta.resolution).astimezone(zone).date()
    number = (last - run.started_at.astimezone(zone).date()).days + 1
    corrected = correct_winners(experiment, judged)
    found = []
    for one in judged:
        lift = one.lift
        if lift.breakdown is not None or lift.metric != experiment.primary.metric:
            continue
        mine = [each for each in judged if each.lift.treatment == lift.treatment]
        estimate = EstimateAtDecision(
            treatment=lift.treatment,
            look=1,
            day=last,
            relative_lift=lift.relative_lift,
            ci_low=lift.ci_low,
            ci_high=lift.ci_high,
            median_unbiased=None,
            low=None,
            high=None,
            method="fixed horizon",
            undetermined="one_look: a single look needs no correction for stopping",
        )
        found.append(
            TakenLook(
                treatment=lift.treatment,
                day=last,
                at=look.at,
                row=_row(experiment, lift, number),
                estimate=estimate,
                outcome=Outcome(
                    facts=tuple(fact for fact in facts if fact.treatment == lift.treatment),
                    lifts=tuple(judged_lift(each) for each in mine),
                    corrected=tuple(row for row in corrected if row.treatment == lift.treatment),
                ),
            )
        )
    return tuple(found)


def decided_lifts(
    compared: Iterable[Compared], looks: Iterable[TakenLook]
) -> tuple[LiftEstimate, ...]:
    """Return the lifts of now with what the look said of their significance.

    Args:
        compared: Of the reports as they stand.
        looks: One a treatment, each with its outcome.
    """
    told = {
        (look.treatment, *place_of(lift)): lift
        for look in looks
        if look.outcome is not None
        for lift in look.outcome.lifts
    }
    lifts = []
    for one in compared:
        ruling = told.get((one.lift.treatment, *place_of(judged_lift(one))))
        p, significant = (ruling.p_adjusted, ruling.significant) if ruling else (None, False)
        lifts.append(replace(one.lift, p_adjusted=p, significant=significant))
    return tuple(lifts)


def note_restated(kept: Iterable[TreatmentFacts], fresh: Iterable[TreatmentFacts]) -> list[Warned]:
    """Warn where the reports as they stand would be judged otherwise than at the look.

    Args:
        kept: What the look said.
        fresh: What it would say today.
    """
    before = {(fact.treatment, fact.category): fact for fact in kept}
    return [
        Warned(
            "restated_after_the_decision",
            f"reports were restated after the look; on the numbers of today it would say: "
            f"{fact.sentence}; the verdict stays with what it said: {old.sentence}",
        )
        for fact in fresh
        if fact.category is None
        and (old := before.get((fact.treatment, None))) is not None
        and _answers(old) != _answers(fact)
    ]


def _answers(fact: TreatmentFacts) -> tuple[object, ...]:
    guards = tuple((guard.metric, guard.holds, guard.harmed) for guard in fact.guardrails)
    return fact.wins, fact.loses, fact.within_mde, guards


def _row(experiment: Experiment, lift: LiftEstimate, number: int) -> LookRow:
    known = lift.absolute_lift is not None and lift.se_absolute
    alpha = experiment.analysis.alpha
    return LookRow(
        look=1,
        day=number,
        information=None,
        information_fraction=1.0,
        z=lift.absolute_lift / lift.se_absolute if known else None,  # type: ignore[operator]  # known
        boundary=None,
        alpha_here=alpha,
        alpha_spent=alpha,
        relative_lift=lift.relative_lift,
        skipped=lift.undetermined,
        crossed=lift.significant,
        last=True,
    )
