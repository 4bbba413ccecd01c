"""Planning from logs whose units, variances and growth are known."""

import json
import math
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abplatform.analysis.planning import (
    PastRun,
    Stated,
    headline,
    plan_experiment,
    planning_json,
    planning_page,
    read_past,
    warnings_of,
)
from abplatform.analysis.planning.growth import Curve, explained_share, grow
from abplatform.domain.experiment import (
    Analysis,
    BucketRange,
    Cuped,
    Layer,
    Phase,
    PrimaryMetric,
    RampStep,
    Variant,
)
from abplatform.domain.targeting import NumberRange
from abplatform.errors import AnalysisError
from abplatform.stats.power import unit_variance
from abplatform.stats.ratio import RatioSums
from abplatform.stats.undetermined import Undetermined
from abplatform.workspace import CalendarStretch

UTC = ZoneInfo("UTC")
DAILY = Analysis(test="sequential", min_runtime=timedelta(days=7), max_runtime=timedelta(days=28))


def draw_units(rng, *, users, days, per_day, returning=False, spread=40.0, rate=0.05):
    """Rows of the control: each user comes on one day, or on all, with ``per_day`` impressions."""
    own = rng.beta(rate * spread, (1 - rate) * spread, users)
    rows = []
    for user in range(users):
        for day in range(days) if returning else (user % days,):
            clicked = rng.random(per_day) < own[user]
            rows += [(f"u{user}", day, int(one)) for one in clicked]
    return rows


def as_exposures(frame_of, rows, start, *, experiment="old", variant="baseline", **more):
    return frame_of(
        [
            {
                "experiment": experiment,
                "variant": variant,
                "unit_id": unit,
                "ts": start + timedelta(days=day, hours=2),
                "clicked": clicked,
                **more,
            }
            for unit, day, clicked in rows
        ]
    )


@pytest.fixture
def plan(make, run):
    """Plan a draft that is like the experiment ``old``, both changed as asked."""

    def planned(warehouse, *, old=None, stated=None, zone=UTC, **changes):
        mine = make(key="new", **{"analysis": DAILY, **changes})
        runs = {"new": PastRun(mine), "old": old or PastRun(make(key="old"))}
        draft = replace(run, started_at=None)
        return plan_experiment(warehouse, mine, runs, run=draft, zone=zone, stated=stated)

    return planned


@pytest.fixture(scope="module")
def one_day_users():
    """7 days of 500 users of 6 impressions each in the control, none of whom comes back."""
    return draw_units(np.random.default_rng(11), users=3500, days=7, per_day=6)


@pytest.fixture
def seen(frame_of, start, one_day_users):
    """The same as exposures of the experiment ``old``."""
    return as_exposures(frame_of, one_day_users, start)


def test_known_traffic_is_found_again(plan, show, seen):
    """Units a day, rate, impressions per unit and design effect are those of the simulation."""
    with show(seen) as warehouse:
        planning = plan(warehouse)
    facts = planning.traffic.growth.facts
    assert planning.traffic.origin == "experiment"
    assert planning.traffic.units == 3500
    # The control is half of the traffic.
    assert [planning.forecast.units(day) for day in (1, 3, 7)] == [1000.0, 3000.0, 7000.0]
    assert facts.per_unit == 6.0
    assert facts.rate == pytest.approx(0.05, rel=0.06)
    # Beta-binomial: 1 + (n - 1)/(a + b + 1).
    assert facts.design_effect == pytest.approx(1 + 5 / 41, rel=0.05)
    assert planning.traffic.growth.units.exponent == pytest.approx(1.0)
    assert planning.forecast.units(28) == pytest.approx(28_000)


def test_users_who_always_return_bring_no_units(plan, show, frame_of, start):
    """Where the same users come every day, units stand still and information still grows."""
    rows = draw_units(
        np.random.default_rng(5), users=400, days=6, per_day=3, returning=True, spread=200.0
    )
    with show(as_exposures(frame_of, rows, start)) as warehouse:
        planning = plan(warehouse)
    growth = planning.traffic.growth
    assert growth.units.exponent == 0.0
    assert 0.3 < growth.worth.exponent <= 1.0
    assert planning.forecast.units(28) == planning.forecast.units(6) == 800.0
    assert planning.forecast.information(28) > planning.forecast.information(6)
    assert "extrapolated" in {one.code for one in warnings_of(planning)}


