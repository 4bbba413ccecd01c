"""The split watched day after day: latch, acknowledgement, segments, phases, excluded sources."""

import math
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from abplatform.analysis.pairs import preference_pairs
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.split import check_split, judge_split, note_split
from abplatform.analysis.scorecard.split_counts import read_split
from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import Phase, Variant
from abplatform.stats.srm import FIRES_AT, e_value_of, log_e_value

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def deal(start):
    """Return ``deal(counts, day=0, **facts)``: one exposure for each of so many new units."""
    number = iter(range(10**9))

    def rows(counts, *, day=0, **facts):
        moment = start + day * DAY + HOUR
        return [
            {"variant": variant, "unit_id": f"u{next(number)}", "ts": moment, **facts}
            for variant, count in counts.items()
            for _ in range(count)
        ]

    return rows


def halves(baseline, generated):
    return {"baseline": baseline, "generated": generated}


def phase(number, starts_at, weights):
    return Phase(
        number=number,
        starts_at=starts_at,
        ends_at=None,
        slots=(),
        exposure=None,
        variants={},
        weights=weights,
    )


def check_of(show, rows, experiment, run, **options):
    with show(rows) as warehouse:
        return check_split(warehouse, Scope(experiment), run, **options)


def test_the_e_value_is_that_of_all_units_day_by_day(show, make, run, deal):
    """New units of a day join those before; the largest value at a day's end is the one shown."""
    rows = deal(halves(520, 480)) + deal(halves(300, 360), day=1) + deal(halves(50, 40), day=4)
    with show(rows) as warehouse:
        split = read_split(warehouse, Scope(make()), run)
        check = check_split(warehouse, Scope(make()), run)
    totals = [(520, 480), (820, 840), (870, 880)]
    expected = [float(log_e_value(total, [50, 50])) for total in totals]
    assert [day.log_e for day in split.days()] == pytest.approx(expected)
    assert [day.units for day in split.days()] == [
        halves(520, 480),
        halves(300, 360),
        halves(50, 40),
    ]
    assert check.e_value == pytest.approx(math.exp(max(expected)))
    assert check.e_value_now == pytest.approx(math.exp(expected[-1]))
    assert (check.verdict, check.fired_on) == ("ok", None)


def test_an_alarm_stands_until_it_is_acknowledged(show, make, run, deal, start):
    """A day that fired counts for good; after an acknowledgement only later days' values do."""
    rows = deal(halves(5400, 4600)) + deal(halves(20_000, 20_700), day=2)
    latched = check_of(show, rows, make(), run)
    assert latched.verdict == "alarm"
    assert latched.fired_on == start.date()
    assert latched.e_value > FIRES_AT > latched.e_value_now
    assert [note.code for note in note_split(latched, run)] == ["srm_latched"]
    calm = check_of(show, rows, make(), replace(run, srm_acknowledged=(start + 2 * DAY,)))
    assert calm.verdict == "ok"
    assert calm.e_value == calm.e_value_now == latched.e_value_now
    same_day = replace(run, srm_acknowledged=(start + HOUR,))
    assert check_of(show, rows, make(), same_day).verdict == "alarm"


def test_acknowledging_mends_nothing(show, make, run, deal, start):
    """While the units so far are out of proportion the alarm stays, acknowledged or not."""
    rows = deal(halves(5400, 4600))
    told = replace(run, srm_acknowledged=(start + 9 * DAY,))
    check = check_of(show, rows, make(), told)
    assert check.verdict == "alarm"
    assert check.acknowledged_at == start + 9 * DAY


def test_an_acknowledgement_counts_from_its_moment_on(show, make, run, deal, start):
    """A question about an earlier moment does not know of it; days are the workspace's."""
    rows = deal(halves(5400, 4600)) + deal(halves(20_000, 20_700), day=2)
    told = replace(run, srm_acknowledged=(start + 2 * DAY - HOUR,))
    with show(rows) as warehouse:
        early = Scope(make(), until=start + DAY)
        assert check_split(warehouse, early, told).acknowledged_at is None
        # 23:00 UTC is the next day in Shanghai.
        scope, shanghai = Scope(make()), ZoneInfo("Asia/Shanghai")
        assert check_split(warehouse, scope, told, zone=shanghai).verdict == "ok"


