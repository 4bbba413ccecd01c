"""Returns on extra cost, and beliefs, from rows to the scorecard."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import Cuped, Guardrail, PrimaryMetric, Variant
from abplatform.stats.bayes import beta_posterior, normal_posterior
from abplatform.stats.incremental import contrast_incremental
from abplatform.stats.ratio import RatioSums, contrast

MILLION = 10**6
WEEKS = timedelta(days=14)


def draw_money(start, *, gain, users=400):
    """Users whose treatment costs a unit of money more and brings `gain` more."""
    rng = np.random.default_rng(8)
    rows = []
    for user in range(users):
        treated = user % 2 == 1
        for _ in range(1 + rng.poisson(1)):
            spent = rng.gamma(4, 0.5 if treated else 0.25)
            earned = rng.gamma(2, 0.5) + (gain * spent if treated else spent)
            rows.append(
                {
                    "variant": "generated" if treated else "baseline",
                    "unit_id": f"u{user}",
                    "ts": start + timedelta(hours=float(rng.uniform(0, 160))),
                    "clicked": int(rng.random() < 0.3),
                    "conversions": 1,
                    "net_value_micros": int(earned * MILLION),
                    "cost_micros": int(spent * MILLION),
                }
            )
    return rows


def sums_by_unit(rows, variant):
    totals = {}
    for row in rows:
        if row["variant"] == variant:
            cost, value = totals.get(row["unit_id"], (0, 0))
            totals[row["unit_id"]] = (cost + row["cost_micros"], value + row["net_value_micros"])
    return RatioSums.of_units(*zip(*totals.values(), strict=True))


@pytest.mark.parametrize("gain", [0.4, 2.5])
def test_a_return_is_that_of_totals_per_unit(show, make, run, start, gain):
    """Lift, interval and p are those of value and cost per unit; the rate is the return itself."""
    rows = draw_money(start, gain=gain)
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(primary=PrimaryMetric("iroas")), run=run)
    lift = scorecard.lifts[0]
    expected = contrast_incremental(sums_by_unit(rows, "baseline"), sums_by_unit(rows, "generated"))
    assert lift.p_value == expected.p_value
    assert (lift.ci_low, lift.ci_high) == (expected.relative.low, expected.relative.high)
    assert (lift.rate_control, lift.rate_treatment) == (None, expected.relative_lift + 1)
    assert lift.absolute_lift == pytest.approx(expected.absolute_lift / MILLION, rel=1e-12)
    assert lift.significant
    assert (lift.relative_lift > 0) == (gain > 1)


@pytest.mark.parametrize("gain", [0.4, 2.5])
def test_looks_test_the_return_and_no_other_ratio(show, make, run, start, gain):
    """The default plan's looks are at the return on extra cost: its z, its lift, its direction."""
    rows = draw_money(start, gain=gain)
    plan = replace(make().analysis, test="sequential", min_runtime=timedelta(days=7))
    experiment = make(primary=PrimaryMetric("iroas"), analysis=plan)
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    expected = contrast_incremental(sums_by_unit(rows, "baseline"), sums_by_unit(rows, "generated"))
    look = scorecard.looks[-1].row
    assert look.z == pytest.approx(expected.z, rel=1e-12)
    assert look.relative_lift == pytest.approx(expected.relative_lift, rel=1e-12)
    assert look.crossed
    fact = next(one for one in scorecard.facts if one.category is None)
    assert (fact.wins, fact.loses) == (gain > 1, gain < 1)


def test_a_return_is_not_adjusted_by_history(show, make, run, start):
    """CUPED adjusts rates of one variant; a return on extra cost says that it is none."""
    rows = draw_money(start, gain=2.5)
    experiment = make(primary=PrimaryMetric("iroas"))
    experiment = replace(experiment, analysis=replace(experiment.analysis, cuped=Cuped(WEEKS)))
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    assert scorecard.cuped[0].reason.startswith("not_a_rate")


