"""A scorecard in words: the verdict in one sentence, numbers as people read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from abplatform.analysis.scorecard import LiftEstimate, Scorecard
from abplatform.domain.experiment import UNIT_NOUNS, Experiment, Verdict
from abplatform.domain.metrics import METRICS
from abplatform.figures import Tone, interval_text, percent

__all__ = [
    "MISSING",
    "Line",
    "between",
    "describe_srm",
    "headline",
    "lines",
    "p_text",
    "primary_lifts",
    "rate_text",
    "unit_noun",
]

MISSING = "\N{EM DASH}"


def headline(scorecard: Scorecard, experiment: Experiment) -> str:
    """Return the verdict in one sentence that needs no knowledge of statistics."""
    decision = scorecard.decision
    verdict = decision.verdict if decision else Verdict.CONTINUE
    codes = {note.code for note in scorecard.warnings}
    if verdict is Verdict.INVALID:
        noun = unit_noun(scorecard, experiment)
        broken = f"its {noun} did not arrive in the planned shares, so no difference can be trusted"
        return f"Do not use this experiment: {scorecard.refused or broken}."
    if "no_traffic" in codes:
        return "Nothing to say yet: no traffic has been counted."
    lift = _telling_lift(scorecard, experiment)
    if lift is None:
        return "Nothing to say yet: the experiment has no treatment to compare."
    if verdict is Verdict.CONTINUE:
        return _open_sentence(scorecard, lift)
    if verdict is Verdict.NO_DIFFERENCE:
        return (
            f"No difference worth having: {_nearness(scorecard, experiment, lift)}, "
            f"{_evidence(scorecard, experiment, lift)}."
        )
    word = "Ship" if verdict is Verdict.SHIP else "Reject"
    return (
        f"{word} {lift.treatment}: {_movement(lift)} {_interval(lift)}, "
        f"{_evidence(scorecard, experiment, lift)}.{_harm(scorecard, verdict, lift.treatment)}"
    )


def unit_noun(scorecard: Scorecard, experiment: Experiment) -> str:
    """Return what is counted as a unit, in the plural."""
    codes = {note.code for note in scorecard.warnings}
    if "variance_assumes_independent_impressions" in codes:
        return "impressions"
    return UNIT_NOUNS[experiment.unit]


def _tone_of(lift: LiftEstimate, experiment: Experiment) -> Tone:
    """Return whether a lift is proven better, proven worse, open or missing."""
    if lift.p_value is None or lift.absolute_lift is None:
        return "missing"
    if not lift.significant:
        return "open"
    rises = experiment.direction_of(lift.metric) == "increase"
    return "better" if (lift.absolute_lift > 0) == rises else "worse"


@dataclass(frozen=True, slots=True)
class Line:
    """One lift as text, ready for any table.

    Args:
        lift: The lift itself.
        label: What it is about.
        tone: Whether it is proven.
        control: The control's rate.
        treatment: The treatment's rate.
        relative: The relative lift.
        interval: Its interval.
        p: The p-value that counts, adjusted where there is one.
        why: Why a number is missing, or an empty text.
    """

    lift: LiftEstimate
    label: str
    tone: Tone
    control: str
    treatment: str
    relative: str
    interval: str
    p: str
    why: str


def lines(scorecard: Scorecard, experiment: Experiment, *, metric: str | None = None) -> list[Line]:
    """Return the lifts of one metric (default the primary one) as text, overall first."""
    wanted = metric or experiment.primary.metric
    return [_line(lift, experiment) for lift in scorecard.lifts if lift.metric == wanted]


def primary_lifts(scorecard: Scorecard) -> Iterator[LiftEstimate]:
    """Yield the primary metric's lifts without a breakdown, one per treatment."""
    first = scorecard.lifts[0].metric if scorecard.lifts else None
    for lift in scorecard.lifts:
        if lift.metric == first and lift.breakdown is None:
            yield lift


def rate_text(metric: str, value: float | None) -> str:
    """Write a rate, a dash where there is none."""
    return MISSING if value is None else METRICS[metric].write(value)


def describe_srm(scorecard: Scorecard) -> str:
    """Say how units arrived against the plan."""
    return f"{scorecard.srm.verdict}: {scorecard.srm.sentence}"