def test_the_forecast_is_what_a_rehearsal_finds(plan, show, seen):
    """The smallest lift by the log's end needs the units that statsmodels says."""
    from statsmodels.stats.power import NormalIndPower

    with show(seen) as warehouse:
        planning = plan(warehouse, primary=PrimaryMetric("ctr", mde=0.1))
    (fixed, sequential, anytime) = planning.plans
    effect = math.log1p(0.1) / math.sqrt(planning.traffic.growth.facts.unit_variance)
    needed = 2 * NormalIndPower().solve_power(effect, alpha=0.05, power=0.8)
    # The log has 7 days, and the 12th is a guess.
    assert fixed.units == pytest.approx(needed, rel=0.1)
    assert fixed.days == math.ceil(fixed.units / 1000 - 1e-9)
    assert 1.02 < sequential.cost < 1.08
    assert 1.4 < anytime.cost < 2.45
    assert fixed.units < sequential.units < anytime.units
    assert fixed.smallest_lift < sequential.smallest_lift < anytime.smallest_lift


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(1, 3), st.integers(0, 2)),
        min_size=1,
        max_size=30,
    ),
    scale=st.sampled_from([1, 10**6, 10**13]),
)
@settings(max_examples=60, deadline=None)
def test_growth_adds_up_like_a_slow_count(rows, scale):
    """The sums by day are those of counting every unit anew, at any size of numbers."""
    totals = {}
    for unit, day, n, k in rows:
        was = totals.get((unit, day), (0, 0))
        totals[unit, day] = (was[0] + n, was[1] + k * scale)
    frame = pl.DataFrame(
        [{"unit": f"u{unit}", "day": day, "n": n, "k": k} for (unit, day), (n, k) in totals.items()]
    )
    growth = grow(frame, days=5)

    def counted(last):
        units = {unit for unit, day in totals if day <= last}
        pairs = [
            [
                sum(
                    value[at] for (who, day), value in totals.items() if who == unit and day <= last
                )
                for at in (0, 1)
            ]
            for unit in sorted(units)
        ]
        return RatioSums.of_units([n for n, _ in pairs], [k for _, k in pairs])

    whole = unit_variance(counted(4))
    if isinstance(whole, Undetermined):
        assert isinstance(growth, Undetermined)
        return
    assert growth.facts.unit_variance == pytest.approx(whole, rel=1e-12)
    assert list(growth.units.seen) == [counted(day).units for day in range(5)]
    assert list(growth.events.seen) == [counted(day).k_units for day in range(5)]


def test_a_curve_goes_on_as_it_went():
    """Beyond the log its law holds, bent or not; inside it the days are read off."""
    curve = Curve.of([10 * day**0.6 for day in range(1, 9)])
    assert curve.at(3) == pytest.approx(10 * 3**0.6)
    assert curve.at(32) == pytest.approx(10 * 32**0.6)
    assert curve.at(2.5) == pytest.approx((curve.at(2) + curve.at(3)) / 2)
    assert curve.at(0) == 0.0
    bent = Curve.of([1000 * (1 - 0.9**day) for day in range(1, 9)])
    assert bent.bend < 0
    assert bent.seen[-1] < bent.at(16) < bent.seen[-1] * 2**bent.exponent
    assert bent.at(16) == pytest.approx(1000 * (1 - 0.9**16), rel=0.1)
    assert bent.at(10_000) == bent.at(20_000)
    assert Curve.of([5.0]).at(3) == pytest.approx(15.0)


def test_cuped_gain_is_that_of_the_simulation():
    """What the week before explains is the squared correlation of two weeks of one user."""
    rng = np.random.default_rng(2)
    own = rng.gamma(4.0, 0.05, 20_000)
    clicks = rng.poisson(own[:, None] * np.ones(2) * 20)
    frame = pl.DataFrame(
        {
            "unit": [f"u{unit}" for unit in range(20_000) for _ in range(2)],
            "day": [0, 1] * 20_000,
            "n": [100, 100] * 20_000,
            "k": clicks.ravel(),
        }
    )
    # Poisson with a gamma mean: correlation of two draws = m/(m + shape).
    mean = 4.0 * 0.05 * 20
    correlation = mean / (mean + 4.0)
    assert explained_share(frame, days=2, window=1) == pytest.approx(correlation**2, abs=0.02)
    assert explained_share(frame.filter(pl.col("day") == 0), days=1, window=1) is None


