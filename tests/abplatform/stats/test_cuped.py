"""CUPED against regressions over the units one by one, and against tea-tasting."""

import numpy as np
import pytest

from abplatform.stats.cuped import (
    MIN_UNITS,
    adjust_rates,
    contrast_adjusted,
    variance_reduction,
)
from abplatform.stats.fieller import Interval, RatioContrast
from abplatform.stats.moments import UnitMoments, score_products
from abplatform.stats.ratio import Undetermined, contrast

SEEDS = range(20)
PAIR = {"control": "c", "treatment": "t"}


def draw_variant(rng, *, units=300, rate=0.08):
    """Units whose taste and activity show before the experiment as well as in it."""
    activity = rng.lognormal(1.5, 0.7, units)
    taste = rng.gamma(2, 0.5, units)
    n, before = rng.poisson(activity) + 1, rng.poisson(2 * activity)
    return {
        "k": rng.binomial(n, np.minimum(rate * taste, 1)),
        "n": n,
        "x1": rng.binomial(before, np.minimum(0.08 * taste, 1)),
        "x2": before,
    }


def draw_pair(seed, *, rate=0.09):
    rng = np.random.default_rng(seed)
    return {
        "c": draw_variant(rng, units=250 + 10 * seed),
        "t": draw_variant(rng, units=300, rate=rate),
    }


def moments_of(units):
    columns = {kind: [[int(value)] for value in values] for kind, values in units.items()}
    columns["u"] = [[1]] * len(units["k"])
    return UnitMoments.of_units(columns, places=["all"])


def scores_of(units):
    k, n = units["k"].astype(float), units["n"].astype(float)
    return (k - k.sum() / n.sum() * n) / n.mean()


def covariates_of(units, names):
    return np.stack([units[name].astype(float) for name in names], axis=1)


@pytest.mark.parametrize("names", [("x1", "x2"), ("x1",), ("x2",)])
@pytest.mark.parametrize("seed", SEEDS)
def test_theta_is_that_of_a_regression_with_an_intercept_per_variant(seed, names):
    """θ from the moments equals statsmodels' OLS of the scores on covariates and variants."""
    import statsmodels.api as sm

    pair = draw_pair(seed)
    found = adjust_rates({v: moments_of(u) for v, u in pair.items()}, covariates=names)
    y = np.concatenate([scores_of(units) for units in pair.values()])
    x = np.concatenate([covariates_of(units, names) for units in pair.values()])
    variant = np.repeat([0.0, 1.0], [len(units["k"]) for units in pair.values()])
    fit = sm.OLS(y, np.column_stack([x, 1 - variant, variant])).fit()
    assert list(found.theta.values()) == pytest.approx(fit.params[: len(names)], rel=1e-8)
    assert found.reason is None


@pytest.mark.parametrize("seed", SEEDS)
def test_adjusted_rates_and_variances_are_those_of_residual_scores(seed):
    """Rates, variances and the reduction equal the formulas over the units one by one."""
    pair = draw_pair(seed)
    moments = {name: moments_of(units) for name, units in pair.items()}
    found = adjust_rates(moments, covariates=("x1", "x2"))
    theta = np.array([found.theta["x1"], found.theta["x2"]])
    x = {name: covariates_of(units, ("x1", "x2")) for name, units in pair.items()}
    middle = np.concatenate(list(x.values())).mean(axis=0)
    spread = {}
    for name, units in pair.items():
        size = len(units["k"])
        raw = units["k"].sum() / units["n"].sum()
        residual = scores_of(units) - (x[name] - x[name].mean(axis=0)) @ theta
        spread[name] = (residual**2).sum() / (size * (size - 1))
        rate = found.rates[name]
        assert float(rate.value) == pytest.approx(
            raw - theta @ (x[name].mean(axis=0) - middle), rel=1e-9
        )
        assert rate.variance == pytest.approx(spread[name], rel=1e-9)
    raw = sum(moments[name].ratio_sums(0).variance for name in pair)
    reduction = variance_reduction(found, moments, **PAIR)
    assert reduction == pytest.approx(1 - sum(spread.values()) / raw, rel=1e-9)
    assert 0 < reduction < 1


