"""Levels together, treatments together, and what is picked from them, on the scorecard."""

import json
import math
from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from abplatform.analysis.scorecard import Run
from abplatform.analysis.scorecard.lifts import compare_levels
from abplatform.analysis.scorecard.pairwise import compare_treatments
from abplatform.analysis.scorecard.shrunken import shrink_reports
from abplatform.analysis.scorecard.totals import read_aggregates
from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import Analysis, Breakdown, PrimaryMetric, Variant
from abplatform.domain.metrics import METRICS
from abplatform.stats.dunnett import joint_critical_value

CATEGORIES = ("beauty", "home", "food")


@pytest.fixture
def clear_rows(draw):
    """Users over three categories; the treatment clicks half again as often."""
    return draw(3, users=1500, lift=0.5)


def by_category(scorecard, treatment="generated"):
    return {
        lift.level: lift
        for lift in scorecard.lifts
        if lift.breakdown == "category" and lift.treatment == treatment
    }


def unit_table(rows, variant):
    """Impressions and clicks, users by categories, counted the slow way."""
    users = sorted({row["unit_id"] for row in rows if row["variant"] == variant})
    n, k = np.zeros((len(users), 3)), np.zeros((len(users), 3))
    for row in rows:
        if row["variant"] == variant:
            at = users.index(row["unit_id"]), CATEGORIES.index(row["category"].split("/")[0])
            n[at] += 1
            k[at] += row["clicked"]
    return n, k


def test_heterogeneity_and_the_pooled_lift_are_those_of_the_units(show, make, clear_rows, run):
    """The scorecard's numbers follow from each user's clicks, added up by hand."""
    with show(clear_rows) as warehouse:
        found = analyze(warehouse, make(), run=run).heterogeneity
    covariance, logs, totals = 0, [], []
    for variant in ("baseline", "generated"):
        n, k = unit_table(clear_rows, variant)
        scores = k / k.sum(axis=0) - n / n.sum(axis=0)
        covariance = covariance + scores.T @ scores * len(n) / (len(n) - 1)
        logs.append(np.log(k.sum(axis=0) / n.sum(axis=0)))
        totals.append((n.sum(axis=0), k.sum(axis=0)))
    (n_c, k_c), (n_t, k_t) = totals
    weight = (k_c + k_t) * n_c * n_t / (n_c + n_t) ** 2
    weight /= weight.sum()
    y = logs[1] - logs[0]
    half = stats.norm.isf(0.025) * math.sqrt(weight @ covariance @ weight)
    expected = np.expm1([weight @ y, weight @ y - half, weight @ y + half])
    assert [found.pooled_lift, found.pooled_low, found.pooled_high] == pytest.approx(
        expected, rel=1e-9
    )
    assert (found.df, found.categories, found.left_out, found.undetermined) == (2, 3, (), None)
    apart = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])
    plain = (apart @ y) @ np.linalg.solve(apart @ covariance @ apart.T, apart @ y)
    # Correlations are steadied before they are inverted, which changes little here.
    assert found.statistic == pytest.approx(plain, rel=0.1)


def test_categories_are_shrunken_and_nothing_else(show, make, clear_rows, run):
    """Each category's shrunken lift lies inside its interval; overall and bots have none."""
    with show(clear_rows) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    for lift in by_category(scorecard).values():
        assert lift.shrunken_low < lift.shrunken_lift < lift.shrunken_high
        assert lift.p_better > 0.5
    raw = [lift.relative_lift for lift in by_category(scorecard).values()]
    pulled = [lift.shrunken_lift for lift in by_category(scorecard).values()]
    assert np.ptp(pulled) < np.ptp(raw)
    overall = next(lift for lift in scorecard.lifts if lift.breakdown is None)
    assert overall.shrunken_lift is None
    note = next(w.message for w in scorecard.warnings if w.code == "not_applicable")
    assert "shrunken_lift, shrunken_low, shrunken_high, p_better are null for everything" in note
    assert note.count("shrunken_lift") == 1


