"""A scorecard in words: the verdict in one sentence, numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from abplatform.analysis.scorecard import (
    LiftEstimate,
    Scorecard,
    Standing,
    TakenLook,
    TreatmentFacts,
)
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
    "reasons_beside",
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
        f"{word} {lift.treatment}: {_told(scorecard, lift)}, "
        f"{_evidence(scorecard, experiment, lift)}.{_harm(scorecard, verdict, lift.treatment)}"
    )


def reasons_beside(scorecard: Scorecard, sentence: str) -> list[str]:
    """Return the verdict's reasons that its sentence does not hold already.

    Args:
        scorecard: Judged.
        sentence: The verdict in one sentence.
    """
    given = scorecard.decision.reasons if scorecard.decision else ()
    return [reason for reason in given if reason not in sentence]


def unit_noun(scorecard: Scorecard, experiment: Experiment) -> str:
    """Return what is counted as a unit, in the plural."""
    codes = {note.code for note in scorecard.warnings}
    if codes & _WITHOUT_UNITS:
        return "impressions"
    return UNIT_NOUNS[experiment.unit]


_WITHOUT_UNITS = {"variance_assumes_independent_impressions", "variance_from_day_rows"}


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
    return f"the rule ({rule}) holds for {lift.treatment}: {_told(scorecard, lift)}"


def _name(lift: LiftEstimate) -> str:
    return METRICS[lift.metric].title


def _told(scorecard: Scorecard, lift: LiftEstimate) -> str:
    """Tell a lift and its interval, after a decision those of the look that decided."""
    look = _deciding(scorecard, lift)
    relative = look.relative_lift if look else lift.relative_lift
    low, high = look.interval_shown if look else lift.interval_shown
    if relative is None:
        return f"{_name(lift)} changes (the interval is unbounded)"
    if METRICS[lift.metric].incremental:
        # Its lift is what comes back beyond what was spent: 0 breaks even.
        between_ends = _likely(low, high, lambda end: METRICS[lift.metric].write(1 + end))
        back = METRICS[lift.metric].write(1 + relative)
        return f"each 1 of additional cost brings {back} back {between_ends}"
    verb = "rises" if relative >= 0 else "falls"
    return f"{_name(lift)} {verb} by {abs(relative):.1%} {_likely(low, high, percent)}"


def _likely(low: float | None, high: float | None, write: Callable[[float], str]) -> str:
    if high is None:
        return f"(likely above {write(low)})" if low is not None else "(the interval is unbounded)"
    return (
        f"(likely between {write(low)} and {write(high)})"
        if low is not None
        else (f"(likely below {write(high)})")
    )


def _deciding(scorecard: Scorecard, lift: LiftEstimate) -> TakenLook | None:
    looks = (look for look in scorecard.looks if look.treatment == lift.treatment)
    return next((look for look in looks if look.decides and look.relative_lift is not None), None)


def _evidence(scorecard: Scorecard, experiment: Experiment, lift: LiftEstimate) -> str:
    look = _deciding(scorecard, lift)
    if look is not None and look.relative_lift != lift.relative_lift:
        return f"decided on the data up to {look.day}"
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
    told, look = f"{lift.treatment}: {_told(scorecard, lift)}", scorecard.look
    if look.reached:
        return f"Undecided; {told}{_why_undecided(scorecard, lift)}."
    return f"{_STANDING[look.standing]}; {told} so far; {look.sentence}."


_STANDING: Mapping[Standing, str] = {
    "open": "Keep running",
    "draft": "Not started",
    "stopped": "Stopped too early to decide",
}


def _why_undecided(scorecard: Scorecard, lift: LiftEstimate) -> str:
    """Say what is lacking after the last look."""
    mine = _overall_facts(scorecard, lift.treatment)
    if mine is None or not (mine.wins or mine.loses):
        return ", which is neither a win, a loss nor a draw; there are no more looks"
    word = "a win" if mine.wins else "a loss"
    open_guards = [guard.metric for guard in mine.guardrails if not guard.holds]
    if mine.wins and open_guards:
        named = ", ".join(dict.fromkeys(open_guards))
        return f", {word}, but {named} may be worse than tolerated"
    return f", {word}, but none of the rules of the YAML holds"


def _overall_facts(scorecard: Scorecard, treatment: str) -> TreatmentFacts | None:
    own = (facts for facts in scorecard.facts if facts.treatment == treatment)
    return next((facts for facts in own if facts.category is None), None)


def _plain(reason: str | None) -> str:
    return (reason or "no result").partition(": ")[2] or (reason or "no result")