def test_cuped_in_the_yaml_lowers_what_is_needed(plan, show, frame_of, start):
    """With CUPED the plan needs 1 - ρ² of the information, and says how much is explained."""
    rows = draw_units(
        np.random.default_rng(5), users=400, days=8, per_day=4, returning=True, spread=8.0, rate=0.2
    )
    cuped = replace(DAILY, cuped=Cuped(window=timedelta(days=4)))
    with show(as_exposures(frame_of, rows, start)) as warehouse:
        plain, adjusted = plan(warehouse), plan(warehouse, analysis=cuped)
        none = plan(warehouse, analysis=replace(DAILY, cuped=Cuped(numerator="a", denominator="b")))
    explained = adjusted.traffic.explained
    assert explained > 0.2
    assert adjusted.forecast.information(8) == pytest.approx(
        plain.forecast.information(8) / (1 - explained)
    )
    assert plain.traffic.explained is None
    assert "cuped_unknown" in {one.code for one in warnings_of(none)}


def test_shares_of_traffic_scale_what_was_seen(plan, make, show, seen, start):
    """A control of 20 % in a layer's half, seen by a plan for all traffic, stands for ten times."""
    whole = BucketRange(0, 2**32)
    half = BucketRange(0, 2**31)
    variants = (Variant("baseline", 20, control=True), Variant("generated", 80))
    phase = Phase(1, start, None, (half,), whole, {}, {"baseline": 20.0, "generated": 80.0})
    old = PastRun(make(key="old", variants=variants, layer=Layer("feed", 0.5)), (phase,))
    with show(seen) as warehouse:
        planning = plan(warehouse, old=old)
        limited = plan(warehouse, old=old, layer=Layer("feed", 0.05))
        ramp = (RampStep(0.1, timedelta(days=2)), RampStep(1.0))
        slow = plan(warehouse, old=old, ramp=ramp)
    assert planning.forecast.units(2) == pytest.approx(10_000)
    assert limited.forecast.units(2) == pytest.approx(500)
    assert "traffic_limited" in {one.code for one in warnings_of(limited)}
    # 10 % for two days, then the other 90 % begin.
    assert slow.forecast.units(3) == pytest.approx(0.1 * 15_000 + 0.9 * 5_000)


def test_targeting_chooses_the_rows(plan, show, frame_of, start, one_day_users):
    """Only rows of the targeted categories count, with all below them and none that look alike."""
    rows = pl.concat(
        [
            as_exposures(frame_of, one_day_users, start, category=category)
            for category in ("beauty/lip", "beautyful", "home")
        ]
    )
    with show(rows) as warehouse:
        everything = plan(warehouse)
        beauty = plan(warehouse, targeting={"category": ("beauty",)})
        with pytest.raises(AnalysisError, match="no log tells"):
            plan(warehouse, targeting={"country": ("SG",)})
    assert everything.traffic.growth.facts.per_unit == 18.0
    assert beauty.traffic.growth.facts.per_unit == 6.0


def test_the_own_control_comes_before_all_others(make, show, frame_of, start, one_day_users):
    """Once an experiment has rows enough, its own control is what the forecast rests on."""
    few = one_day_users[: 6 * 900]
    rows = pl.concat(
        [
            as_exposures(frame_of, one_day_users, start),
            as_exposures(frame_of, few, start, experiment="new"),
            as_exposures(frame_of, one_day_users, start, experiment="new", variant="generated"),
        ]
    )
    mine, old = make(key="new"), make(key="old")
    runs = {"new": PastRun(mine), "old": PastRun(old)}
    with show(rows) as warehouse:
        own = read_past(warehouse, mine, runs)
        products = read_past(warehouse, replace(mine, key="x", unit="product_id"), runs)
    assert (own.origin, own.units) == ("own", 900)
    assert products is None


