"""Verdicts by the YAML's rules, on facts made by hand and on rows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from abplatform.analysis.scorecard import (
    CreativeComparison,
    GuardrailFact,
    Look,
    Run,
    Scorecard,
    SrmCheck,
    TreatmentFacts,
)
from abplatform.analysis.verdict import analyze, judge
from abplatform.domain.experiment import Guardrail, PrimaryMetric, Variant, Verdict, VerdictRules


def facts(treatment="generated", *, category=None, guards=(), **known):
    plain = {"wins": False, "loses": False, "within_mde": False}
    return TreatmentFacts(
        treatment=treatment,
        category=category,
        sentence="measured",
        guardrails=tuple(
            GuardrailFact("cvr", holds=holds, harmed=harmed, sentence="guarded")
            for holds, harmed in guards
        ),
        **{**plain, **known},
    )


@pytest.fixture
def card(start):
    return Scorecard(
        experiment="e",
        as_of=start,
        data_version="0" * 12,
        status="final",
        units=10,
        srm=SrmCheck({"baseline": 5, "generated": 5}, {}, 1.0, None, "ok"),
        lifts=(),
        warnings=(),
        look=Look(reached=True, sentence="decided"),
    )


@pytest.mark.parametrize("flags", list(product([False, True], repeat=5)))
def test_precedence_is_invalid_reject_ship_no_difference_continue(card, make, flags):
    """For every combination of facts, the earliest verdict whose rule holds is given."""
    broken, wins, loses, within, harmed = flags
    guards = [(not harmed, harmed)]
    known = facts(wins=wins, loses=loses, within_mde=within, guards=guards)
    srm = replace(card.srm, verdict="alarm" if broken else "ok", p_value=1e-9)
    verdict = judge(replace(card, facts=(known,), srm=srm), make()).verdict
    expected = [
        (broken, Verdict.INVALID),
        (loses or harmed, Verdict.REJECT),
        (wins and not harmed, Verdict.SHIP),
        (within, Verdict.NO_DIFFERENCE),
        (True, Verdict.CONTINUE),
    ]
    assert verdict is next(verdict for holds, verdict in expected if holds)


def test_a_guardrail_that_is_not_proven_to_hold_stops_shipping(card, make):
    """Neither harmed nor proven: a win is not shipped, and the reason names the guardrail."""
    decision = judge(replace(card, facts=(facts(wins=True, guards=[(False, False)]),)), make())
    assert decision.verdict is Verdict.CONTINUE
    assert "guarded" in decision.reasons


def test_the_rules_are_those_of_the_yaml(card, make):
    """A YAML that ships on equivalence gets that."""
    rules = VerdictRules(
        ship="primary.within_mde", reject="primary.wins", no_difference="primary.loses"
    )
    experiment = make(verdict=rules)
    assert judge(replace(card, facts=(facts(within_mde=True),)), experiment).verdict == "ship"
    assert judge(replace(card, facts=(facts(wins=True),)), experiment).verdict == "reject"


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ({"wins": True}, {"loses": True}, "ship"),
        ({"loses": True}, {"loses": True}, "reject"),
        ({"loses": True}, {"within_mde": True}, "no_difference"),
        ({"loses": True}, {}, "continue"),
    ],
)
def test_several_treatments_combine(card, make, first, second, verdict):
    """One winner ships, only losers reject, anything open goes on."""
    variants = (Variant("baseline", 50, control=True), Variant("a", 25), Variant("b", 25))
    judged = replace(card, facts=(facts("a", **first), facts("b", **second)))
    assert judge(judged, make(variants=variants)).verdict == verdict


@pytest.mark.parametrize(
    ("rules", "harmed", "verdict"),
    [
        (VerdictRules(no_difference="not primary.wins and not primary.loses"), False, "continue"),
        (VerdictRules(reject="not primary.wins"), False, "continue"),
        (VerdictRules(ship="primary.wins or not guardrails.harmed"), False, "continue"),
        (VerdictRules(reject="primary.loses or not guardrails.hold"), True, "reject"),
        (VerdictRules(reject="guardrails.harmed and not primary.wins"), True, "continue"),
    ],
)
def test_what_is_not_decided_yet_is_no_finding(card, make, rules, harmed, verdict):
    """Before the decision a rule with a `not` waits, unless harm settles it whatever comes."""
    open_still = replace(facts(guards=[(False, True)] if harmed else []), decided=False)
    assert judge(replace(card, facts=(open_still,)), make(verdict=rules)).verdict == verdict


@pytest.mark.parametrize(
    ("p_win", "verdict"), [(0.99, "better"), (0.5, "unclear"), (0.974, "unclear"), (0.01, "worse")]
)
def test_creatives_are_called_only_when_sure(card, make, p_win, verdict):
    """A creative is better or worse than the control's from 97.5 % on."""
    comparison = CreativeComparison(
        product_id="p",
        category="beauty",
        creative_id="g",
        against="b",
        variant="generated",
        p_win=p_win,
        impressions=100,
        clicks=9,
        impressions_against=100,
        clicks_against=5,
    )
    (row,) = judge(replace(card, creatives=(comparison,)), make()).by_creative
    assert (row["verdict"], row["creative_id"], row["against"]) == (verdict, "g", "b")


def test_a_broken_split_blocks_every_verdict(show, make, draw, run):
    """With a mismatch the verdict is invalid overall and in each category, whatever the lift."""
    rows = draw(lift=2.0, users=2400, weights=(0.4, 0.6))
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    assert scorecard.srm.verdict == "alarm"
    assert scorecard.decision.verdict == "invalid"
    assert {row["verdict"] for row in scorecard.decision.by_category} == {"invalid"}
    assert "sample ratio mismatch" in scorecard.decision.reasons[0]
    assert scorecard.decision.by_creative == ()