@pytest.mark.parametrize("metric", ["delta", "cupac"])
@pytest.mark.parametrize("seed", SEEDS)
def test_tea_tasting_gives_the_same_adjusted_contrast(seed, metric):
    """With its θ of one covariate, tea-tasting's effect, error and p-value are ours to 1e-9."""
    import pyarrow as pa
    import tea_tasting as tt

    pair = draw_pair(seed)
    columns = {
        name: np.concatenate([units[name] for units in pair.values()]) for name in ("k", "n", "x1")
    }
    variant = np.repeat([0, 1], [len(units["k"]) for units in pair.values()])
    table = pa.table({**columns, "variant": variant})
    names = ("k", "n", "x1") if metric == "cupac" else ("k", "n")
    measure = tt.RatioOfMeans(*names, equal_var=False, use_t=False)
    (theirs,) = tt.Experiment(m=measure).analyze(table).values()
    moments = {name: moments_of(units) for name, units in pair.items()}
    theta = {}
    if metric == "cupac":
        total = tt.aggr.read_aggregates(table, None, **vars_of(measure))
        theta = {"x1": measure._covariate_coef(total.with_zero_div())}
    found = adjust_rates(moments, covariates=(), theta=theta)
    ours = contrast_adjusted(found, moments, **PAIR, share=True)
    assert ours.absolute_lift == pytest.approx(theirs.effect_size, rel=1e-9)
    assert ours.rate_control == pytest.approx(theirs.control, rel=1e-9)
    assert ours.z == pytest.approx(theirs.statistic, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


def vars_of(measure):
    columns = measure.aggr_cols
    return {
        "has_count": True,
        "mean_cols": columns.mean_cols,
        "var_cols": columns.var_cols,
        "cov_cols": columns.cov_cols,
    }


def test_scores_reproduce_the_variance_and_its_logarithm():
    """Σψ'² times U³/(U - 1)/U² is the adjusted variance; log scores are divided by the rate."""
    moments = {name: moments_of(units) for name, units in draw_pair(1).items()}
    found = adjust_rates(moments, covariates=("x1", "x2"))
    for name, one in moments.items():
        units = one.counts[0].units
        plain, log = found.scores[name], found.log_score(name)
        products = score_products(one, [plain, log])
        rate = found.rates[name]
        assert products[0, 0] * units / (units - 1) == pytest.approx(rate.variance, rel=1e-12)
        assert products[1, 1] == pytest.approx(products[0, 0] / float(rate.value) ** 2, rel=1e-12)


def test_looks_use_only_units_that_have_entered():
    """At each look of running totals, θ and rates are those of the units seen by then."""
    rng = np.random.default_rng(7)
    days, pair = 4, {}
    for name in ("c", "t"):
        entry = rng.integers(0, days, 200)
        seen = np.arange(days) >= entry[:, None]
        n = rng.poisson(3, (200, days)) * seen + (np.arange(days) == entry[:, None])
        k = rng.binomial(n, 0.2)
        first = np.arange(days) == entry[:, None]
        x1, x2 = rng.poisson(5, 200) + k.sum(axis=1), rng.poisson(9, 200)
        pair[name] = {"k": k, "n": n, "u": first * 1, "x1": first * x1[:, None]}
        pair[name]["x2"] = first * x2[:, None]
    running = {}
    for name, kinds in pair.items():
        daily = UnitMoments.of_units(
            {kind: totals.tolist() for kind, totals in kinds.items()}, places=list("abcd")
        )
        counts = [until(kinds, day) for day in range(days)]
        running[name] = daily.cumulated([moments_of(one).counts[0] for one in counts])
    for day in range(days):
        alone = {name: moments_of(until(kinds, day)) for name, kinds in pair.items()}
        ours = adjust_rates(running, covariates=("x1", "x2"), place=day)
        theirs = adjust_rates(alone, covariates=("x1", "x2"))
        assert ours.theta == theirs.theta
        assert ours.rates == theirs.rates


def until(kinds, day):
    """Return the totals up to a day of those units that have entered by then."""
    entered = kinds["u"][:, : day + 1].sum(axis=1) > 0
    return {
        kind: totals[entered, : day + 1].sum(axis=1)
        for kind, totals in kinds.items()
        if kind != "u"
    }


@pytest.mark.parametrize("interval_at", [0.01, 0.05, 0.3])
def test_the_adjusted_interval_is_where_the_adjusted_test_accepts(interval_at):
    """P and interval of an adjusted contrast come from one test."""
    for seed in SEEDS:
        moments = {n: moments_of(u) for n, u in draw_pair(seed, rate=0.11).items()}
        found = adjust_rates(moments, covariates=("x1", "x2"))
        result = contrast_adjusted(found, moments, **PAIR, alpha=interval_at, share=True)
        assert isinstance(result.relative, Interval)
        outside = not result.relative.low <= 0 <= result.relative.high
        assert outside == (result.p_value < interval_at)


def test_adjusting_keeps_the_design_effect_of_the_clicks():
    """The design effect says how clicks cluster, which an adjustment does not change."""
    moments = {name: moments_of(units) for name, units in draw_pair(2).items()}
    found = adjust_rates(moments, covariates=("x1", "x2"))
    result = contrast_adjusted(found, moments, **PAIR, share=True)
    raw = contrast(moments["c"].ratio_sums(0), moments["t"].ratio_sums(0), share=True)
    assert result.design_effect == raw.design_effect
    assert result.se_absolute < raw.se_absolute


@pytest.mark.parametrize(
    ("change", "kept", "said"),
    [
        ({"x1": 0}, ["x2"], "x1 never varies"),
        ({"x2": 7}, ["x1"], "x2 never varies"),
        ({"x1": 0, "x2": 0}, [], "x1 never varies; x2 never varies"),
        ({"x2": "x1"}, ["x1"], "x2 follows from x1"),
    ],
)
def test_useless_covariates_are_left_out_with_the_reason(change, kept, said):
    """Without variance, or collinear, a covariate is left out, and what remains is used."""
    pair = draw_pair(3)
    for units in pair.values():
        for name, value in change.items():
            same = isinstance(value, str)
            units[name] = 10**6 * units[value] + 3 if same else np.full(len(units["k"]), value)
    moments = {name: moments_of(units) for name, units in pair.items()}
    found = adjust_rates(moments, covariates=("x1", "x2"))
    assert list(found.theta) == kept
    assert found.reason == f"covariates_left_out: {said}"
    result = contrast_adjusted(found, moments, **PAIR, share=True)
    assert isinstance(result, RatioContrast)
    if not kept:
        raw = contrast(moments["c"].ratio_sums(0), moments["t"].ratio_sums(0), share=True)
        assert (result.p_value, result.relative) == (raw.p_value, raw.relative)
        assert variance_reduction(found, moments, **PAIR) == 0


def test_a_covariate_that_one_variant_does_not_log_is_left_out():
    """Zeros in the place of a prediction would be a lift of their own; the raw rates stand."""
    rng, pair = np.random.default_rng(6), {}
    for name in ("c", "t"):
        rate, n = rng.beta(2, 30, 300), rng.integers(5, 30, 300)
        told = np.rint(1e6 * rate).astype(int) if name == "c" else np.zeros(300, dtype=int)
        pair[name] = {"k": rng.binomial(n, rate), "n": n, "x1": told}
    moments = {name: moments_of(units) for name, units in pair.items()}
    found = adjust_rates(moments, covariates=("x1",))
    assert found.theta == {}
    assert "x1 differs between variants" in found.reason
    adjusted = contrast_adjusted(found, moments, **PAIR)
    raw = contrast(*(moments[name].ratio_sums(0) for name in ("c", "t")))
    assert adjusted.z == pytest.approx(raw.z, rel=1e-12)


def test_few_units_are_not_adjusted():
    """Below fifty units θ would be noise: the raw rates stand, and the reason is said."""
    rng = np.random.default_rng(4)
    pair = {name: draw_variant(rng, units=MIN_UNITS // 2 - 1, rate=0.4) for name in ("c", "t")}
    moments = {name: moments_of(units) for name, units in pair.items()}
    found = adjust_rates(moments, covariates=("x1", "x2"))
    assert found.theta == {}
    assert found.reason.startswith("few_units: 48 units")


@pytest.mark.parametrize("size", [10**3, 10**6])
def test_huge_totals_lose_no_digits(size):
    """Totals scaled to 1e9 and beyond give the very rates and the scaled θ."""
    pair = draw_pair(5)
    small = adjust_rates({v: moments_of(u) for v, u in pair.items()}, covariates=("x1", "x2"))
    for units in pair.values():
        for kind in units:
            units[kind] = [int(value) * size**2 for value in units[kind]]
    large = adjust_rates(
        {
            name: UnitMoments.of_units(
                {kind: [[v] for v in values] for kind, values in units.items()}
                | {"u": [[1]] * len(units["k"])},
                places=["all"],
            )
            for name, units in pair.items()
        },
        covariates=("x1", "x2"),
    )
    for name in pair:
        assert float(large.rates[name].value) == pytest.approx(
            float(small.rates[name].value), rel=1e-12
        )
        assert large.rates[name].variance == pytest.approx(small.rates[name].variance, rel=1e-9)
    assert large.theta["x1"] * size**2 == pytest.approx(small.theta["x1"], rel=1e-9)


def test_a_covariate_that_is_the_outcome_gives_no_result():
    """A covariate that is the outcome itself is no pre-period, and gives no result."""
    rng = np.random.default_rng(6)
    pair = {}
    for name in ("c", "t"):
        k = rng.integers(0, 9, 100)
        pair[name] = {"k": k, "n": np.full(100, 10), "x1": k}
    moments = {name: moments_of(units) for name, units in pair.items()}
    found = adjust_rates(moments, covariates=("x1",))
    assert variance_reduction(found, moments, **PAIR) == pytest.approx(1, abs=1e-12)
    result = contrast_adjusted(found, moments, **PAIR, share=True)
    assert isinstance(result, Undetermined)
    assert result.code == "covariate_is_the_outcome"


def test_a_variant_without_traffic_is_undetermined():
    """A vanished variant has no adjusted rate, and the others keep theirs."""
    moments = {name: moments_of(units) for name, units in draw_pair(8).items()}
    moments["gone"] = moments_of(
        {"k": np.zeros(3), "n": np.zeros(3), "x1": np.zeros(3), "x2": np.zeros(3)}
    )
    found = adjust_rates(moments, covariates=("x1", "x2"))
    assert set(found.rates) == {"c", "t"}
    lost = {"control": "c", "treatment": "gone"}
    assert contrast_adjusted(found, moments, **lost).code == "no_denominator"
    assert variance_reduction(found, moments, **lost).code == "no_traffic"