def test_bots_and_excluded_sources_stay_out(make, show, frame_of, start, one_day_users):
    """What no scorecard counts does not count for planning either."""
    rows = pl.concat(
        [
            as_exposures(frame_of, one_day_users[:6000], start),
            as_exposures(frame_of, one_day_users[6000:12000], start, bot=True),
            as_exposures(frame_of, one_day_users[12000:], start, source="broken"),
        ],
        how="diagonal",
    )
    old = make(key="old")
    with show(rows) as warehouse:
        past = read_past(warehouse, old, {"old": PastRun(old, excluded_sources=("broken",))})
    assert past.units == 1000


def test_the_calendar_counts_windows_and_late_data(plan, show, seen):
    """The verdict is final one attribution window and the late data after the last look."""
    with show(seen) as warehouse:
        calendar = plan(warehouse, zone=ZoneInfo("Asia/Shanghai")).calendar
        fixed = plan(warehouse, analysis=replace(DAILY, test="fixed")).calendar
    assert calendar.starts_at.astimezone(ZoneInfo("Asia/Shanghai")).hour == 0
    assert calendar.decides_at - calendar.starts_at == timedelta(days=28)
    assert calendar.latest_verdict - calendar.decides_at == timedelta(hours=96)
    assert calendar.earliest_verdict - calendar.starts_at == timedelta(days=7 + 4)
    assert fixed.earliest_verdict == fixed.latest_verdict


def test_a_draft_that_meets_the_calendar_lasts_whole_weeks(make, show, seen, run):
    """A sale in the run makes ten days two weeks, and the plan is made for two weeks."""
    sale = (run.now + timedelta(days=4)).date()
    draft = replace(run, started_at=None, calendar=(CalendarStretch(sale, sale, "sale"),))
    mine = make(key="new", analysis=replace(DAILY, max_runtime=timedelta(days=10)))
    runs = {"old": PastRun(make(key="old"))}
    with show(seen) as warehouse:
        planning = plan_experiment(warehouse, mine, runs, run=draft, zone=UTC)
        plain = plan_experiment(warehouse, mine, runs, run=replace(draft, calendar=()), zone=UTC)
    assert (planning.task.max_days, plain.task.max_days) == (14, 10)


def test_conditions_that_the_log_cannot_tell_are_named(plan, show, seen):
    """A planning counts categories and countries; what else leaves units out it names."""
    told = {"country": ("CN",), "age": NumberRange(min=18), "premium": True}
    with show(seen) as warehouse:
        unseen, counted = (
            plan(warehouse, targeting=targeting) for targeting in (told, {"category": ("beauty",)})
        )
    (warning,) = (one for one in warnings_of(unseen) if one.code == "targeting_unseen")
    assert "targeting by age, premium leaves out" in warning.message
    assert "targeting_unseen" not in {one.code for one in warnings_of(counted)}


def test_warnings_name_what_holds_it_back(plan, show, seen):
    """Too short a run, lopsided weights, a missing mde and hardly any clicks are all said."""
    lopsided = (Variant("baseline", 95, control=True), Variant("generated", 5))
    with show(seen) as warehouse:
        planning = plan(warehouse, variants=lopsided, primary=PrimaryMetric("ctr"))
        fine = plan(warehouse, primary=PrimaryMetric("ctr", mde=0.5))
    codes = {one.code for one in warnings_of(planning)}
    assert codes >= {"runtime_too_short", "weights_lopsided", "mde_missing"}
    assert headline(planning, UTC).startswith("28 days with about 28,000 users find a lift of ")
    assert headline(fine, UTC).startswith("To find a lift of 50% you need about ")
    assert {one.code for one in warnings_of(fine)} == {"extrapolated"}


def test_several_treatments_cost_more(plan, show, seen):
    """With three treatments the least one is planned for, at Dunnett's or its share of alpha."""
    many = (
        Variant("baseline", 40, control=True),
        Variant("a", 30),
        Variant("b", 20),
        Variant("c", 10),
    )
    with show(seen) as warehouse:
        one, three = plan(warehouse), plan(warehouse, variants=many)
    assert three.forecast.treatment_share == pytest.approx(0.1)
    assert 1.96 < three.task.critical < 2.394
    for fewer, more in zip(one.plans, three.plans, strict=True):
        assert more.smallest_lift > fewer.smallest_lift


