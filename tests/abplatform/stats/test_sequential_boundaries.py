"""Boundaries against published tables, multivariate normal integrals and plain simulation."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

from abplatform.stats.sequential import (
    Spending,
    inflation_factor,
    plan_information,
    planned_boundaries,
)
from abplatform.stats.sequential.boundaries import BoundaryWalk, boundary_bounds
from abplatform.stats.sequential.paths import PATHS, GaussianPaths, rare_boundary
from abplatform.stats.sequential.recursion import Recursion, crossing_probabilities
from abplatform.stats.sequential.series import independent_correlation
from abplatform.stats.sequential.spending import classical_constant, spend


def even(looks):
    return tuple(k / looks for k in range(1, looks + 1))


def any_crossing(correlation, boundaries, means=None):
    """P(any |Z_k| ≥ b_k) from scipy's integral over the box."""
    b = np.asarray(boundaries)
    mean = np.zeros(len(b)) if means is None else np.asarray(means)
    kept = multivariate_normal.cdf(
        b, mean, correlation, lower_limit=-b, maxpts=400_000, abseps=1e-7, releps=1e-7, rng=7
    )
    return 1 - kept


# Reboussin, DeMets, Kim, Lan (2000), Controlled Clinical Trials 21, 190-207 (five looks, spending
# of Lan and DeMets 1983); two to four looks as gsDesign and rpact print them (sfLDOF, asOF).
LAN_DEMETS_OBRIEN_FLEMING = {
    2: (2.9626, 1.9686),
    3: (3.7103, 2.5114, 1.9930),
    4: (4.3326, 2.9631, 2.3590, 2.0141),
    5: (4.8769, 3.3569, 2.6803, 2.2898, 2.0310),
}
LAN_DEMETS_POCOCK = {
    2: (2.1570, 2.2010),
    3: (2.2794, 2.2949, 2.2959),
    4: (2.3683, 2.3675, 2.3582, 2.3500),
    5: (2.4380, 2.4268, 2.4101, 2.3966, 2.3859),
}

# Jennison and Turnbull (2000), tables 2.1 and 2.3, alpha = 0.05: C_P and C_B.
POCOCK_CONSTANTS = {2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 8: 2.512, 10: 2.555}
OBRIEN_FLEMING_CONSTANTS = {2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 8: 2.072, 10: 2.087}

# Jennison and Turnbull (2000), tables 2.2 and 2.4, alpha = 0.05: R_P and R_B by power.
INFLATION = {
    (Spending.CLASSICAL_POCOCK, 0.8): {2: 1.110, 3: 1.166, 4: 1.202, 5: 1.229, 10: 1.301},
    (Spending.CLASSICAL_POCOCK, 0.9): {2: 1.100, 3: 1.151, 4: 1.183, 5: 1.207, 10: 1.271},
    (Spending.CLASSICAL_OBRIEN_FLEMING, 0.8): {
        2: 1.008,
        3: 1.017,
        4: 1.024,
        5: 1.028,
        10: 1.040,
    },
    (Spending.CLASSICAL_OBRIEN_FLEMING, 0.9): {
        2: 1.007,
        3: 1.016,
        4: 1.022,
        5: 1.026,
        10: 1.037,
    },
}


@pytest.mark.parametrize("looks", LAN_DEMETS_OBRIEN_FLEMING)
def test_default_boundaries_are_the_published_lan_demets_ones(looks):
    """O'Brien-Fleming-type boundaries of 2 to 5 even looks agree with the tables."""
    found = planned_boundaries(alpha=0.05, planned=even(looks))
    assert found == pytest.approx(LAN_DEMETS_OBRIEN_FLEMING[looks], abs=1.5e-4)


@pytest.mark.parametrize("looks", LAN_DEMETS_POCOCK)
def test_pocock_type_boundaries_are_the_published_ones(looks):
    """Pocock-type boundaries of 2 to 5 even looks agree with the tables."""
    found = planned_boundaries(alpha=0.05, planned=even(looks), spending=Spending.POCOCK)
    assert found == pytest.approx(LAN_DEMETS_POCOCK[looks], abs=1.5e-4)


@pytest.mark.parametrize("looks", POCOCK_CONSTANTS)
def test_classical_constants_are_the_published_ones(looks):
    """C of Pocock and of O'Brien-Fleming agree with Jennison and Turnbull to three decimals."""
    for spending, table in (
        (Spending.CLASSICAL_POCOCK, POCOCK_CONSTANTS),
        (Spending.CLASSICAL_OBRIEN_FLEMING, OBRIEN_FLEMING_CONSTANTS),
    ):
        found = classical_constant(spending, alpha=0.05, planned=even(looks))
        assert found == pytest.approx(table[looks], abs=6e-4)


