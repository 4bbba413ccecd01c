"""Looks of the plan: when they are taken, what they decide, and that later data change nothing."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from abplatform.analysis.scorecard import Run
from abplatform.analysis.scorecard.kept import records_of
from abplatform.analysis.scorecard.looks import make_agenda
from abplatform.analysis.verdict import analyze
from abplatform.cli.ramp_gates import find_closed_gate
from abplatform.domain.experiment import Analysis, Guardrail, PrimaryMetric, Variant
from abplatform.domain.metrics import METRICS
from abplatform.traffic.registry.look_days import look_days

START = datetime(2026, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FINAL = timedelta(hours=96)
DAILY = Analysis(min_runtime=3 * DAY, max_runtime=8 * DAY)
DONE = START + 60 * DAY


def draw_days(lifts, *, users=120, rate=0.35, seed=5, names=("baseline", "generated"), start=START):
    """Draw users of one day each, two impressions a user; a lift a day for all treatments."""
    rng = np.random.default_rng(seed)
    rows = []
    for day, lift in enumerate(lifts):
        for user in range(users):
            name = names[user % len(names)]
            chance = rate * (1 + lift if name != names[0] else 1)
            for shown in range(2):
                clicked = int(rng.random() < chance)
                rows.append(
                    {
                        "variant": name,
                        "unit_id": f"d{day}u{user}",
                        "ts": start + day * DAY + timedelta(hours=12 + shown),
                        "category": ("beauty/lip", "home/lamp")[user // 2 % 2],
                        "clicked": clicked,
                        "conversions": int(clicked and rng.random() < 0.5),
                    }
                )
    return rows


def looks_of(scorecard, treatment="generated"):
    return [look for look in scorecard.looks if look.treatment == treatment]


def at_journal(run, scorecard):
    """The run as the journal would tell it after this scorecard."""
    return replace(run, looks=tuple(records_of(scorecard.looks, scorecard.data_version)))


@pytest.fixture
def plan(make):
    """An experiment of eight days with a look a day from the third on, changed as asked."""

    def planned(**changes):
        facts = {"analysis": DAILY, "primary": PrimaryMetric("ctr", mde=0.15), **changes}
        return make(**facts)

    return planned


def test_looks_are_the_ends_of_days_whose_rows_are_final(show, plan, run):
    """Three days and their late events make one look; an hour less makes none."""
    rows = draw_days([0.0] * 8)
    for watermark, expected in (
        (START + 3 * DAY + FINAL - timedelta(hours=1), []),
        (START + 3 * DAY + FINAL, [3]),
        (START + 5 * DAY + FINAL, [3, 4, 5]),
        (START + 30 * DAY, [3, 4, 5, 6, 7, 8]),
    ):
        with show(rows, watermark=watermark) as warehouse:
            scorecard = analyze(warehouse, plan(), run=run)
        assert [look.row.day for look in scorecard.looks] == expected
        assert [look.row.look for look in scorecard.looks] == [*range(1, len(expected) + 1)]
        assert [look.at for look in scorecard.looks] == [START + day * DAY for day in expected]
    assert looks_of(scorecard)[-1].row.last
    assert looks_of(scorecard)[-1].row.alpha_spent == pytest.approx(0.05)


def test_looks_taken_daily_or_all_at_once_say_the_same(show, plan, run):
    """Whoever looks every day, and keeps it, sees what is seen by looking at the end."""
    rows, steps = draw_days([0.1] * 8), run
    for day in range(3, 9):
        with show(rows, watermark=START + day * DAY + FINAL) as warehouse:
            daily = analyze(warehouse, plan(), run=steps)
        steps = at_journal(run, daily)
    with show(rows) as warehouse:
        assert analyze(warehouse, plan(), run=run).looks == daily.looks


def test_a_crossing_decides_and_later_data_change_no_verdict(show, plan, run):
    """A win at an early look stays a win when everything turns round afterwards."""
    early = draw_days([0.8] * 5)
    with show(early, watermark=START + 5 * DAY + FINAL) as warehouse:
        won = analyze(warehouse, plan(), run=run)
    crossing = looks_of(won)[-1]
    assert crossing.row.crossed
    assert won.decision.verdict == "ship"
    assert won.lifts[0].decided_at == crossing.at
    later = early + draw_days([0.8] * 5 + [-0.9] * 20, seed=6)[1200:]
    # Rows of the look itself are corrected, too: all of its clicks turn out to be void.
    later = [{**row, "clicked": 0} if row["ts"] < crossing.at else row for row in later]
    with show(later) as warehouse:
        after = analyze(warehouse, plan(), run=at_journal(run, won))
    assert after.lifts[0].relative_lift < 0
    assert after.decision.verdict == "ship"
    assert after.looks == won.looks
    assert after.decision.by_category == won.decision.by_category
    assert after.decision.reasons == won.decision.reasons
    assert after.lifts[0].significant
    assert "after_the_decision" in {note.code for note in after.warnings}


def test_the_estimate_at_a_crossing_is_corrected_downwards(show, plan, run):
    """Stopping early picks lucky lifts: the median-unbiased one is smaller than the raw one."""
    with show(draw_days([0.8] * 8)) as warehouse:
        scorecard = analyze(warehouse, plan(), run=run)
    (estimate,) = scorecard.to_json()["estimate_at_decision"]
    assert estimate["look"] == looks_of(scorecard)[-1].row.look
    assert 0 < estimate["low"] < estimate["median_unbiased"] < estimate["relative_lift"]


@pytest.mark.parametrize(("mde", "verdict"), [(0.3, "no_difference"), (0.05, "continue")])
def test_the_last_look_calls_it_even_or_leaves_it_open(show, plan, run, mde, verdict):
    """Without a crossing the 90 % interval at the last look decides about no_difference."""
    with show(draw_days([0.0] * 8, users=300)) as warehouse:
        scorecard = analyze(warehouse, plan(primary=PrimaryMetric("ctr", mde=mde)), run=run)
    assert not any(look.row.crossed for look in scorecard.looks)
    assert looks_of(scorecard)[-1].row.last
    assert scorecard.decision.verdict == verdict


def test_a_sequential_p_that_was_shown_never_rises(show, plan, run):
    """Whatever later data make of the looks' correlation, a p-value in the journal is kept."""
    rows = draw_days([0.0] * 4)
    with show(rows, watermark=START + 3 * DAY + FINAL) as warehouse:
        first = analyze(warehouse, plan(), run=run).looks[0]
    shown = replace(first, sequential_p=0.06)
    kept = replace(run, looks=tuple(records_of([shown], "0" * 12)))
    with show(rows, watermark=START + 4 * DAY + FINAL) as warehouse:
        second = analyze(warehouse, plan(), run=kept).looks[-1]
    assert first.sequential_p > 0.06
    assert second.sequential_p == 0.06
    assert not second.row.crossed


