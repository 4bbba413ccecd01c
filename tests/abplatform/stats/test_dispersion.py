"""Overdispersion of day rows against statsmodels and a contingency table."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from abplatform.stats.dispersion import LEAST_DF, Dispersion, choose_dispersion, pearson_dispersion
from abplatform.stats.ratio import Undetermined


def draw_cells(seed, *, cells=3, days=6, spread=0.0):
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(cells):
        n = rng.integers(200, 900, days)
        p = np.clip(rng.normal(0.05, spread * 0.05, days), 0.001, 0.5)
        drawn.append((rng.binomial(n, p).tolist(), n.tolist()))
    return drawn


@pytest.mark.parametrize("seed", range(15))
def test_one_cell_is_the_chi_square_of_its_table(seed):
    """χ² and df over one creative's days are scipy's of the table of clicks and no clicks."""
    ((k, n),) = draw_cells(seed, cells=1, days=2 + seed)
    found = pearson_dispersion([(k, n)])
    expected = chi2_contingency([k, np.subtract(n, k)], correction=False)
    assert found == pytest.approx((expected.statistic, expected.dof), rel=1e-12)


@pytest.mark.parametrize("seed", range(15))
def test_pooled_phi_is_that_of_a_quasi_binomial_regression(seed):
    """χ²/df over creatives is Pearson's scale of statsmodels' binomial GLM with one rate each."""
    import statsmodels.api as sm

    cells = draw_cells(seed, spread=0.3)
    statistic, df = pearson_dispersion(cells)
    k, n = (np.concatenate([cell[at] for cell in cells]) for at in (0, 1))
    which = np.repeat(np.eye(len(cells)), [len(cell[0]) for cell in cells], axis=0)
    fit = sm.GLM(k / n, which, family=sm.families.Binomial(), var_weights=n).fit(scale="X2")
    assert df == fit.df_resid
    assert statistic / df == pytest.approx(fit.scale, rel=1e-9)


def test_independent_days_have_a_phi_of_one_on_average():
    """Without a swing from day to day φ is one within its error."""
    found = [pearson_dispersion(draw_cells(seed)) for seed in range(100, 160)]
    assert sum(chi for chi, _ in found) / sum(df for _, df in found) == pytest.approx(1, abs=0.15)


def test_huge_counts_keep_their_digits():
    """At 1e12 impressions a day the statistic still equals the exact one of a scaled table."""
    small = [([50, 60, 40, 55], [1000, 1100, 1000, 900])]
    (k, n) = small[0]
    huge = [([one * 10**9 for one in k], [one * 10**9 for one in n])]
    assert pearson_dispersion(huge)[0] == pytest.approx(
        pearson_dispersion(small)[0] * 1e9, rel=1e-14
    )


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ([], "no_day_rows"),
        ([([3], [100])], "no_day_rows"),
        ([([0, 0], [100, 90])], "no_day_rows"),
        ([([100, 90], [100, 90])], "no_day_rows"),
        ([([3, 0], [100, 0])], "no_day_rows"),
        ([([3, 101], [100, 100])], "not_a_share"),
        ([([3, -1], [100, 100])], "not_a_share"),
        ([([3, 1], [100, 0])], "not_a_share"),
    ],
)
def test_days_that_tell_nothing_say_why(cells, code):
    """One day, no success, nothing but successes, or impossible counts give a reason."""
    found = pearson_dispersion(cells)
    assert isinstance(found, Undetermined)
    assert found.code == code


@pytest.mark.parametrize(
    ("day_rows", "design_effect", "expected"),
    [
        ((25.0, LEAST_DF), 3.0, Dispersion(2.5, "day_rows", 10)),
        ((5.0, LEAST_DF), 3.0, Dispersion(1.0, "day_rows", 10)),
        ((25.0, LEAST_DF - 1), 3.0, Dispersion(3.0, "design_effect", 9)),
        ((25.0, LEAST_DF - 1), None, Dispersion(1.0, "assumed", 9)),
        (Undetermined("no_day_rows: x"), 0.9, Dispersion(1.0, "design_effect", 0)),
        (Undetermined("no_day_rows: x"), None, Dispersion(1.0, "assumed", 0)),
    ],
)
def test_day_rows_come_before_the_design_effect(day_rows, design_effect, expected):
    """φ counts from ten degrees of freedom on, then the design effect, and never below one."""
    assert choose_dispersion(day_rows, design_effect=design_effect) == expected
