"""From a scorecard to a verdict with its reasons, by the rules that the YAML states.

Earlier verdicts win: invalid > reject > ship > no_difference > continue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard import (
    CreativeComparison,
    Decision,
    Question,
    Run,
    Scorecard,
    TreatmentFacts,
    measure,
    measure_many,
)
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import Experiment, Verdict
from abplatform.domain.verdict_rules import Rule, parse_rule
from abplatform.logs.store.answering import Store

__all__ = ["SURE", "Decision", "analyze", "analyze_many", "judge"]

_rule = cache(parse_rule)

SURE = 0.975
"""A creative is called better than another from this p_win on, and worse below 1 less it."""

_UTC = ZoneInfo("UTC")


def analyze(
    warehouse: Store,
    experiment: Experiment,
    *,
    run: Run,
    question: Question | None = None,
    lineage: Mapping[str, Lineage] | None = None,
    zone: ZoneInfo = _UTC,
) -> Scorecard:
    """Measure one experiment and judge it.

    Args:
        warehouse: The open store.
        experiment: As its YAML says.
        run: How it ran.
        question: What the reader wants to know; default everything up to now.
        lineage: Creative to how it was made; without it match_rate is undetermined.
        zone: Where a workspace day ends.

    Returns:
        The scorecard with its ``decision``; its ``to_json()`` is what ``abp analyze`` prints.
    """
    scorecard = measure(
        warehouse, experiment, run=run, question=question, lineage=lineage, zone=zone
    )
    scorecard = replace(scorecard, refused=run.refused)
    return replace(scorecard, decision=judge(scorecard, experiment))


def analyze_many(
    warehouse: Store,
    experiments: Mapping[str, Experiment],
    *,
    runs: Callable[[str], Run],
    question: Question | None = None,
    zone: ZoneInfo = _UTC,
    advance: Callable[[int, int], None] | None = None,
) -> Iterator[Scorecard]:
    """Measure and judge thousands of experiments that come as pre-aggregated reports.

    Args:
        warehouse: The open store.
        experiments: Key to experiment.
        runs: Key to how it ran.
        question: What the reader wants to know.
        zone: Where a workspace day ends.
        advance: Told how many are done.
    """
    measured = measure_many(
        warehouse, experiments, runs=runs, question=question, zone=zone, advance=advance
    )
    for measured_one in measured:
        experiment = experiments[measured_one.experiment]
        scorecard = replace(measured_one, refused=runs(experiment.key).refused)
        yield replace(scorecard, decision=judge(scorecard, experiment))


def judge(scorecard: Scorecard, experiment: Experiment) -> Decision:
    """Apply the verdict rules to a scorecard.

    With several treatments the experiment ships as soon as one of them does, and is rejected only
    when all are.

    Args:
        scorecard: Measured, not yet judged.
        experiment: Holds the rules.
    """
    if scorecard.refused is not None:
        said = f"a person said not to use it: {scorecard.refused}"
        return _invalid(scorecard, (said,), why="not to be used")
    if scorecard.srm.verdict == "alarm":
        return _invalid(scorecard, _mismatch(scorecard), why="sample ratio mismatch")
    overall = [facts for facts in scorecard.facts if facts.category is None]
    judged = [(facts, _apply(facts, experiment)) for facts in overall]
    verdict = _combine([verdict for _, verdict in judged])
    if judged:
        reasons = tuple(
            reason for facts, one in judged for reason in _reasons(facts, one, experiment)
        )
    else:
        reasons = _why_open(scorecard)
    return Decision(
        verdict=verdict,
        reasons=reasons,
        by_category=tuple(_by_category(scorecard, experiment)),
        by_creative=tuple(_by_creative(one) for one in scorecard.creatives),
        by_treatment={facts.treatment: one for facts, one in judged},
    )


def _mismatch(scorecard: Scorecard) -> tuple[str, ...]:
    """Say how the split is broken."""
    srm = scorecard.srm
    where = f" in segment {', '.join(srm.segments)}" if srm.segments and not srm.fired_on else ""
    return (
        f"sample ratio mismatch{where}: {srm.sentence}",
        "no lift can be trusted; check how the variant that stands out is assigned and logged",
        f"`abp srm {scorecard.experiment} --diagnose` names the likely stage and a remedy",
    )


def _invalid(scorecard: Scorecard, reasons: tuple[str, ...], *, why: str) -> Decision:
    return Decision(
        verdict=Verdict.INVALID,
        reasons=reasons,
        by_category=tuple(
            {
                "category": lift.category,
                "treatment": lift.treatment,
                "verdict": Verdict.INVALID.value,
                "reason": why,
            }
            for lift in _category_lifts(scorecard)
        ),
    )


def _category_lifts(scorecard: Scorecard) -> Iterator[Any]:
    primary = scorecard.lifts[0].metric if scorecard.lifts else None
    for lift in scorecard.lifts:
        if lift.breakdown == "category" and lift.metric == primary:
            yield lift


def _apply(facts: TreatmentFacts, experiment: Experiment) -> Verdict:
    known = {
        "primary.wins": facts.wins,
        "primary.loses": facts.loses,
        "primary.within_mde": facts.within_mde,
        "guardrails.hold": all(guard.holds for guard in facts.guardrails),
        "guardrails.harmed": any(guard.harmed for guard in facts.guardrails),
    }
    rules = experiment.verdict
    for text, verdict in (
        (rules.reject, Verdict.REJECT),
        (rules.ship, Verdict.SHIP),
        (rules.no_difference, Verdict.NO_DIFFERENCE),
    ):
        if _holds(_rule(text), known, decided=facts.decided):
            return verdict
    return Verdict.CONTINUE


def _holds(rule: Rule, known: Mapping[str, bool], *, decided: bool) -> bool:
    """Whether a rule holds; before the decision, whether it does so whatever will be decided.

    Only harm is known by then. That a test has not rejected yet is no finding, so that no rule with
    a ``not`` may rest on it.
    """
    harmed = {"guardrails.harmed", "guardrails.hold"} if known["guardrails.harmed"] else set()
    open_facts = [] if decided else sorted(rule.facts - harmed)
    return all(
        rule.holds({**known, **dict(zip(open_facts, answers, strict=True))})
        for answers in product((False, True), repeat=len(open_facts))
    )


def _combine(verdicts: list[Verdict]) -> Verdict:
    if Verdict.SHIP in verdicts:
        return Verdict.SHIP
    if verdicts and all(verdict is Verdict.REJECT for verdict in verdicts):
        return Verdict.REJECT
    if verdicts and Verdict.CONTINUE not in verdicts:
        return Verdict.NO_DIFFERENCE
    return Verdict.CONTINUE


def _reasons(facts: TreatmentFacts, verdict: Verdict, experiment: Experiment) -> Iterator[str]:
    yield facts.sentence
    yield from (guard.sentence for guard in facts.guardrails)
    rules = experiment.verdict
    fired = {
        Verdict.REJECT: rules.reject,
        Verdict.SHIP: rules.ship,
        Verdict.NO_DIFFERENCE: rules.no_difference,
    }
    if verdict in fired:
        yield f"{facts.treatment}: {verdict.value}, because the rule ({fired[verdict]}) holds"
    elif facts.decided:
        yield f"{facts.treatment}: no rule holds at the decision look, so nothing is decided"


def _why_open(scorecard: Scorecard) -> tuple[str, ...]:
    telling = {"no_traffic", "variant_without_traffic", "guardrail_harmed"}
    reasons = [note.message for note in scorecard.warnings if note.code in telling]
    if not scorecard.look.reached:
        reasons.append(scorecard.look.sentence)
    return tuple(reasons)


def _by_category(scorecard: Scorecard, experiment: Experiment) -> Iterator[dict[str, Any]]:
    judged: dict[tuple[str | None, str], list[TreatmentFacts]] = {}
    for facts in scorecard.facts:
        judged.setdefault((facts.category, facts.treatment), []).append(facts)
    for lift in _category_lifts(scorecard):
        # Two depths of the path may share a name; facts and lifts come in the same order.
        mine = judged.get((lift.category, lift.treatment))
        known = mine.pop(0) if mine else None
        verdict = _apply(known, experiment) if known else Verdict.CONTINUE
        yield {
            "category": lift.category,
            "treatment": lift.treatment,
            "verdict": verdict.value,
            "reason": known.sentence if known else scorecard.look.sentence,
        }


def _by_creative(one: CreativeComparison) -> dict[str, Any]:
    if one.p_win >= SURE:
        verdict = "better"
    elif one.p_win <= 1 - SURE:
        verdict = "worse"
    else:
        verdict = "unclear"
    return {
        "product_id": one.product_id,
        "category": one.category,
        "creative_id": one.creative_id,
        "variant": one.variant,
        "against": one.against,
        "verdict": verdict,
        "p_win": one.p_win,
        "impressions": one.impressions,
        "clicks": one.clicks,
        "impressions_against": one.impressions_against,
        "clicks_against": one.clicks_against,
        "strata": one.strata,
        "p_win_explored": one.p_win_explored,
    }