def test_over_running_ends_early_and_under_running_at_the_end(show, plan, run):
    """Much more information than planned ends the plan at once, much less on its last day."""
    rows = draw_days([0.0] * 8)
    found = {}
    for mde in (0.02, 0.9):
        with show(rows) as warehouse:
            scorecard = analyze(warehouse, plan(primary=PrimaryMetric("ctr", mde=mde)), run=run)
        found[mde] = looks_of(scorecard)
        assert found[mde][-1].row.last
        assert found[mde][-1].row.alpha_spent == pytest.approx(0.05)
    assert [look.row.day for look in found[0.02]] == [3, 4, 5, 6, 7, 8]
    assert found[0.02][-1].row.information_fraction < 0.1
    assert [look.row.day for look in found[0.9]] == [3]


def test_without_an_mde_time_is_the_clock(show, plan, run):
    """The share of max_runtime that has passed is the information fraction."""
    with show(draw_days([0.0] * 8)) as warehouse:
        scorecard = analyze(warehouse, plan(primary=PrimaryMetric("ctr")), run=run)
    fractions = [look.row.information_fraction for look in scorecard.looks]
    assert fractions == [day / 8 for day in range(3, 9)]


def test_an_unplanned_stop_takes_no_more_looks(show, plan, run):
    """Stopped in the middle of day six: five days were looked at, and nothing is decided."""
    stopped = replace(run, ended_at=START + 5 * DAY + timedelta(hours=9))
    with show(draw_days([0.1] * 6)) as warehouse:
        scorecard = analyze(warehouse, plan(), run=stopped)
    assert [look.row.day for look in scorecard.looks] == [3, 4, 5]
    assert not any(look.decides for look in scorecard.looks)
    assert scorecard.decision.verdict == "continue"
    assert "stopped on 2026-09-06" in scorecard.decision.reasons[-1]
    lift = scorecard.lifts[0]
    assert lift.p_adjusted is None
    assert lift.look == 3
    assert lift.sequential_low < lift.relative_lift < lift.sequential_high