@pytest.mark.parametrize("truth", [(0.9, "ship"), (-0.7, "reject"), (0.0, "continue")])
def test_a_large_lift_is_shipped_and_a_large_loss_rejected(show, make, draw, run, truth):
    """From rows to verdict, overall and by category, with the numbers in the reasons."""
    lift, verdict = truth
    with show(draw(lift=lift, seed=2)) as warehouse:
        decision = analyze(warehouse, make(), run=run).decision
    assert decision.verdict == verdict
    assert {row["category"] for row in decision.by_category} == {"beauty", "home", "food"}
    assert "ctr of generated against baseline" in decision.reasons[0]


def test_no_difference_needs_an_interval_within_the_margin(show, make, draw, run):
    """Equal variants are called equal within a wide margin, never without a margin."""
    rows = draw(lift=0.0, seed=2)
    with show(rows) as warehouse:
        wide = analyze(warehouse, make(primary=PrimaryMetric("ctr", mde=0.6)), run=run)
        none = analyze(warehouse, make(primary=PrimaryMetric("ctr")), run=run)
    assert wide.decision.verdict == "no_difference"
    assert none.decision.verdict == "continue"


def test_a_falling_metric_can_be_what_is_wanted(show, make, draw, run):
    """With direction decrease, a proven fall wins."""
    primary = PrimaryMetric("ctr", direction="decrease")
    with show(draw(lift=-0.7)) as warehouse:
        assert analyze(warehouse, make(primary=primary), run=run).decision.verdict == "ship"


def test_a_harmed_guardrail_rejects_a_winner(show, make, draw, run):
    """CTR wins but conversions per click collapse beyond the margin: reject."""
    rows = draw(lift=1.5, users=2500)
    for row in rows:
        user = int(row["unit_id"][1:])
        lucky = user % 4 == 0 if row["variant"] == "generated" else user % 4 != 0
        row["conversions"] = int(row["clicked"] and lucky)
    experiment = make(guardrails=(Guardrail("cvr", non_inferiority_margin=0.1),))
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    assert scorecard.facts[0].wins
    assert scorecard.decision.verdict == "reject"


def test_nothing_is_decided_before_the_look_or_after_an_unplanned_stop(
    show, make, draw, run, start
):
    """A running or early stopped experiment goes on, and says when it could have decided."""
    rows = draw(lift=2.0)
    early = Run(now=run.now, started_at=start, ended_at=start + timedelta(days=3))
    with show(rows) as warehouse:
        stopped = analyze(warehouse, make(), run=early)
        draft = analyze(warehouse, make(), run=Run(now=run.now))
    with show(rows, watermark=start + timedelta(days=8)) as warehouse:
        waiting = analyze(warehouse, make(), run=run)
    for scorecard, words in (
        (stopped, "stopped on 2026-09-04"),
        (draft, "not been started"),
        (waiting, "final on 2026-09-12"),
    ):
        assert scorecard.decision.verdict == "continue"
        assert words in scorecard.decision.reasons[-1]
        assert not any(lift.significant for lift in scorecard.lifts)


def test_a_handful_of_clicks_harms_no_guardrail(show, make, run):
    """No conversion among a few clicks is no proof of a low rate; among very many it is."""
    rows = [
        {"variant": variant, "unit_id": f"{variant}{i}", "clicked": int(i < 3)}
        for variant in ("baseline", "generated")
        for i in range(500)
    ]
    many = [{**row, "clicked": 1} for row in rows]
    experiment = make(guardrails=(Guardrail("cvr", min=0.05),))
    found = []
    for log in (rows, many):
        with show(log) as warehouse:
            (guard,) = analyze(warehouse, experiment, run=run).facts[0].guardrails
        found.append((guard.holds, guard.harmed))
    assert found == [(False, False), (False, True)]


def test_a_guardrail_with_two_bounds_keeps_both(show, make, draw, run):
    """Above the absolute bound but far below the control: the margin alone harms."""
    rows = draw(lift=-0.8, users=1500, rate=0.3)
    bounds = {"min": 0.0001, "non_inferiority_margin": 0.05}
    experiment = make(primary=PrimaryMetric("ctcvr"), guardrails=(Guardrail("ctr", **bounds),))
    with show(rows) as warehouse:
        (guard,) = analyze(warehouse, experiment, run=run).facts[0].guardrails
    assert (guard.holds, guard.harmed) == (False, True)
    assert "at least" in guard.sentence
    assert "tolerated" in guard.sentence


@pytest.mark.parametrize(("monday", "hours"), [((2026, 3, 23), 167), ((2026, 10, 19), 169)])
def test_a_week_is_a_week_where_clocks_change(show, make, draw, monday, hours):
    """Seven days end at the workspace's midnight: nothing is left out, nobody waits an hour."""
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(*monday, tzinfo=zone).astimezone(UTC)
    end = start + timedelta(hours=hours)
    rows = [{**row, "ts": start + timedelta(days=3)} for row in draw(lift=0.9, seed=2)]
    for row in rows[::2]:
        row["ts"] = end - timedelta(minutes=30)
    final = end + timedelta(hours=96)
    for ended in (None, end, start + timedelta(days=7)):
        with show(rows, watermark=final) as warehouse:
            run = Run(now=final, started_at=start, ended_at=ended)
            scorecard = analyze(warehouse, make(), run=run, zone=zone)
        assert scorecard.look.at == end
        assert scorecard.decision.verdict == "ship"
        assert scorecard.lifts[0].p_adjusted == scorecard.lifts[0].p_value
        assert "after_the_decision" not in {note.code for note in scorecard.warnings}