def _line(lift: LiftEstimate, experiment: Experiment) -> Line:
    treatments = len(experiment.treatments) > 1
    label = lift.level or ("all" if lift.breakdown else "All traffic")
    if lift.breakdown and lift.breakdown != "category":
        label = f"{lift.breakdown}: {label}"
    known = lift.p_value is not None
    return Line(
        lift=lift,
        label=f"{label} · {lift.treatment}" if treatments else label,
        tone=_tone_of(lift, experiment),
        control=rate_text(lift.metric, lift.rate_control),
        treatment=rate_text(lift.metric, lift.rate_treatment),
        relative=MISSING if lift.relative_lift is None else percent(lift.relative_lift),
        interval=interval_text(*lift.interval_shown) if known else MISSING,
        p=p_text(lift.p_shown),
        why=lift.undetermined or "",
    )


def p_text(p: float | None) -> str:
    """Write a p-value, a dash where there is none."""
    if p is None:
        return MISSING
    if p >= 1:
        # The sequential p-value is only searched for below this; see stats/sequential.
        return "> 0.6"
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def between(low: float | None, high: float | None) -> str:
    """Write the interval of a lift, a dash where neither end is known."""
    if low is None and high is None:
        return MISSING
    return interval_text(low, high)


def _telling_lift(scorecard: Scorecard, experiment: Experiment) -> LiftEstimate | None:
    """Return the lift that the verdict is about: the best of those that have this very verdict."""
    lifts = list(primary_lifts(scorecard))
    decision = scorecard.decision
    alike = {
        treatment
        for treatment, verdict in (decision.by_treatment if decision else {}).items()
        if decision and verdict is decision.verdict
    }
    sign = 1 if experiment.primary.direction == "increase" else -1
    return max(
        [lift for lift in lifts if lift.treatment in alike] or lifts,
        key=lambda lift: (lift.significant, sign * (lift.relative_lift or 0.0)),
        default=None,
    )


def _nearness(scorecard: Scorecard, experiment: Experiment, lift: LiftEstimate) -> str:
    """Say how near the two are, or the team's own rule where that asks for something else."""
    within = any(
        facts.within_mde
        for facts in scorecard.facts
        if facts.category is None and facts.treatment == lift.treatment
    )
    mde = experiment.primary.mde
    if within and mde is not None:
        return f"{_name(lift)} of {lift.treatment} is within {mde:.1%} of {lift.control}"
    rule = experiment.verdict.no_difference
    return f"the rule ({rule}) holds for {lift.treatment}: {_movement(lift)} {_interval(lift)}"


def _name(lift: LiftEstimate) -> str:
    return METRICS[lift.metric].title


def _movement(lift: LiftEstimate) -> str:
    if lift.relative_lift is None:
        return f"{_name(lift)} changes"
    verb = "rises" if lift.relative_lift >= 0 else "falls"
    return f"{_name(lift)} {verb} by {abs(lift.relative_lift):.1%}"


def _interval(lift: LiftEstimate) -> str:
    low, high = lift.interval_shown
    if low is None or high is None:
        return "(the interval is unbounded)"
    return f"(likely between {percent(low)} and {percent(high)})"


def _evidence(scorecard: Scorecard, experiment: Experiment, lift: LiftEstimate) -> str:
    units = lift.units_control + lift.units_treatment
    return f"measured on {units:,} {unit_noun(scorecard, experiment)}"


def _harm(scorecard: Scorecard, verdict: Verdict, treatment: str) -> str:
    if verdict is not Verdict.REJECT:
        return ""
    harmed = [
        guard.metric
        for facts in scorecard.facts
        if facts.category is None and facts.treatment == treatment
        for guard in facts.guardrails
        if guard.harmed
    ]
    return f" Harmed: {', '.join(dict.fromkeys(harmed))}." if harmed else ""


def _open_sentence(scorecard: Scorecard, lift: LiftEstimate) -> str:
    if lift.p_value is None:
        return f"Nothing to say yet: {_plain(lift.undetermined)}."
    so_far = f"{lift.treatment}: {_movement(lift)} {_interval(lift)} so far"
    if not scorecard.look.reached:
        return f"Keep running; {so_far}; {scorecard.look.sentence}."
    return f"Undecided; {so_far}, and the data allow neither a win, a loss nor a draw."


def _plain(reason: str | None) -> str:
    return (reason or "no result").partition(": ")[2] or (reason or "no result")