def test_classical_boundaries_at_planned_looks_have_their_shape():
    """Spent as a function of time, a classical boundary is still C/√t or C at the planned looks."""
    for spending, power in (
        (Spending.CLASSICAL_POCOCK, 0.0),
        (Spending.CLASSICAL_OBRIEN_FLEMING, 0.5),
    ):
        constant = classical_constant(spending, alpha=0.05, planned=even(5))
        found = planned_boundaries(alpha=0.05, planned=even(5), spending=spending)
        assert found == pytest.approx([constant / t**power for t in even(5)], abs=1e-6)


@pytest.mark.parametrize(("family", "looks"), [(f, k) for f in INFLATION for k in INFLATION[f]])
def test_inflation_factors_are_the_published_ones(family, looks):
    """R agrees with Jennison and Turnbull's tables at both powers."""
    spending, power = family
    found = inflation_factor(alpha=0.05, power=power, planned=even(looks), spending=spending)
    assert found == pytest.approx(INFLATION[family][looks], abs=1.1e-3)


def test_daily_looks_cost_about_five_percent_of_the_sample():
    """R is below 1.06 for 14 and 28 days with looks from day 7; I_max is R times the fixed."""
    for last in (14, 28):
        days = range(7, last + 1)
        found = plan_information(alpha=0.05, power=0.8, mde=0.1, days=days)
        fixed = ((norm.ppf(0.975) + norm.ppf(0.8)) / math.log(1.1)) ** 2
        assert 1.02 < found / fixed < 1.06


@pytest.mark.parametrize("seed", range(8))
def test_recursion_is_the_multivariate_normal_integral(seed):
    """Probabilities of crossing equal scipy's integrals for 2 to 4 uneven looks, with a drift."""
    rng = np.random.default_rng(seed)
    looks = 2 + seed % 3
    information = np.cumsum(rng.uniform(0.05, 1, looks))
    boundaries = rng.uniform(1.2, 3.2, looks)
    drift = [0.0, 0.7, -1.3][seed % 3]
    correlation = independent_correlation(information.tolist())
    means = drift * np.sqrt(information)
    found = crossing_probabilities(information.tolist(), boundaries.tolist(), drift=drift)
    assert found.total == pytest.approx(any_crossing(correlation, boundaries, means), abs=5e-6)


@pytest.mark.parametrize("spending", Spending)
def test_recursion_spends_alpha_to_one_in_a_hundred_thousand(spending):
    """Five boundaries of every plan are crossed with probability alpha by scipy's integral."""
    boundaries = planned_boundaries(alpha=0.05, planned=even(5), spending=spending)
    crossed = any_crossing(independent_correlation(list(even(5))), boundaries)
    assert crossed == pytest.approx(0.05, abs=1e-5)


@pytest.mark.parametrize(
    "information",
    [
        np.arange(1, 57) / 56,
        np.cumsum(np.tile([1.0, 0.002, 0.3], 6)),
        np.concatenate([[0.999], 0.999 + np.cumsum(np.full(12, 0.0011))]),
    ],
    ids=["56 days", "bumpy", "crowded"],
)
def test_recursion_stays_exact_over_many_looks(information):
    """A plain grid by the trapezoid rule finds alpha too, also where looks crowd together."""
    fractions = information / information[-1]
    spent = spend(Spending.OBRIEN_FLEMING, fractions, alpha=0.05, planned=())
    walk = BoundaryWalk(fractions.tolist(), independent_correlation(fractions.tolist()))
    boundaries = []
    for here in np.diff(spent, prepend=0.0):
        boundaries.append(walk.solve(float(here)))
        walk.record(float(here), boundaries[-1])
    coarse = crossing_probabilities(fractions.tolist(), boundaries)
    assert coarse.total == pytest.approx(0.05, abs=1e-8)
    assert fine_total(fractions, boundaries) == pytest.approx(0.05, abs=1e-5)