def test_what_people_state_takes_the_log_s_place(plan, show, seen, frame_of, start):
    """Each stated number replaces the log's; without a log rate and units a day are enough."""
    with show(seen) as warehouse:
        logged = plan(warehouse)
        doubled = plan(
            warehouse, stated=Stated(design_effect=2 * logged.traffic.growth.facts.design_effect)
        )
        steady = plan(warehouse, stated=Stated(units_per_day=100.0))
    assert doubled.forecast.information(5) == pytest.approx(logged.forecast.information(5) / 2)
    assert steady.forecast.units(10) == pytest.approx(1000)
    with show(as_exposures(frame_of, [("u1", 0, 1)], start)) as empty:
        alone = plan(empty, stated=Stated(rate=0.02, units_per_day=5000.0))
        with pytest.raises(AnalysisError, match="--units-per-day"):
            plan(empty, stated=Stated(rate=0.02))
        with pytest.raises(AnalysisError, match="does not follow from a rate"):
            plan(empty, stated=Stated(rate=0.02), primary=PrimaryMetric("rpm"))
    assert alone.traffic.growth.facts.unit_variance == pytest.approx(49.0)
    assert alone.traffic.to_json()["source"] == "assumed"


def test_reports_of_days_stand_in_where_no_unit_is_known(make, show, frame_of, start, run):
    """Where only day counts are known an impression is a unit, and days tell the variance."""
    rng = np.random.default_rng(1)
    rows = [
        {
            "experiment": "ads",
            "variant": variant,
            "category": "home",
            "product_id": "p",
            "creative_id": f"{variant}-{place}",
            "day": (start + timedelta(days=day)).date(),
            "impressions": 1000,
            "clicks": int(rng.binomial(1000, 0.02)),
            "conversions": 0,
            "value_micros": 0,
            "cost_micros": 0,
            "source": "network",
        }
        for day in range(10)
        for variant in ("baseline", "generated")
        for place in range(2)
    ]
    ads = make(key="ads", assignment="external", analysis=DAILY)
    with (
        show(frame_of([{"variant": "baseline", "unit_id": "u"}])) as warehouse,
        warehouse.instead_of("aggregates_current", pl.DataFrame(rows)),
    ):
        planning = plan_experiment(warehouse, ads, {}, run=run, zone=UTC)
    facts = planning.traffic.growth.facts
    control = [row for row in rows if row["variant"] == "baseline"]
    assert facts.rate == sum(row["clicks"] for row in control) / 20_000
    assert planning.forecast.units(5) == pytest.approx(20_000)
    assert 1.0 <= facts.design_effect < 2.0
    assert "impressions" in headline(planning, UTC)
    assert "variance_from_day_rows" in {one.code for one in warnings_of(planning)}


def test_a_decrease_is_planned_on_its_own_side(plan, show, seen):
    """A metric that should fall needs other information than one that should rise as much."""
    down = PrimaryMetric("ctr", direction="decrease", mde=0.1)
    with show(seen) as warehouse:
        planning = plan(warehouse, primary=down)
        with pytest.raises(AnalysisError, match="cannot fall"):
            plan(warehouse, primary=replace(down, mde=1.0))
    assert planning.task.lift == -0.1
    assert "-10%" in headline(planning, UTC).replace("\N{MINUS SIGN}", "-")


def test_json_and_page_tell_the_same(plan, show, seen):
    """The JSON has no infinity, and the page holds its sentence, all plans and one picture."""
    with show(seen) as warehouse:
        planning = plan(warehouse, primary=PrimaryMetric("ctr", mde=0.0001))
    data = planning_json(planning, UTC)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert [one["plan"] for one in data["plans"]] == ["fixed", "sequential", "anytime"]
    assert data["plans"][0]["days"] is None
    html = planning_page(planning, UTC)
    assert html.count("<svg class=") == 1
    assert data["sentence"] in html
    assert all(f"<td>{plan}</td>" in html for plan in ("fixed", "sequential", "anytime"))