def test_a_segment_alarms_for_itself(show, make, run, deal):
    """Faults that cancel out overall ring in their segments, at 1,000 times their number."""
    rows = deal(halves(2700, 2300), segment="new") + deal(halves(2300, 2700), segment="old")
    check = check_of(show, rows, make(), run)
    assert check.e_value < 1
    assert check.verdict == "alarm"
    assert check.segments == ("new", "old")
    assert "srm_segment" in {note.code for note in note_split(check, run)}


def test_a_segment_pays_for_the_others(show, make, run, deal):
    """What rings alone among two segments may stay silent among many."""
    log_e = float(log_e_value([2670, 2330], [50, 50]))
    assert math.log(FIRES_AT * 2) < log_e < math.log(FIRES_AT * 40)
    rows = deal(halves(2670, 2330), segment="new")
    two = [*rows, *deal(halves(2400, 2600), segment="old")]
    many = [*rows, *(row for n in range(39) for row in deal(halves(62, 69), segment=f"s{n}"))]
    assert check_of(show, two, make(), run).segments == ("new",)
    assert check_of(show, many, make(), run).verdict == "ok"


def test_a_ramp_of_traffic_runs_on_and_new_weights_begin_anew(show, make, run, deal, start):
    """Only a change of weights starts a new factor."""
    rows = deal(halves(530, 470)) + deal(halves(540, 460), day=1) + deal(halves(110, 890), day=2)
    even, tilted = halves(50.0, 50.0), halves(10.0, 90.0)
    ramped = (phase(1, start, even), phase(2, start + DAY, even))
    changed = (*ramped, phase(3, start + 2 * DAY, tilted))
    with show(rows) as warehouse:
        days = read_split(warehouse, Scope(make()), replace(run, phases=changed)).days()
    first = float(log_e_value([1070, 930], [50, 50]))
    assert days[1].log_e == pytest.approx(first)
    assert days[2].log_e == pytest.approx(first + float(log_e_value([110, 890], [10, 90])))


def test_p_adds_up_over_phases(show, make, run, deal, start):
    """Phases that are wrong in opposite directions do not cancel in the p-value."""
    rows = deal(halves(5400, 4600)) + deal(halves(600, 9400), day=2)
    phases = (phase(1, start, halves(50.0, 50.0)), phase(2, start + 2 * DAY, halves(10.0, 90.0)))
    check = check_of(show, rows, make(), replace(run, phases=phases))
    assert check.observed == halves(6000, 14_000)
    assert check.expected == halves(6000, 14_000)
    assert check.p_value < 1e-15
    assert check.verdict == "alarm"


def test_a_unit_of_a_variant_without_weight_is_an_alarm(show, make, run, deal, start):
    """A variant at weight zero may have nobody; the e-value is then the largest float."""
    variants = (*make().variants, Variant("idle", 0))
    experiment = make(variants=variants)
    weights = {**halves(50.0, 50.0), "idle": 0.0}
    told = replace(run, phases=(phase(1, start, weights),))
    even = deal(halves(500, 500))
    assert check_of(show, even, experiment, told).verdict == "ok"
    check = check_of(show, [*even, *deal({"idle": 1})], experiment, told)
    assert check.verdict == "alarm"
    assert check.e_value == e_value_of(math.inf)


def test_units_left_out_unevenly_are_named(show, make, run, deal):
    """Where all units came as planned but those that are analysed did not, a warning says so."""
    rows = deal(halves(5000, 4000)) + deal({"generated": 1000}, bot=True)
    check = check_of(show, rows, make(), run)
    assert check.verdict == "ok"
    assert check.e_value_analysed > FIRES_AT
    assert [note.code for note in note_split(check, run)] == ["srm_analysed"]
    kept = Scope(make(), bots=True)
    with show(rows) as warehouse:
        assert check_split(warehouse, kept, run).e_value_analysed < 1