def test_the_log_of_others_is_looked_at_up_to_its_end(show, plan, run):
    """An experiment assigned elsewhere is decided at its log's end, however short that is."""
    external = plan(assignment="external")
    for days, expected in ((2, [2]), (5, [3, 4, 5]), (8, [3, 4, 5, 6, 7, 8])):
        with show(draw_days([0.1] * days)) as warehouse:
            scorecard = analyze(warehouse, external, run=Run(now=run.now))
        assert [look.row.day for look in scorecard.looks] == expected
        assert looks_of(scorecard)[-1].row.last
        assert scorecard.look.at == START + days * DAY
        assert all(
            lift.p_adjusted is not None for lift in scorecard.lifts if lift.breakdown == "category"
        )


@pytest.mark.parametrize(
    ("days", "later", "codes"),
    [(4, 1, {"log_may_grow"}), (4, 26, set()), (8, 1, {"log_may_grow"}), (9, 1, set())],
)
def test_a_log_that_may_grow_says_that_its_end_moves(show, plan, days, later, codes):
    """Each end of a live feed would be a last look; an old log, or a whole run, has one end."""
    with show(draw_days([0.0] * days), watermark=START + (days + later) * DAY) as warehouse:
        scorecard = analyze(warehouse, plan(assignment="external"), run=Run(now=DONE))
    assert {note.code for note in scorecard.warnings} & {"log_may_grow"} == codes


def test_several_treatments_share_alpha_and_are_decided_one_by_one(show, plan, run):
    """Each of two treatments may spend half; the decided one is looked at no more."""
    names = ("baseline", "generated", "other")
    variants = tuple(Variant(name, 100 / 3, control=name == "baseline") for name in names)
    rows = draw_days([0.0] * 8, users=360, names=names)
    rng = np.random.default_rng(1)
    for row in rows:
        if row["variant"] == "other" and rng.random() < 0.5:
            row["clicked"] = 0
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, plan(variants=variants), run=run)
    other, generated = (looks_of(scorecard, name) for name in ("other", "generated"))
    assert other[-1].row.crossed
    assert other[-1].row.z < 0
    assert len(other) < len(generated) == 6
    assert generated[-1].row.alpha_spent == pytest.approx(0.025)
    assert scorecard.decision.by_treatment["other"] == "reject"
    with show(rows, watermark=other[-1].at + FINAL) as warehouse:
        halfway = analyze(warehouse, plan(variants=variants), run=run)
    assert halfway.decision.by_treatment == {"generated": "continue", "other": "reject"}
    assert halfway.decision.verdict == "continue"


def test_a_harmed_guardrail_rejects_before_the_plan_decides(show, plan, run):
    """Conversions collapse: rejected at the first look, while the primary metric is open."""
    rows = draw_days([0.0] * 8, users=400)
    for row in rows:
        row["conversions"] = int(row["clicked"] and hash_share(row) < 0.8)
        if row["variant"] == "generated":
            row["conversions"] = int(row["clicked"] and hash_share(row) < 0.4)
    windows = replace(plan().events, conversion_window=DAY)
    experiment = plan(guardrails=(Guardrail("cvr", non_inferiority_margin=0.05),), events=windows)
    with show(rows, watermark=START + 3 * DAY + FINAL + DAY) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    (facts,) = scorecard.facts
    assert (facts.wins, facts.loses, facts.within_mde) == (False, False, False)
    assert scorecard.decision.verdict == "reject"
    assert [list(look.harmed) for look in scorecard.looks] == [["cvr"]]
    with show([{**row, "conversions": row["clicked"]} for row in rows]) as warehouse:
        later = analyze(warehouse, experiment, run=at_journal(run, scorecard))
    assert later.decision.verdict == "reject"


