"""Days unlike others: the lift with and without them, and how they extend a run."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from abplatform.analysis.scorecard import Run, decision_moment
from abplatform.analysis.scorecard.calendar import (
    find_special_days,
    note_calendar,
    note_part_week,
)
from abplatform.analysis.scorecard.special_views import CalendarView
from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import Analysis
from abplatform.figures import percent
from abplatform.stats.ratio import RatioSums, contrast
from abplatform.traffic.registry import Registry
from abplatform.traffic.registry.special_days import (
    calendar_facts,
    extend_for_calendar,
    read_calendar,
    special_days,
)
from abplatform.workspace import CalendarStretch, Settings, Workspace

UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
MOON = CalendarStretch(date(2026, 9, 3), date(2026, 9, 4), "Moon festival")
SALE = CalendarStretch(date(2026, 9, 4), date(2026, 9, 4), "Sale")


def codes(scorecard):
    return {note.code for note in scorecard.warnings}


def slow_contrast(rows, days, *, inside):
    sums = {}
    for variant in ("baseline", "generated"):
        units = {}
        for row in rows:
            if row["variant"] == variant and (row["ts"].date() in days) == inside:
                n, k = units.get(row["unit_id"], (0, 0))
                units[row["unit_id"]] = (n + 1, k + row["clicked"])
        sums[variant] = RatioSums.of_units(
            [n for n, _ in units.values()], [k for _, k in units.values()]
        )
    return contrast(sums["baseline"], sums["generated"], share=True)


def test_the_lift_with_and_without_them(show, make, draw, run):
    """Both rows hold what plain Python computes from those days; the warning names them."""
    rows = draw(seed=4)
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, make(), run=replace(run, calendar=(MOON,)))
    without, only = scorecard.calendar.rows
    days = {date(2026, 9, 3), date(2026, 9, 4)}
    for row, inside in ((without, False), (only, True)):
        expected = slow_contrast(rows, days, inside=inside)
        assert row.relative_lift == pytest.approx(expected.relative_lift, rel=1e-12)
        assert row.p_value == pytest.approx(expected.p_value, rel=1e-9)
        assert row.ci_high == pytest.approx(expected.relative.high, rel=1e-9)
    assert (without.days, only.days) == ("without", "only")
    assert 0 < only.p_difference <= 1
    (note,) = [note for note in scorecard.warnings if note.code == "calendar_day"]
    assert "2 days of the run are unlike others (Moon festival)" in note.message
    assert f"{percent(without.relative_lift)} without them" in note.message
    data = scorecard.to_json()["calendar"]
    json.dumps(data, allow_nan=False)
    assert [one["day"] for one in data["days"]] == ["2026-09-03", "2026-09-04"]


def test_a_sale_that_changes_the_lift_is_told_apart(show, make, draw, run):
    """A lift that is there on the special days only is seen in the difference's p."""
    plain = [row for row in draw(seed=6, lift=0.0) if row["ts"].date() != SALE.first]
    sale = [row for row in draw(seed=7, lift=2.0, users=3000) if row["ts"].date() == SALE.first]
    sale = [row | {"unit_id": f"s{row['unit_id']}"} for row in sale]
    with show(plain + sale) as warehouse:
        scorecard = analyze(warehouse, make(), run=replace(run, calendar=(SALE,)))
    without, only = scorecard.calendar.rows
    assert without.relative_lift < 0.4 < only.relative_lift
    assert only.p_difference < 0.01


def test_no_special_day_no_view(show, make, draw, run):
    """Days before or after the run mean nothing, and nothing is said."""
    later = CalendarStretch(date(2026, 10, 1), date(2026, 10, 2), "Golden week")
    with show(draw(users=200)) as warehouse:
        scorecard = analyze(warehouse, make(), run=replace(run, calendar=(later,)))
    assert scorecard.calendar is None
    assert scorecard.to_json()["calendar"] is None
    assert not codes(scorecard) & {"calendar_day", "changed_after_the_fact"}


@pytest.mark.parametrize(
    ("calendars", "changed"),
    [
        (((MOON,), (MOON,)), False),
        (((MOON,), (MOON, SALE)), False),  # the 4th was special already
        (((), (SALE,)), True),
        (((MOON,), ()), True),
        ((None, (SALE,)), False),
    ],
)
def test_what_was_named_after_the_start_is_marked(show, make, draw, run, *, calendars, changed):
    """A day named or deleted after the start marks the scorecard; it still shows both views."""
    at_start, now = calendars
    ran = replace(run, calendar=now, calendar_at_start=at_start)
    with show(draw(users=200)) as warehouse:
        scorecard = analyze(warehouse, make(), run=ran)
    assert "calendar_day" in codes(scorecard)
    assert ("changed_after_the_fact" in codes(scorecard)) == changed


