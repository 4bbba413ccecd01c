"""Novelty and primacy: the lift by days since units were first seen."""

import json
from collections import defaultdict
from datetime import timedelta

import numpy as np
import pytest

from abplatform.analysis.scorecard import Question, scope_of
from abplatform.analysis.scorecard.novelty import find_trend, note_novelty, view_novelty
from abplatform.analysis.scorecard.special_views import NoveltyTrend, NoveltyView
from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import Variant
from abplatform.stats.moments import Counts, UnitMoments
from abplatform.stats.ratio import RatioSums, contrast

PLACES = ("0", "1-2", "3-6", "7+")


def place_of(age):
    return "0" if age == 0 else "1-2" if age <= 2 else "3-6" if age <= 6 else "7+"


def draw_visits(seed, start, *, users=600, lift=0.5, decay=0.0, days=12):
    """Rows of users who come back; the lift fades by exp(-decay) a day since each came first."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        treated, first = rng.random() < 0.5, int(rng.integers(days - 1))
        chance = 0.08 * rng.lognormal(-0.1, 0.4)
        for age in range(days - first):
            shown = rng.poisson(0.7) + (2 if age == 0 else 0)
            now = chance * (1 + lift * np.exp(-decay * age) * treated)
            rows += [
                {
                    "variant": "generated" if treated else "baseline",
                    "unit_id": f"u{user}",
                    "ts": start + timedelta(days=first + age, seconds=number),
                    "clicked": int(rng.random() < now),
                }
                for number in range(shown)
            ]
    return rows


def slow_sums(rows, variant):
    """Units that came back, by plain Python: place to sums."""
    days = defaultdict(set)
    for row in rows:
        days[row["unit_id"]].add(row["ts"].date())
    units = {place: defaultdict(lambda: [0, 0]) for place in PLACES}
    for row in rows:
        seen = days[row["unit_id"]]
        if row["variant"] != variant or len(seen) == 1:
            continue
        unit = units[place_of((row["ts"].date() - min(seen)).days)][row["unit_id"]]
        unit[0] += 1
        unit[1] += row["clicked"]
    return {
        place: RatioSums.of_units([n for n, _ in found.values()], [k for _, k in found.values()])
        for place, found in units.items()
    }


def moments_of(ages_n, ages_k):
    """Moments of units that came back, from arrays of shape (U, 4)."""
    back = ages_n[:, 1:].sum(axis=1) > 0
    n, k = ages_n[back].astype(float), ages_k[back].astype(float)
    u = np.zeros_like(n)
    u[:, 0] = 1
    flat = np.stack([k, n, u], axis=1).reshape(len(n), 12)
    whole = np.vectorize(int, otypes=[object])
    counts = [
        Counts(int(m), int(m), int(c)) for m, c in zip((n > 0).sum(0), (k > 0).sum(0), strict=True)
    ]
    return UnitMoments(
        kinds=("k", "n", "u"),
        places=PLACES,
        sums=whole(flat.sum(axis=0)).reshape(3, 4),
        products=whole(flat.T @ flat).reshape(3, 4, 3, 4),
        counts=tuple(counts),
    )


def draw_moments(rng, *, users=4000, lift=0.1, decay=0.0, by_activity=0.0):
    """Both variants of heavy-tailed users over two weeks, as moments."""
    found = []
    for treated in (False, True):
        active, taste = rng.gamma(0.7, 1 / 0.7, users), rng.lognormal(-0.18, 0.6, users)
        first = rng.integers(14, size=users)
        n, k = np.zeros((users, 4), int), np.zeros((users, 4), int)
        for age in range(14):
            place = PLACES.index(place_of(age))
            shown = rng.poisson(active * (2 if age == 0 else 0.5)) + (age == 0)
            shown = np.where(first + age < 14, shown, 0)
            effect = lift * np.exp(-decay * age) + by_activity * (np.log1p(active) - 0.6)
            n[:, place] += shown
            chance = np.clip(0.03 * taste * (1 + treated * effect), 0, 1)
            k[:, place] += rng.binomial(shown, chance)
        found.append(moments_of(n, k))
    return found


def test_rows_are_what_plain_python_counts(show, make, start):
    """Each row compares the units that came back, on those days since each was first seen."""
    rows = draw_visits(1, start)
    ours, theirs = slow_sums(rows, "baseline"), slow_sums(rows, "generated")
    with show(rows) as warehouse:
        view = view_novelty(warehouse, scope_of(make(), Question(), {}))
    assert [row.days for row in view.rows] == list(PLACES)
    for row in view.rows:
        expected = contrast(ours[row.days], theirs[row.days], share=True)
        assert row.units_control == ours[row.days].units
        assert row.relative_lift == pytest.approx(expected.relative_lift, rel=1e-12)
        assert row.ci_low == pytest.approx(expected.relative.low, rel=1e-9)


def test_a_lift_that_wears_off_warns(show, make, start, run):
    """A novelty that halves every two days is found, and called so; JSON holds it."""
    rows = draw_visits(2, start, users=2500, lift=2.0, decay=0.35)
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    (note,) = [note for note in scorecard.warnings if note.code == "novelty_or_primacy"]
    assert "novelty wears off" in note.message
    (trend,) = scorecard.novelty.trends
    assert trend.per_step < 0
    assert trend.p_value < 0.01
    data = scorecard.to_json()["novelty"]
    json.dumps(data, allow_nan=False)
    assert data["trends"][0]["statistic"] == trend.statistic
    assert len(data["rows"]) == 4


def test_a_constant_lift_does_not_warn(show, make, start, run):
    """A lift that stays is shown by days without a warning."""
    with show(draw_visits(3, start, users=900)) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    assert scorecard.novelty.trends[0].p_value > 0.01
    assert "novelty_or_primacy" not in {note.code for note in scorecard.warnings}


def test_the_slope_is_generalised_least_squares():
    """Slope and error are those of statsmodels' GLS with the joint covariance."""
    from statsmodels.regression.linear_model import GLS

    from abplatform.stats.joint import joint_lifts

    control, treated = draw_moments(np.random.default_rng(5), lift=0.3)
    joint = joint_lifts(control, treated)
    design = np.column_stack([np.ones(4), np.arange(4.0)])
    oracle = GLS(joint.log_lifts, design, sigma=joint.covariance).fit(cov_type="fixed scale")
    trend = find_trend("gen", control, treated)
    assert trend.per_step == pytest.approx(np.expm1(oracle.params[1]), rel=1e-8)
    assert trend.statistic == pytest.approx(oracle.params[1] / oracle.bse[1], rel=1e-8)


