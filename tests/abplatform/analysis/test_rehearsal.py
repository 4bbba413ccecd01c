"""Rehearsals: the team's own test on its own units, assigned anew."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from abplatform.analysis.planning import Forecast, PastRun, look_at_plans, task_of
from abplatform.analysis.planning.growth import grow
from abplatform.analysis.rehearsal import describe_rehearsal, rehearse
from abplatform.analysis.rehearsal.crowd import gather_crowd, plant
from abplatform.analysis.rehearsal.replay import Stage, replay
from abplatform.domain.assignment import bucket, bucket_ranges
from abplatform.domain.experiment import Analysis, PrimaryMetric, Variant
from abplatform.errors import AnalysisError
from abplatform.stats.moments import Counts, UnitMoments
from abplatform.stats.sequential import build_series, rule, take_looks

DAILY = Analysis(test="sequential", min_runtime=timedelta(days=3), max_runtime=timedelta(days=8))
DAYS = 8


def silent(done, total):
    """Watch nothing."""


@pytest.fixture(scope="module")
def unit_days():
    """1,500 clustered users over eight days, half of whom come back."""
    rng = np.random.default_rng(8)
    users = 1500
    come = rng.gamma(0.8, 0.5, users)[:, None] * np.ones(DAYS)
    n = rng.poisson(come) * rng.integers(1, 6, (users, DAYS))
    k = rng.binomial(n, np.minimum(rng.lognormal(-2.6, 0.6, users), 0.6)[:, None])
    at, day = np.nonzero(n)
    units = [f"u{unit}" for unit in at]
    return pl.DataFrame({"unit": units, "day": day, "n": n[at, day], "k": k[at, day]})


@pytest.fixture
def trial(make, unit_days):
    """Make a stage with the weights, the lift and the test asked for."""

    def staged(*, planted=0.0, weights=(50, 50), seed=0, **changes):
        names = ("baseline", "generated", "third")[: len(weights)]
        variants = tuple(
            Variant(name, weight, control=name == "baseline")
            for name, weight in zip(names, weights, strict=True)
        )
        experiment = make(variants=variants, **{"analysis": DAILY, **changes})
        crowd = gather_crowd(unit_days, days=DAYS, seed=seed)
        task = task_of(experiment, days=DAYS)
        return Stage(experiment, task, crowd, share=True, planted=planted, seed=seed)

    return staged


def moments_of(stage, members, clicks):
    """The moments of running totals that a scorecard would be given."""
    places = [str(day) for day in range(1, DAYS + 1)]
    shown = stage.crowd.shown[members].astype(int)
    told = {"k": clicks[members].astype(int).tolist(), "n": shown.tolist()}
    k, n = np.cumsum(clicks[members], axis=1), np.cumsum(shown, axis=1)
    counts = [
        Counts(int((n[:, at] > 0).sum()), int((n[:, at] > 0).sum()), int((k[:, at] > 0).sum()))
        for at in range(DAYS)
    ]
    return UnitMoments.of_units(told, places=places).cumulated(counts)


@pytest.mark.parametrize("kind", ["sequential", "anytime", "fixed"])
@pytest.mark.parametrize("planted", [0.0, 0.35])
def test_every_run_is_judged_like_an_experiment(trial, kind, planted):
    """Units sit where the hash puts them, and a run crosses on the day that ``take_looks`` says."""
    stage = trial(planted=planted, weights=(60, 40), primary=PrimaryMetric("ctr", mde=0.3))
    (batch,) = replay(stage, runs=12, advance=silent)
    clicks = stage.crowd.clicks
    treated = clicks
    if planted:
        treated = plant(stage.crowd, planted, np.random.default_rng([0, 0]), share=True)
    low = bucket_ranges(stage.experiment.weights)["generated"][0].low
    plan = stage.task.plan(kind)
    for run in range(12):
        salt = f"rehearsal:{stage.experiment.key}:0:{run}"
        theirs = np.array([bucket(unit, salt) >= low for unit in stage.crowd.ids])
        series = build_series(
            moments_of(stage, ~theirs, clicks),
            moments_of(stage, theirs, treated),
            days=range(1, DAYS + 1),
            share=True,
        )
        ruling = rule(take_looks(plan, series))
        expected = ruling.row.day if ruling.decided and ruling.row.crossed else 0
        assert batch.days[plan.kind][run] == expected
        assert batch.directions[plan.kind][run] == ruling.direction


def test_without_a_difference_the_plans_hold_their_error(trial):
    """Over 600 runs the plans stay inside a wide band around alpha, and the naive test does not."""
    batches = list(replay(trial(), runs=600, advance=silent))
    rates = {
        kind.value: np.concatenate([batch.days[kind] > 0 for batch in batches]).mean()
        for kind in batches[0].days
    }
    # 0.05 ± 4 standard errors of 600 runs.
    assert 0.014 < rates["sequential"] < 0.086
    assert 0.014 < rates["fixed"] < 0.086
    assert rates["anytime"] <= 0.05
    assert np.concatenate([batch.naive for batch in batches]).mean() > 0.1
    assert np.concatenate([batch.srm for batch in batches]).sum() <= 3


def test_rehearsals_and_forecasts_agree(trial, unit_days):
    """The power that planning forecasts for each plan is the one that 500 runs find."""
    mde = PrimaryMetric("ctr", mde=0.22)
    stage = trial(planted=0.22, primary=mde)
    forecast = Forecast(grow(unit_days, days=DAYS), 1.0, 0.5, 0.5)
    outlooks = look_at_plans(stage.task, forecast)
    batches = list(replay(stage, runs=500, advance=silent))
    for outlook in outlooks:
        days = np.concatenate([batch.days[outlook.plan] for batch in batches])
        assert 0.1 < outlook.power < 0.9
        # Four standard errors, and a little for a lift that is not small.
        assert (days > 0).mean() == pytest.approx(outlook.power, abs=4 * 0.0224 + 0.01)
        assert np.where(days > 0, days, DAYS).mean() == pytest.approx(
            outlook.days_with_effect, abs=0.5
        )


def test_planted_lifts_are_the_lifts_asked_for(trial):
    """On average clicks rise or fall as planted, never above impressions nor below none."""
    crowd = trial().crowd
    rng = np.random.default_rng(1)
    for lift in (0.02, 0.3, -0.4):
        worlds = [plant(crowd, lift, rng, share=True) for _ in range(40)]
        for world in worlds:
            assert (world <= crowd.shown).all()
            assert (world >= 0).all()
            assert ((world - crowd.clicks) * lift >= 0).all()
        mean = np.mean([world.sum() for world in worlds]) / crowd.clicks.sum() - 1
        assert mean == pytest.approx(lift, abs=0.012)
    doubled = plant(crowd, 1.0, rng, share=False)
    assert (doubled == 2 * crowd.clicks).all()


def test_who_clicks_much_clicks_more(trial):
    """Planted clicks go by impression to units with a high rate rather than to all alike."""
    crowd = trial().crowd
    more = plant(crowd, 0.5, np.random.default_rng(3), share=True) - crowd.clicks
    shown, clicked = crowd.shown.sum(axis=1), crowd.clicks.sum(axis=1)
    much = clicked > np.quantile(clicked, 0.9)
    free = shown - clicked
    assert more[much].sum() / free[much].sum() > 1.3 * more[~much].sum() / free[~much].sum()


def test_a_lift_is_found_the_right_way_round(trial):
    """A large lift is found in nearly all runs, by every treatment's sign, a loss as a loss."""
    for planted in (0.8, -0.6):
        batches = list(replay(trial(planted=planted), runs=25, advance=silent))
        for kind in batches[0].days:
            assert (batches[0].days[kind] > 0).mean() > 0.9
            assert set(batches[0].directions[kind].tolist()) <= {0, int(np.sign(planted))}