def test_harm_is_told_before_a_look_may_decide(show, plan, run):
    """On day two nothing is decided, but a harmed guardrail is named and closes the ramp's gate."""
    rows = draw_days([-0.6] * 2, users=500)
    experiment = plan(
        primary=PrimaryMetric("ctcvr"), guardrails=(Guardrail("ctr", non_inferiority_margin=0.1),)
    )
    with show(rows, watermark=START + 2 * DAY) as warehouse:
        harmed = analyze(warehouse, experiment, run=run)
    with show(draw_days([0.0] * 2, users=500), watermark=START + 2 * DAY) as warehouse:
        sound = analyze(warehouse, experiment, run=run)
    assert harmed.looks == ()
    assert harmed.decision.verdict == "continue"
    (note,) = [note for note in harmed.warnings if note.code == "guardrail_harmed"]
    assert "guardrail ctr is harmed" in note.message
    assert "guardrail ctr is harmed" in find_closed_gate(harmed, ("srm", "guardrails"))
    assert find_closed_gate(sound, ("srm", "guardrails")) is None


def test_a_guardrail_that_vanishes_is_harmed(show, plan, run):
    """With next to no event left there is no ratio to bound; the collapse is seen all the same."""
    rows = draw_days([0.0] * 3, users=500)
    for row in rows:
        bought = row["variant"] == "baseline" and hash_share(row) < 0.6
        row["conversions"] = int(row["clicked"] and bought)
    windows = replace(plan().events, conversion_window=DAY)
    experiment = plan(guardrails=(Guardrail("cvr", non_inferiority_margin=0.05),), events=windows)
    with show(rows, watermark=START + 3 * DAY + FINAL + DAY) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    assert scorecard.looks[0].harmed["cvr"].startswith("guardrail cvr is harmed: 0 of ")
    assert scorecard.decision.verdict == "reject"


def hash_share(row):
    """A share of 0 … 1 that belongs to a unit's row, without a generator."""
    return (int(row["unit_id"].partition("u")[2]) * 7919 + row["ts"].day * 104729) % 1000 / 1000


def test_clicks_that_have_not_come_yet_harm_no_guardrail(show, plan, run):
    """Impressions are loaded before their clicks: a CTR of 0 is below its least, and no alarm."""
    rows = [{**row, "clicked": 0} for row in draw_days([0.0] * 2, users=400)]
    guarded = plan(guardrails=(Guardrail("ctr", min=0.1),))
    with show(rows, watermark=START + 2 * DAY) as warehouse:
        assert not analyze(warehouse, guarded, run=run).harmed
    with show(rows, watermark=START + 2 * DAY + FINAL) as warehouse:
        assert analyze(warehouse, guarded, run=run).harmed


def test_an_absolute_bound_is_watched_like_a_relative_one(show, plan, run):
    """A match of the rate with its least is no harm; far below it is, at the first look."""
    rows = draw_days([0.0] * 8, users=400)
    found = []
    for least in (0.3, 0.6):
        experiment = plan(guardrails=(Guardrail("ctr", min=least),))
        with show(rows, watermark=START + 3 * DAY + FINAL) as warehouse:
            found.append(analyze(warehouse, experiment, run=run).looks[0].harmed)
    assert found[0] == {}
    assert "is below 0.6 whenever one looks" in found[1]["ctr"]


@pytest.mark.parametrize("test", ["fixed", "anytime"])
def test_every_plan_keeps_its_looks(show, plan, run, test):
    """A fixed test has one look, an anytime test one a day; neither has sequential fields."""
    analysis = replace(DAILY, test=test)
    with show(draw_days([0.6] * 8, users=200)) as warehouse:
        scorecard = analyze(warehouse, plan(analysis=analysis), run=run)
    looks, lift = looks_of(scorecard), scorecard.lifts[0]
    assert looks[-1].row.crossed
    assert scorecard.decision.verdict == "ship"
    assert lift.sequential_p is None
    assert lift.sequential_low is None
    assert lift.anytime_p < 0.05
    assert lift.boundary == looks[-1].row.boundary
    assert [look.row.day for look in looks] == ([8] if test == "fixed" else [3])


@pytest.mark.parametrize(("month", "hours"), [(3, 167), (10, 169)])
def test_a_day_of_another_length_is_one_look(show, plan, run, month, hours):
    """Where clocks change there is still one look a workspace day, at its own midnight."""
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2026, month, {3: 23, 10: 19}[month], tzinfo=zone).astimezone(UTC)
    analysis = Analysis(min_runtime=5 * DAY, max_runtime=7 * DAY)
    days = look_days(analysis, start, zone)
    assert [day.at.astimezone(zone).hour for day in days] == [0, 0, 0]
    assert days[-1].at - start == timedelta(hours=hours)
    rows = draw_days([0.0] * 7, start=start)
    run = Run(now=DONE + 365 * DAY, started_at=start)
    with show(rows, watermark=days[-1].at + FINAL) as warehouse:
        scorecard = analyze(warehouse, plan(analysis=analysis), run=run, zone=zone)
    assert [look.row.day for look in scorecard.looks] == [5, 6, 7]
    assert [look.at for look in scorecard.looks] == [day.at for day in days]