@pytest.mark.parametrize("world", [{"lift": 0.1}, {"lift": 0.1, "by_activity": 0.2}])
def test_constant_lifts_hardly_alarm(world):
    """Of 150 lifts that stay, 1 % alarm (3.3 errors above: 3.7 %), also where regulars differ."""
    rng = np.random.default_rng(7)
    p = [find_trend("gen", *draw_moments(rng, **world)).p_value for _ in range(150)]
    assert np.mean(np.array(p) < 0.01) <= 0.01 + 3.3 * np.sqrt(0.01 * 0.99 / 150)


def test_few_clicks_are_undetermined(show, make, start):
    """Rows with fewer than 50 clicking units tell no trend, and say so; no row, no number."""
    with show(draw_visits(4, start, users=60)) as warehouse:
        view = view_novelty(warehouse, scope_of(make(), Question(), {}))
    (trend,) = view.trends
    assert trend.p_value is None
    assert trend.undetermined.startswith("few_clicks: ")
    assert all((row.relative_lift is None) == (row.p_value is None) for row in view.rows)


def test_nobody_came_back(show, make, draw, start):
    """Units of one day, and impressions that stand alone, have no view."""
    rows = [row | {"ts": start} for row in draw(users=200)]
    with show(rows) as warehouse:
        assert view_novelty(warehouse, scope_of(make(), Question(), {})) is None
        alone = make(unit="request_id")
        assert view_novelty(warehouse, scope_of(alone, Question(), {})) is None


def test_a_variant_without_traffic_is_no_error(show, make, start):
    """A treatment that nobody saw gets rows with reasons."""
    rows = [row for row in draw_visits(5, start, users=200) if row["variant"] == "baseline"]
    variants = (Variant("baseline", 50, control=True), Variant("generated", 50))
    with show(rows) as warehouse:
        view = view_novelty(warehouse, scope_of(make(variants=variants), Question(), {}))
    assert {row.undetermined.partition(":")[0] for row in view.rows} == {"no_traffic"}
    assert view.trends[0].undetermined


def test_several_treatments_share_the_error_rate():
    """With two treatments each may alarm at half of 1 %."""
    trends = (
        NoveltyTrend("a", -0.1, -4.0, 6e-5, 150.0),
        NoveltyTrend("b", 0.1, 4.5, 7e-6, 250.0),
    )
    (note,) = note_novelty(NoveltyView((), trends))
    assert "of b rises" in note.message
    assert note_novelty(None) == []