def test_several_treatments_share_the_error(trial):
    """With two treatments a run counts once, by the first that crosses."""
    stage = trial(weights=(40, 30, 30))
    batches = list(replay(stage, runs=200, advance=silent))
    rate = np.concatenate([batch.days[kind] > 0 for batch in batches for kind in batch.days]).mean()
    assert rate < 0.09


def test_a_large_log_is_sampled(unit_days):
    """Of units that do not fit into memory a random sample is rehearsed, the same each time."""
    one, two = (gather_crowd(unit_days, days=DAYS, seed=4, most_cells=1600) for _ in range(2))
    assert len(one.ids) == 200
    assert one.known == unit_days["unit"].n_unique()
    assert one.ids.to_list() == two.ids.to_list()


@pytest.fixture
def rehearsed(make, show, frame_of, draw, start):
    """Rehearse the experiment of the drawn rows."""

    def run(kind="aa", *, count=50, seed=0, lift=None, users=800, **changes):
        experiment = make(**{"analysis": DAILY, **changes})
        with show(frame_of(draw(users=users))) as warehouse:
            return rehearse(
                warehouse,
                experiment,
                {experiment.key: PastRun(experiment)},
                kind=kind,
                count=count,
                lift=lift,
                seed=seed,
                advance=silent,
            )

    return run


def test_the_same_seed_gives_the_same_numbers(rehearsed):
    """A rehearsal repeats itself to the last digit, and another seed draws others."""
    one, two = rehearsed("power", lift=0.4), rehearsed("power", lift=0.4)
    assert one.to_json() == two.to_json()
    assert rehearsed("power", lift=0.4, seed=1).to_json()["plans"] != one.to_json()["plans"]


def test_a_rehearsal_says_what_it_left_out(rehearsed):
    """A log that is shorter than the run is said, and the metric's lift is the YAML's mde."""
    found = rehearsed("power", primary=PrimaryMetric("ctr", mde=0.25))
    assert found.lift == 0.25
    assert [note.code for note in found.notes] == ["log_shorter_than_run"]
    assert found.days == 7
    assert "A lift of 25% was found in" in describe_rehearsal(found)
    quiet = rehearsed("aa")
    assert quiet.lift == 0.0
    assert describe_rehearsal(quiet).startswith("Without any difference your test cried wolf in")
    low, high = quiet.own.rejects.interval.low, quiet.own.rejects.interval.high
    assert low <= quiet.own.rejects.rate <= high


def test_too_small_a_log_is_one_clear_error(rehearsed):
    """Fewer than 100 units cannot be rehearsed, and the error says what to do."""
    with pytest.raises(AnalysisError, match="100 units"):
        rehearsed(users=60)


def test_metrics_of_money_are_rehearsed_without_a_naive_test(rehearsed):
    """A metric that is no share has no impression-level test to compare with."""
    found = rehearsed(primary=PrimaryMetric("ctcvr"), users=3000)
    assert found.naive is None
    assert "naive_not_applicable" in [note.code for note in found.notes]