def test_a_later_flag_changes_no_earlier_check(show, make, run, deal, start):
    """A unit that is a bot from day 5 on was none on day 3."""
    late = (start + 5 * DAY).replace(tzinfo=None)
    rows = deal(halves(5000, 4000)) + deal({"generated": 1000}, bot=True, bot_at=late)
    with show(rows) as warehouse:
        then = check_split(warehouse, Scope(make(), until=start + 3 * DAY), run)
        now = check_split(warehouse, Scope(make()), run)
    assert then.e_value_analysed < 1 < now.e_value_analysed


def test_an_excluded_source_counts_nowhere(show, make, draw, run):
    """Without its rows every number is as if the source had never logged, and a warning says so."""
    clean = draw(users=300)
    wrong = [
        {"variant": "generated", "unit_id": f"w{n}", "source": "web", "clicked": 1, "bot": n < 9}
        for n in range(400)
    ]
    told = replace(run, excluded_sources=("web",))
    with show(clean) as warehouse:
        expected = analyze(warehouse, make(), run=run)
    with show(clean + wrong) as warehouse:
        scorecard = analyze(warehouse, make(), run=told)
        pairs = preference_pairs(warehouse, make(), week="2026-W36", scorecard=scorecard)
    with show(clean) as warehouse:
        assert pairs.equals(
            preference_pairs(warehouse, make(), week="2026-W36", scorecard=expected)
        )
    assert scorecard.lifts == expected.lifts
    assert scorecard.srm == expected.srm
    assert scorecard.units == expected.units
    (note,) = [one for one in scorecard.warnings if one.code == "changed_after_the_fact"]
    assert "source web was excluded" in note.message


def test_an_invalid_experiment_yields_no_pairs(show, make, draw, run):
    """Neither an alarm nor a person's word leaves anything to learn from."""
    with show(draw(users=2400, weights=(0.4, 0.6))) as warehouse:
        broken = analyze(warehouse, make(), run=run)
        assert preference_pairs(warehouse, make(), week="2026-W36", scorecard=broken).is_empty()
    with show(draw()) as warehouse:
        refused = analyze(
            warehouse, make(), run=replace(run, refused="the log was patched by hand")
        )
        assert preference_pairs(warehouse, make(), week="2026-W36", scorecard=refused).is_empty()
    assert broken.decision.verdict == refused.decision.verdict == "invalid"
    assert "abp srm e --diagnose" in " ".join(broken.decision.reasons)
    assert refused.decision.reasons == ("a person said not to use it: the log was patched by hand",)


def test_nothing_seen_is_unavailable(show, make, run):
    """Without units there is neither p nor e."""
    check = check_of(
        show, [{"variant": "baseline", "unit_id": "u", "experiment": "x"}], make(), run
    )
    assert (check.verdict, check.p_value, check.e_value) == ("unavailable", None, None)
    assert check.observed == halves(0, 0)


def test_daily_looks_at_sound_experiments_hardly_ever_ring(show, make, run, start):
    """Ten experiments of ten days, looked at every day and by segment: none rings."""
    draw = np.random.default_rng(31)
    for _ in range(10):
        rows = [
            {
                "variant": ("baseline", "generated")[draw.integers(2)],
                "unit_id": f"u{unit}",
                "segment": ("a", "b", "c")[draw.integers(3)],
                "ts": start + float(draw.random()) * 10 * DAY,
            }
            for unit in range(300)
        ]
        check = check_of(show, rows, make(), run)
        assert check.verdict == "ok"
        assert check.fired_on is None


def test_the_first_exposure_has_the_day_of_the_workspace(show, make, run, frame_of, deal):
    """The days are those of the column, which the workspace's time zone cut."""
    frame = frame_of(deal(halves(3, 2)))
    shifted = frame.with_columns(day=frame["day"] + timedelta(days=1))
    with show(shifted) as warehouse:
        split = read_split(warehouse, Scope(make()), run)
    assert [day.day for day in split.days()] == [date(2026, 9, 2)]
    assert judge_split(split, Scope(make()), run).observed == halves(3, 2)