def test_better_means_the_metrics_direction(show, make, clear_rows, run):
    """Where fewer clicks are better, the same numbers have the opposite probability."""
    with show(clear_rows) as warehouse:
        up = analyze(warehouse, make(), run=run)
        less = make(primary=PrimaryMetric("ctr", direction="decrease"))
        down = analyze(warehouse, less, run=run)
    for level, lift in by_category(up).items():
        assert by_category(down)[level].p_better == pytest.approx(1 - lift.p_better)


def test_shrink_false_leaves_lifts_raw_and_still_tests_heterogeneity(show, make, clear_rows, run):
    """A breakdown that says shrink: false has no shrunken lifts, but the test stands."""
    experiment = make(breakdowns=(Breakdown(by="category", shrink=False),))
    with show(clear_rows) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    assert all(lift.shrunken_lift is None for lift in by_category(scorecard).values())
    assert scorecard.heterogeneity.p_value is not None


def test_a_poor_category_is_named_and_the_others_stand(show, make, clear_rows, run):
    """A category of three impressions is left out of it, by name, with its reason."""
    poor = [
        {**row, "category": "toys/car", "clicked": 0, "unit_id": f"t{at}"}
        for at, row in enumerate(clear_rows[:3])
    ]
    with show([*clear_rows, *poor]) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    assert scorecard.heterogeneity.left_out == ("toys",)
    assert by_category(scorecard)["toys"].shrunken_lift is None
    assert by_category(scorecard)["home"].shrunken_lift is not None
    note = next(w.message for w in scorecard.warnings if w.code == "not_applicable")
    assert "ctr of generated by category in toys" in note


def test_one_category_says_why_there_is_no_test(show, make, clear_rows, run):
    """With a single category the object says so instead of a number."""
    one = [{**row, "category": "beauty/lip"} for row in clear_rows]
    with show(one) as warehouse:
        found = analyze(warehouse, make(), run=run).heterogeneity
    assert found.statistic is None
    assert found.undetermined.startswith("one_category")
    assert found.pooled_lift is not None


def three_variants(rows, rng):
    """Split the treatment's users into two treatments."""
    names = {}
    for row in rows:
        names.setdefault(row["unit_id"], "generated" if rng.random() < 0.5 else "drawn")
    return [
        {**row, "variant": names[row["unit_id"]] if row["variant"] == "generated" else "baseline"}
        for row in rows
    ]


@pytest.fixture
def trio(make):
    """An experiment with two treatments."""
    return make(
        variants=(
            Variant("baseline", 50, control=True),
            Variant("generated", 25),
            Variant("drawn", 25),
        )
    )


def test_treatments_are_judged_by_dunnett_and_compared_with_each_other(show, trio, clear_rows, run):
    """Adjusted p lies between p and 2·p; the pair of treatments is Holm's family of one."""
    rows = three_variants(clear_rows, np.random.default_rng(1))
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, trio, run=run)
    overall = [lift for lift in scorecard.lifts if lift.breakdown is None]
    assert [lift.treatment for lift in overall] == ["generated", "drawn"]
    for lift in overall:
        assert lift.p_value < lift.p_adjusted < 2 * lift.p_value
    (pair,) = scorecard.pairwise
    assert (pair.base, pair.treatment) == ("generated", "drawn")
    assert pair.p_adjusted == pair.p_value
    rates = {lift.treatment: lift.rate_treatment for lift in overall}
    assert pair.relative_lift == pytest.approx(rates["drawn"] / rates["generated"] - 1)
    data = json.loads(json.dumps(scorecard.to_json(), allow_nan=False))
    assert [one["treatment"] for one in data["heterogeneity"]["by_treatment"]] == [
        "generated",
        "drawn",
    ]
    assert list(data["heterogeneity"])[:4] == ["statistic", "df", "p_value", "tau2"]


def test_one_treatment_has_no_pairs(show, make, clear_rows, run):
    """With one treatment nothing is compared with another."""
    with show(clear_rows) as warehouse:
        assert analyze(warehouse, make(), run=run).pairwise == ()