@pytest.mark.parametrize("least", [1.0, 9.0])
def test_a_guardrail_bounds_the_return_itself(show, make, run, start, least):
    """`min` of iroas is a bound on the return, not on the treatment's value over its cost."""
    rows = draw_money(start, gain=2.5)
    experiment = make(guardrails=(Guardrail("iroas", min=least),))
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    fact = next(one for one in scorecard.facts if one.category is None).guardrails[0]
    assert (fact.holds, fact.harmed) == (least == 1.0, least == 9.0)


def test_beliefs_stand_beside_the_test(show, make, draw, run):
    """The primary metric's posterior is that of its contrast; p_better is in the overall lifts."""
    rows = draw(users=500)
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(guardrails=(Guardrail("ctcvr", min=0.001),)), run=run)
    lift, (fact,) = scorecard.lifts[0], scorecard.bayes
    expected = normal_posterior(unit_contrast(rows))
    assert fact.p_better == lift.p_better == pytest.approx(expected.p_better, rel=1e-12)
    assert fact.loss_treatment == pytest.approx(expected.loss_treatment, rel=1e-9)
    assert (fact.credible_low, fact.credible_high) == pytest.approx(
        (expected.credible.low, expected.credible.high), rel=1e-12
    )
    guard = next(one for one in scorecard.lifts if one.metric == "ctcvr" and one.level is None)
    assert 0 < guard.p_better < 1
    assert scorecard.to_json()["bayes"] == [fact.to_json()]


def test_requests_are_believed_by_their_counts(show, make, draw, run):
    """Where each impression stands alone the posterior is that of two beta distributions."""
    rows = draw(users=300)
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, replace(make(), unit="request_id"), run=run)
    (fact,) = scorecard.bayes
    counts = [
        (
            sum(row["clicked"] for row in rows if row["variant"] == name),
            sum(row["variant"] == name for row in rows),
        )
        for name in ("baseline", "generated")
    ]
    assert fact.model == "beta_binomial"
    assert fact.p_better == beta_posterior(*counts).p_better


def test_what_cannot_be_believed_says_why(show, make, draw, run):
    """A variant without traffic has no posterior, and the reason stands in its place."""
    rows = [row for row in draw(users=100) if row["variant"] == "baseline"]
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    (fact,) = scorecard.bayes
    assert fact.p_better is None
    assert fact.undetermined.startswith("no_traffic")


def unit_contrast(rows):
    totals = {}
    for row in rows:
        n, k = totals.get((row["variant"], row["unit_id"]), (0, 0))
        totals[row["variant"], row["unit_id"]] = (n + 1, k + row["clicked"])
    sides = []
    for name in ("baseline", "generated"):
        mine = [total for (variant, _), total in totals.items() if variant == name]
        sides.append(RatioSums.of_units(*zip(*mine, strict=True)))
    return contrast(*sides, share=True)


def test_returns_of_several_treatments_share_alpha_whatever_they_cost(show, make, run, start):
    """Noisy costs are no shared control: three returns of 1 are held against Šidák's value."""
    rng, rows = np.random.default_rng(4), []
    names = ("baseline", "a", "b", "c")
    for user in range(800):
        cost = rng.gamma(2, 10)
        money = {"cost_micros": int(cost * MILLION), "net_value_micros": int(20 * MILLION)}
        name = names[user % 4]
        rows.append({"variant": name, "unit_id": f"u{user}", "ts": start, "clicked": 1, **money})
    variants = tuple(Variant(name, 25, control=name == "baseline") for name in names)
    with show(rows) as warehouse:
        experiment = make(primary=PrimaryMetric("iroas"), variants=variants)
        scorecard = analyze(warehouse, experiment, run=run)
    expected = 1 - 0.95 ** (1 / 3)
    for look, lift in zip(scorecard.looks, scorecard.lifts[:3], strict=True):
        assert math.erfc(look.boundary / math.sqrt(2)) == pytest.approx(expected, rel=1e-6)
        assert lift.p_adjusted == pytest.approx(1 - (1 - lift.p_value) ** 3, rel=1e-6)
