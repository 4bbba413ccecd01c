"""Moments read from the store, against sums read from the store and against the rows."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from abplatform.analysis.scorecard import Question, scope_of
from abplatform.analysis.scorecard.moments import read_day_moments, read_level_moments
from abplatform.analysis.scorecard.totals import read_totals
from abplatform.domain.experiment import Breakdown
from abplatform.domain.metrics import METRICS
from abplatform.stats.moments import ratio_score, score_products


def week_from(start):
    return [(start + timedelta(days=n)).date() for n in range(7)]


@pytest.mark.parametrize("metric", ["ctr", "cvr", "match_rate"])
def test_the_last_days_running_totals_are_the_whole_sums(show, draw, make, start, metric):
    """At the end of the run, moments by day and the one-pass totals say the same."""
    experiment = make()
    scope = scope_of(experiment, Question(), {})
    with show(draw(users=300)) as warehouse:
        totals = read_totals(warehouse, scope, [METRICS["ctr"], METRICS["cvr"]], None)
        moments = read_day_moments(warehouse, scope, METRICS[metric], days=week_from(start))
    for variant in ("baseline", "generated"):
        ours = moments[variant].ratio_sums(6)
        if metric == "match_rate":
            assert ours.k == 0
        else:
            assert ours == totals.at("", variant, metric).sums


def test_scores_of_two_days_multiply_as_the_users_do(show, draw, make, start):
    """Σ ψ(j)ψ(k) over users from the store is what the rows give."""
    rows, days = draw(users=200), week_from(start)
    with show(rows) as warehouse:
        moments = read_day_moments(
            warehouse, scope_of(make(), Question(), {}), METRICS["ctr"], days=days
        )["generated"]
    found = score_products(moments, [ratio_score(moments, at) for at in range(7)])
    frame = pl.DataFrame(rows).filter(pl.col("variant") == "generated")
    users = sorted(set(frame["unit_id"]))
    n, k = np.zeros((len(users), 7)), np.zeros((len(users), 7))
    for row in frame.iter_rows(named=True):
        place = users.index(row["unit_id"]), (row["ts"].date() - days[0]).days
        n[place] += 1
        k[place] += row["clicked"]
    n, k = np.cumsum(n, axis=1), np.cumsum(k, axis=1)
    scores = (k - k.sum(axis=0) / n.sum(axis=0) * n) / n.sum(axis=0)
    np.testing.assert_allclose(found, scores.T @ scores, rtol=1e-9)


def test_levels_have_the_sums_of_the_breakdown_and_share_users(show, draw, make):
    """By category each place has the breakdown's own sums, and users who span two count in both."""
    experiment, cut = make(), Breakdown()
    scope = scope_of(experiment, Question(), {})
    with show(draw(users=300)) as warehouse:
        totals = read_totals(warehouse, scope, [METRICS["ctr"]], cut)
        moments = read_level_moments(warehouse, scope, METRICS["ctr"], cut)
    for variant, ours in moments.items():
        assert ours.places == ("beauty", "food", "home")
        for at, level in enumerate(ours.places):
            assert ours.ratio_sums(at) == totals.at(level, variant, "ctr").sums
        n = ours.at("n")
        assert ours.products[n, 0, n, 1] > 0