def test_before_the_decision_look_categories_are_judged_by_e_values(show, make, draw, start, run):
    """No adjusted p; a category with an overwhelming e-value is significant, a weak one is not."""
    rows = draw(5, users=2500, lift=1.2, rate=0.08)
    for at, row in enumerate(rows):
        if row["category"].startswith("home") and row["variant"] == "generated":
            row["clicked"] = int(row["clicked"] and at % 2 == 0)
    early = Run(now=start + (run.now - start) / 20, started_at=start)
    experiment = make(analysis=Analysis(test="sequential"))
    with show(rows, watermark=early.now) as warehouse:
        scorecard = analyze(warehouse, experiment, run=early)
    found = by_category(scorecard)
    assert all(lift.p_adjusted is None for lift in found.values())
    for lift in found.values():
        size = len(found)
        sure = sum(other.e_value >= lift.e_value for other in found.values())
        assert lift.significant == (lift.e_value * sure * 0.05 >= size)
    assert found["beauty"].significant
    assert not found["home"].significant


def test_a_reversal_is_warned_of(show, make, start, run):
    """Better in each category and worse overall: Simpson's paradox is named."""
    rng, rows = np.random.default_rng(4), []
    plan = {
        "baseline": ((8, "beauty/lip", 0.10), (2, "home/lamp", 0.02)),
        "generated": ((2, "beauty/lip", 0.16), (8, "home/lamp", 0.03)),
    }
    for variant, cells in plan.items():
        for user in range(1500):
            for count, category, rate in cells:
                rows += [
                    {
                        "variant": variant,
                        "unit_id": f"{variant}{user}",
                        "ts": start,
                        "category": category,
                        "clicked": int(rng.random() < rate),
                    }
                    for _ in range(count)
                ]
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    overall = next(lift for lift in scorecard.lifts if lift.breakdown is None)
    assert overall.relative_lift < 0 < scorecard.heterogeneity.pooled_lift
    assert any(w.code == "simpsons_paradox" for w in scorecard.warnings)


def test_no_reversal_without_one(show, make, clear_rows, run):
    """A lift that is the same everywhere warns of nothing."""
    with show(clear_rows) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    assert all(w.code != "simpsons_paradox" for w in scorecard.warnings)


def test_significant_lifts_come_with_their_corrected_size(show, make, draw, run):
    """At the decision look each significant lift has an estimate closer to zero."""
    rows = draw(3, users=1500, lift=0.35)
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    significant = {(lift.breakdown, lift.level) for lift in scorecard.lifts if lift.significant}
    corrected = {(one.breakdown, one.level): one for one in scorecard.corrected_lifts}
    assert significant
    assert set(corrected) == significant
    for one in corrected.values():
        assert 0 <= one.conditional_mle <= one.relative_lift
        assert one.low <= one.median_unbiased <= one.high
    assert "|z| > 1.960" in corrected[None, None].method


def test_pairs_are_not_adjusted_before_the_decision(show, trio, clear_rows, run):
    """Before the decision look a pair has a p-value and no verdict."""
    rows = three_variants(clear_rows, np.random.default_rng(1))
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, trio, run=Run(now=run.now))
    (pair,) = scorecard.pairwise
    assert pair.p_value is not None
    assert (pair.p_adjusted, pair.significant) == (None, False)


def test_a_treatment_without_traffic_is_in_no_pair(show, trio, clear_rows, run):
    """A treatment that nobody saw leaves its pair with a reason."""
    with show(clear_rows) as warehouse:
        (pair,) = analyze(warehouse, trio, run=run).pairwise
    assert pair.undetermined.startswith("no_traffic: drawn")
    assert compare_treatments(trio, [], decided=True) == ()