def fine_total(fractions, boundaries, points=1_501):
    """The same recursion by the trapezoid rule on a plain even grid."""
    crossed, density, grid = 0.0, None, None
    for k, (now, b) in enumerate(zip(fractions, boundaries, strict=True)):
        limit = min(b, 9.0) * math.sqrt(now)
        if k == 0:
            crossed += 2 * norm.sf(b)
            grid = np.linspace(-limit, limit, points)
            density = norm.pdf(grid, scale=math.sqrt(now))
            continue
        s = math.sqrt(now - fractions[k - 1])
        step = grid[1] - grid[0]
        weights = np.full(len(grid), step)
        weights[[0, -1]] /= 2
        mass = weights * density
        crossed += float(mass @ (norm.sf((b * math.sqrt(now) - grid) / s) * 2))
        fresh = np.linspace(-limit, limit, points)
        density = np.empty(points)
        for part in np.array_split(np.arange(points), 4):
            gaps = (fresh[part][:, None] - grid[None, :]) / s
            near = np.abs(gaps) < 9
            values = np.where(near, np.exp(-0.5 * np.where(near, gaps, 0.0) ** 2), 0.0)
            density[part] = values @ mass / (s * math.sqrt(2 * math.pi))
        grid = fresh
    return crossed


def test_recursion_agrees_with_plain_simulation():
    """A million random walks cross the ten Pocock-type boundaries as often as computed."""
    boundaries = planned_boundaries(alpha=0.05, planned=even(10), spending=Spending.POCOCK)
    rng = np.random.default_rng(11)
    crossed, runs = 0, 400_000
    for _ in range(5):
        walk = np.cumsum(rng.standard_normal((runs // 5, 10)), axis=1) / np.sqrt(range(1, 11))
        crossed += int((np.abs(walk) >= boundaries).any(axis=1).sum())
    assert crossed / runs == pytest.approx(0.05, abs=4 * math.sqrt(0.0475 / runs))


def test_a_last_look_without_new_information_is_still_solved():
    """Where information rises by next to nothing the boundary tends to that of no rise at all."""

    def solved(rise):
        recursion = Recursion()
        recursion.record(0.5, 2.963)
        recursion.record(0.9, 2.2)
        return recursion.solve(0.9 * (1 + rise), 0.01, (1.9, 3.0))

    def kept(b):  # without a rise: P(b ≤ |Z_2| < 2.2, |Z_1| < 2.963)
        inner = any_crossing(independent_correlation([0.5, 0.9]), (2.963, b))
        return inner - any_crossing(independent_correlation([0.5, 0.9]), (2.963, 2.2)) - 0.01

    limit = brentq(kept, 1.5, 2.19, xtol=1e-6)
    for rise in (1e-6, 1e-9, 1e-12):
        assert solved(rise) == pytest.approx(limit, abs=1e-3)


def test_paths_agree_with_the_recursion_where_both_apply():
    """On independent increments both methods give boundaries within their Monte-Carlo error."""
    planned = even(10)
    correlation = independent_correlation(list(planned))
    exact = planned_boundaries(alpha=0.05, planned=planned)
    spent = spend(Spending.OBRIEN_FLEMING, planned, alpha=0.05, planned=planned)
    paths = GaussianPaths(correlation)
    for look, here in enumerate(np.diff(spent, prepend=0.0).tolist()):
        found = paths.solve(look, here)
        paths.record(look, found)
        if here * PATHS < 100:
            assert found == rare_boundary(here)
        else:
            assert found == pytest.approx(exact[look], abs=4 * path_error(here, found))


def path_error(here, boundary):
    return math.sqrt(here / PATHS) / (2 * norm.pdf(boundary))


def test_paths_spend_alpha_whatever_the_correlation():
    """With returning users boundaries are crossed with probability alpha by scipy's integral."""
    information = np.array([0.3, 0.55, 0.5, 1.0])  # falls once
    ratio = independent_correlation(information.tolist())
    correlation = 0.5 * ratio + 0.5 * np.eye(4)
    walk, boundaries = BoundaryWalk(information.tolist(), correlation), []
    for here in (0.01, 0.01, 0.0, 0.03):
        boundaries.append(walk.solve(here))
        walk.record(here, boundaries[-1])
    assert not walk.independent
    assert math.isinf(boundaries[2])
    kept = [0, 1, 3]
    crossed = any_crossing(correlation[np.ix_(kept, kept)], [boundaries[k] for k in kept])
    assert crossed == pytest.approx(0.05, abs=4 * math.sqrt(0.0475 / PATHS))


def test_paths_are_never_drawn_again():
    """A look that is added leaves the boundaries of earlier looks as they were, to the bit."""
    rho = 0.3 * np.eye(9) + 0.7 * independent_correlation(list(even(9)))

    def solve(looks):
        walk, found = BoundaryWalk(even(9)[:looks], rho[:looks, :looks]), []
        for _ in range(looks):
            found.append(walk.solve(0.005))
            walk.record(0.005, found[-1])
        return found

    assert solve(9)[:5] == solve(5)


@pytest.mark.parametrize("looks", [28, 90])
def test_paths_stay_within_a_hundred_megabytes(looks):
    """Boundaries of 28 and of 90 daily looks by paths take less than 100 MB at their peak."""
    rho = 0.5 * np.eye(looks) + 0.5 * independent_correlation(list(even(looks)))
    tracemalloc.start()
    try:
        walk = BoundaryWalk(even(looks), rho)
        for _ in range(looks):
            walk.record(0.0005, walk.solve(0.0005))
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert not walk.independent


def test_a_correlation_that_cannot_be_is_mended():
    """Estimates that no statistics can have still give boundaries, and so do repeated looks."""
    impossible = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    repeated = np.ones((3, 3))
    for correlation in (impossible, repeated):
        walk = BoundaryWalk([1.0, 1.0, 1.0], correlation)
        for _ in range(3):
            found = walk.solve(0.01)
            walk.record(0.01, found)
            assert rare_boundary(0.03) <= found <= rare_boundary(0.01)


def test_the_method_changes_once_and_for_good():
    """A gap above 0.05 or a fall of information ends the recursion; a gap of 0.05 does not."""
    information = [1.0, 2.0, 3.0, 4.0]
    near = independent_correlation(information) - 0.049 * (1 - np.eye(4))
    walk = BoundaryWalk(information, near)
    for here in (0.01, 0.01, 0.01, 0.01):
        walk.record(here, walk.solve(here))
    assert walk.independent
    far = near.copy()
    far[1, 0] = far[0, 1] = near[1, 0] - 0.002
    for rho, ours in ((far, information), (near, [1.0, 2.0, 1.9, 4.0])):
        walk, methods = BoundaryWalk(ours, rho), []
        for here in (0.01, 0.01, 0.01, 0.01):
            walk.record(here, walk.solve(here))
            methods.append(walk.independent)
        assert methods == sorted(methods, reverse=True)
        assert not methods[-1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.02, 1.0), min_size=1, max_size=9),
    st.sampled_from([Spending.OBRIEN_FLEMING, Spending.POCOCK]),
    st.floats(0.001, 0.3),
)
def test_every_boundary_lies_within_its_bounds(steps, spending, alpha):
    """The cheap bounds hold the exact boundary, and total spend is alpha."""
    fractions = np.cumsum(steps) / np.sum(steps)
    planned = tuple(fractions.tolist())
    found = planned_boundaries(alpha=alpha, planned=planned, spending=spending)
    spent = spend(spending, fractions, alpha=alpha, planned=planned)
    low, high = boundary_bounds(np.diff(spent, prepend=0.0), spent)
    assert (low <= np.array(found) + 1e-9).all()
    assert (np.array(found) <= high + 1e-9).all()
    assert crossing_probabilities(planned, found).total == pytest.approx(alpha, abs=1e-7)


@pytest.mark.parametrize("spending", Spending)
def test_spending_rises_from_nothing_to_alpha(spending):
    """A(0) = 0, A(1) = alpha, and no spending function ever falls."""
    spent = spend(spending, np.linspace(0, 1, 101), alpha=0.05, planned=even(7))
    assert spent[0] == 0
    assert spent[-1] == pytest.approx(0.05, abs=1e-12)
    assert (np.diff(spent) >= 0).all()


def test_larger_alpha_spends_more_at_every_look_up_to_alpha_063():
    """The increments of the default function rise with alpha, so that boundaries fall with it."""
    fractions = np.linspace(0.01, 1, 60)
    levels = np.geomspace(1e-8, 0.63, 80)
    spent = [
        np.diff(spend(Spending.OBRIEN_FLEMING, fractions, alpha=a, planned=()), prepend=0.0)
        for a in levels
    ]
    for less, more in itertools.pairwise(spent):
        assert (more >= less - 1e-15).all()


def test_information_cannot_fall_in_the_recursion():
    """The recursion refuses a look that is no later than the one before."""
    recursion = Recursion()
    recursion.record(1.0, 2.0)
    with pytest.raises(ValueError, match="rises"):
        recursion.exceedance(1.0, 2.0)


def test_a_constant_belongs_to_classical_boundaries_only():
    """A spending function by time has no constant to ask for."""
    with pytest.raises(ValueError, match="no constant"):
        classical_constant(Spending.POCOCK, alpha=0.05, planned=even(3))