@pytest.mark.parametrize("day", [date(2026, 3, 30), date(2026, 10, 26)])
def test_a_log_that_begins_after_clocks_change_begins_on_its_first_day(plan, run, day):
    """Half an hour into the day after a short or a long one, day 1 is that day."""
    zone = ZoneInfo("Europe/Berlin")
    first = datetime.combine(day, time(0, 30), tzinfo=zone).astimezone(UTC)
    last = datetime.combine(day + 5 * DAY, time(), tzinfo=zone).astimezone(UTC)
    external = plan(assignment="external", analysis=Analysis(min_runtime=DAY, max_runtime=9 * DAY))
    agenda = make_agenda(external, run, known_until=last, log=(first, last), zone=zone)
    assert agenda.first_day == day
    assert [look.day for look in agenda.days] == [day + passed * DAY for passed in range(5)]


def test_flags_of_later_days_change_no_look(show, plan, run):
    """A unit that turns out to be a bot on day six was none at the looks before."""
    rows = draw_days([0.1] * 8)
    for row in rows:
        if row["unit_id"] in {"d0u0", "d1u1", "d2u3"}:
            row["bot"], row["bot_at"] = True, (START + 5 * DAY).replace(tzinfo=None)
        else:
            row["bot"], row["bot_at"] = False, None
    plain = [{**row, "bot": False, "bot_at": None} for row in rows]
    with show(rows) as warehouse:
        flagged = analyze(warehouse, plan(), run=run)
    with show(plain) as warehouse:
        clean = analyze(warehouse, plan(), run=run)
    assert flagged.looks[:2] == clean.looks[:2]
    assert flagged.looks[-1].row.z != clean.looks[-1].row.z


def test_requests_are_looked_at_like_users(show, plan, run):
    """With unit: request_id every impression stands alone, and looks come all the same."""
    with show(draw_days([0.1] * 8)) as warehouse:
        scorecard = analyze(warehouse, plan(unit="request_id"), run=run)
    assert [look.row.day for look in scorecard.looks] == [3, 4, 5, 6, 7, 8]
    assert scorecard.looks[-1].row.relative_lift == pytest.approx(scorecard.lifts[0].relative_lift)


def test_a_look_without_enough_clicks_is_skipped(show, plan, run):
    """With a handful of clicks nothing is tested, and the last look says what is missing."""
    rows = draw_days([0.0] * 8, users=20, rate=0.005)
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, plan(), run=run)
    assert all(look.row.skipped for look in scorecard.looks)
    assert scorecard.decision.verdict == "continue"
    assert "cannot be judged" in scorecard.decision.reasons[0]
    assert scorecard.to_json()["looks"][0]["boundary"] is None


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_can_be_the_primary_one(show, plan, run, metric):
    """A look at money, shares or scores has the z of the lift then, or says why it has none."""
    rows = draw_days([0.1] * 8)
    for at, row in enumerate(rows):
        row["cost_micros"] = 40_000 + at % 7 * 1_000 + 90_000 * (row["variant"] == "generated")
        row["net_value_micros"] = row["conversions"] * (1_000_000 + at % 5 * 200_000)
        row["score_micros"], row["feedbacks"] = row["clicked"] * 800_000, 1
    experiment = plan(primary=PrimaryMetric(metric, mde=0.15))
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    json.dumps(scorecard.to_json(), allow_nan=False)
    assert [look.row.look for look in scorecard.looks][:2] == [1, 2]
    assert scorecard.looks[-1].decides
    last = scorecard.looks[-1]
    if metric in {"coverage", "match_rate"}:
        assert last.row.skipped
        return
    with show([row for row in rows if row["ts"] < last.at]) as warehouse:
        lift = analyze(warehouse, experiment, run=run).lifts[0]
    assert last.row.z == pytest.approx(lift.absolute_lift / lift.se_absolute, rel=1e-9)