def test_fixed_plans_use_the_joint_critical_value(show, trio, draw, run):
    """The correction of a winner among two treatments names their joint critical value."""
    rows = three_variants(draw(3, users=1500, lift=1.5), np.random.default_rng(1))
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, trio, run=run)
    method = next(one.method for one in scorecard.corrected_lifts if one.breakdown is None)
    critical = float(method.split("|z| > ")[1].split(",")[0])
    assert 1.96 < critical < 2.24
    # A quarter each against a half: the control's share of the error is near 1/3.
    assert critical == pytest.approx(
        joint_critical_value([math.sqrt(1 / 3)] * 2, alpha=0.05), abs=0.02
    )


def report_of(category, variant, impressions, clicks):
    return {
        "experiment": "e",
        "variant": variant,
        "category": category,
        "impressions": impressions,
        "clicks": clicks,
        "conversions": 0,
        "value_micros": 0,
        "cost_micros": 0,
    }


def test_reports_are_shrunken_with_a_diagonal(make):
    """Pre-aggregated categories give Cochran's Q of their log-ratios, and shrunken lifts."""
    from statsmodels.stats.meta_analysis import combine_effects

    counts = {"beauty": (300, 380), "home": (150, 140), "food": (80, 130)}
    rows = [
        report_of(category, variant, 10_000, clicks)
        for category, both in counts.items()
        for variant, clicks in zip(("baseline", "generated"), both, strict=True)
    ]
    experiment, cut = make(), Breakdown(by="category")
    totals = read_aggregates(rows, [METRICS["ctr"]], level=1, inflations={})
    strata = shrink_reports(experiment, compare_levels(experiment, totals, [METRICS["ctr"]], cut))
    y, v = [], []
    for ours, theirs in counts.values():
        y.append(math.log(theirs / ours))
        # One impression is one unit: U/(U - 1) with U = 10,000.
        v.append((1 / ours + 1 / theirs - 2 / 10_000) * 10_000 / 9999)
    expected = combine_effects(np.array(y), np.array(v), method_re="iterated", atol=1e-9)
    found = strata.heterogeneity
    assert found.statistic == pytest.approx(expected.q, rel=1e-9)
    assert found.p_value == pytest.approx(expected.test_homogeneity().pvalue, rel=1e-9)
    assert found.tau2 == pytest.approx(expected.tau2, rel=1e-6)
    assert all(one.lift.shrunken_lift is not None for one in strata.compared)


def test_single_events_are_independent_across_categories(show, make, clear_rows, run):
    """With unit: request_id each impression is a unit, and heterogeneity is Cochran's Q."""
    with show(clear_rows) as warehouse:
        scorecard = analyze(warehouse, make(unit="request_id"), run=run)
    y, v = [], []
    for lift in by_category(scorecard).values():
        y.append(math.log1p(lift.relative_lift))
        sides = ((lift.k_control, lift.n_control), (lift.k_treatment, lift.n_treatment))
        v.append(sum((1 / k - 1 / n) * n / (n - 1) for k, n in sides))
    mean = np.average(y, weights=1 / np.array(v))
    expected = ((np.array(y) - mean) ** 2 / v).sum()
    assert scorecard.heterogeneity.statistic == pytest.approx(expected, rel=1e-9)
    assert scorecard.heterogeneity.p_value == pytest.approx(stats.chi2.sf(expected, 2), rel=1e-9)


def test_decided_pairs_stay_as_the_decision_found_them(show, trio, draw, start, run):
    """Rows after the decision look move a pair's estimate, not its adjusted p."""
    rows = three_variants(draw(3, users=900, lift=1.0), np.random.default_rng(1))
    later = [
        {**row, "ts": start + timedelta(days=9), "unit_id": f"late{row['unit_id']}"}
        for row in rows
        if row["variant"] != "drawn" or row["clicked"]
    ]
    with show(rows) as warehouse:
        (before,) = analyze(warehouse, trio, run=run).pairwise
    with show([*rows, *later]) as warehouse:
        (after,) = analyze(warehouse, trio, run=run).pairwise
    assert after.relative_lift > before.relative_lift
    assert after.p_adjusted == before.p_adjusted == before.p_value