def test_names_of_one_day_add_up(start):
    """A day with two names has both; stretches are cut to the days asked for."""
    found = special_days((MOON, SALE), date(2026, 9, 4), date(2026, 9, 30))
    assert found == {date(2026, 9, 4): ("Moon festival", "Sale")}
    run = Run(now=start, calendar=(SALE,), calendar_at_start=(MOON,))
    days = find_special_days(run, first=start, last=start + timedelta(days=6), zone=UTC_ZONE)
    assert [(one.day.day, one.known_at_start) for one in days] == [(3, True), (4, True)]
    assert find_special_days(run, first=None, last=None, zone=UTC_ZONE) == ()


@pytest.mark.parametrize(
    ("days", "extended"), [(2, 2), (3, 7), (7, 7), (10, 14), (14, 14), (15, 21), (28, 28)]
)
def test_a_run_that_meets_one_lasts_whole_weeks(start, days, extended):
    """From the first special day on, a run is rounded up to weeks; without one it stays."""
    runtime = timedelta(days=days)
    assert extend_for_calendar(start, runtime, (MOON,), UTC_ZONE) == timedelta(days=extended)
    assert extend_for_calendar(start, runtime, (), UTC_ZONE) == runtime


def test_the_workspace_decides_which_day_it_is():
    """A run that ends at midnight does not meet the next day, by the workspace's clock."""
    start = datetime(2026, 9, 1, tzinfo=BERLIN)
    two = timedelta(days=2)
    assert extend_for_calendar(start, two, (MOON,), BERLIN) == two
    assert extend_for_calendar(start, two, (MOON,), ZoneInfo("Asia/Tokyo")) == timedelta(days=7)


def test_the_decision_look_moves_with_the_run(make, start):
    """Ten days with a sale are two weeks; what abp.yaml says later moves nothing."""
    plan = make(analysis=Analysis(test="fixed", max_runtime=timedelta(days=10)))
    run = Run(now=start, started_at=start, calendar_at_start=(MOON,))
    assert decision_moment(plan, run, UTC_ZONE) == start + timedelta(days=14)
    late = Run(now=start, started_at=start, calendar=(MOON,), calendar_at_start=())
    assert decision_moment(plan, late, UTC_ZONE) == start + timedelta(days=10)


@pytest.mark.parametrize(
    ("days", "ended", "warns"),
    [(7, None, False), (10, None, True), (14, None, False), (14, 9, True), (14, 7, False)],
)
def test_a_part_week_warns(make, start, days, ended, warns):
    """A run planned or stopped at no whole number of weeks warns."""
    plan = make(analysis=Analysis(test="fixed", max_runtime=timedelta(days=days)))
    ended_at = None if ended is None else start + timedelta(days=ended)
    notes = note_part_week(plan, Run(now=start, started_at=start, ended_at=ended_at), UTC_ZONE)
    assert [note.code for note in notes] == ["part_week"] * warns


def test_a_week_in_which_clocks_change_is_a_week(make):
    """Neither the longer nor the shorter week is a part of one."""
    for day in (date(2026, 10, 20), date(2026, 3, 24)):
        started = datetime(day.year, day.month, day.day, tzinfo=BERLIN)
        week = make(analysis=Analysis(test="fixed", max_runtime=timedelta(days=7)))
        assert note_part_week(week, Run(now=started, started_at=started), BERLIN) == []


def test_an_experiment_assigned_elsewhere_has_no_plan_to_judge(make, start):
    """A log's length was nobody's plan here."""
    assert note_part_week(make(assignment="external"), Run(now=start), UTC_ZONE) == []


SPEC = """\
key: beauty
variants: {base: {control: true, weight: 50}, gen: {weight: 50}}
metrics: {primary: ctr}
"""


def test_the_journal_keeps_the_calendar_of_the_start(tmp_path, start):
    """Later settings change what is shown now, never what was known at the start."""
    workspace = Workspace(tmp_path, Settings(calendar=(MOON,)), clock=lambda: start)
    workspace.experiments.mkdir()
    (workspace.experiments / "beauty.yaml").write_text(SPEC)
    Registry(workspace).start("beauty", at=datetime(2026, 9, 1, tzinfo=UTC), who="owner")
    later = replace(workspace, settings=Settings(calendar=(MOON, SALE)))
    found = Registry(later).find("beauty")
    assert found.calendar_at_start == (MOON,)
    assert found.calendar == (MOON, SALE)
    assert read_calendar(calendar_facts((MOON, SALE))) == (MOON, SALE)


def test_reports_only_name_the_days(start):
    """Without unit rows there are no rows with and without, and the warning says so."""
    run = Run(now=start, calendar=(MOON,))
    days = find_special_days(run, first=start, last=start + timedelta(days=6), zone=UTC_ZONE)
    (note,) = note_calendar(CalendarView(days), run)
    assert note.code == "calendar_day"
    assert "reports give no unit rows" in note.message
    assert note_calendar(None, run) == []
