import numpy as np
import pytest
from scipy.optimize import minimize

from abplatform.stats.logistic import LabelGroup, fit_logistic


def some_rows(*, rows=60, seed=3):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 400, rows).astype(float)
    first = rng.integers(0, 5, rows)
    second = rng.integers(-1, 3, rows)
    k = rng.binomial(n.astype(int), 0.02 + 0.02 * (first == 2) + 0.03 * (second == 1)).astype(float)
    return n, k, [LabelGroup(first, 5, 0.3), LabelGroup(second, 3, 0.5)]


def design_of(groups, rows):
    columns = [group.labels[:, np.newaxis] == np.arange(group.size) for group in groups]
    return np.hstack([np.ones((rows, 1)), *columns]).astype(float)


def test_agrees_with_a_general_optimiser():
    """The coefficients are those that scipy finds for the same penalised likelihood."""
    n, k, groups = some_rows()
    design = design_of(groups, n.size)
    precision = np.concatenate([[10.0**-2], *(np.full(g.size, g.sigma**-2) for g in groups)])

    def loss(w):
        odds = design @ w
        return (n * np.logaddexp(0, odds) - k * odds).sum() + (precision * w**2).sum() / 2

    def slope(w):
        return design.T @ (n / (1 + np.exp(-design @ w)) - k) + precision * w

    best = minimize(loss, np.zeros(design.shape[1]), jac=slope, method="BFGS", tol=1e-9)
    found = fit_logistic(n, k, groups)
    assert found.converged
    assert np.concatenate([[found.intercept], *found.coefficients]) == pytest.approx(
        best.x, abs=1e-5
    )


def test_order_of_rows_and_repeated_fits():
    """The same rows give the same bits; in another order, the same numbers to seven digits."""
    n, k, groups = some_rows()
    found, again = fit_logistic(n, k, groups), fit_logistic(n, k, groups)
    assert all(map(np.array_equal, found.coefficients, again.coefficients))
    turned = [LabelGroup(group.labels[::-1], group.size, group.sigma) for group in groups]
    other = fit_logistic(n[::-1], k[::-1], turned)
    for one, two in zip(found.coefficients, other.coefficients, strict=True):
        assert one == pytest.approx(two, abs=1e-6)


@pytest.mark.parametrize("clicks", [0.0, 1.0])
def test_nobody_or_everybody_clicked(clicks):
    """Where the likelihood alone has no maximum, priors keep every coefficient finite."""
    n = np.array([50.0, 2.0])
    group = LabelGroup(np.array([0, 1]), 2, 0.3)
    found = fit_logistic(n, n * clicks, [group])
    assert found.converged
    assert abs(found.intercept) < 50
    assert np.abs(found.coefficients[0]).max() < 2


def test_a_label_without_rows_keeps_its_prior():
    """What was never seen has the coefficient 0, the middle of its prior."""
    n, k, _ = some_rows()
    group = LabelGroup(np.zeros(n.size, dtype=np.int64), 3, 0.3)
    assert fit_logistic(n, k, [group]).coefficients[0][1:].tolist() == [0.0, 0.0]
