import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from abplatform.domain.experiment import EventWindows, Experiment, PrimaryMetric, Variant
from abplatform.errors import WorkspaceError
from abplatform.loop.steps import digest, run_step
from abplatform.loop.weeks import final_at, parse_week

NOW = datetime(2026, 9, 11, tzinfo=UTC)


def test_a_step_runs_once_for_the_same_inputs(tmp_path):
    """A finished step answers from its marker; other inputs make it run again."""
    calls = []

    def work():
        calls.append(1)
        return {"n": len(calls)}

    first = run_step(tmp_path, "pairs", {"a": 1, "b": 2}, work, now=NOW)
    again = run_step(tmp_path, "pairs", {"b": 2, "a": 1}, work, now=NOW)
    other = run_step(tmp_path, "pairs", {"a": 2, "b": 2}, work, now=NOW)
    assert (first.resumed, again.resumed, other.resumed) == (False, True, False)
    assert (first.result, again.result, other.result) == ({"n": 1}, {"n": 1}, {"n": 2})
    assert first.inputs == again.inputs != other.inputs


def test_a_step_that_fails_leaves_no_marker(tmp_path):
    """What was killed or failed counts as not done and is done at the next call."""

    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_step(tmp_path, "serve", {}, fail, now=NOW)
    assert not (tmp_path / "serve" / "_SUCCESS").exists()
    assert not run_step(tmp_path, "serve", {}, dict, now=NOW).resumed
    marker = json.loads((tmp_path / "serve" / "_SUCCESS").read_text())
    assert marker["inputs"] == digest({"step": "serve", "inputs": {}})


def test_a_marker_that_cannot_be_read_counts_as_none(tmp_path):
    """A marker damaged by hand or by the disk makes its step run again."""
    run_step(tmp_path, "gate", {}, lambda: {"n": 1}, now=NOW)
    (tmp_path / "gate" / "_SUCCESS").write_text('{"inputs": ')
    assert run_step(tmp_path, "gate", {}, lambda: {"n": 2}, now=NOW).result == {"n": 2}


@pytest.mark.parametrize("text", ["2026-W54", "2026-48", "W48", "2026-w48x", "2025-W53", ""])
def test_what_is_no_week_is_refused(text):
    """Only weeks that exist and are written as 2026-W48 are taken."""
    with pytest.raises(WorkspaceError, match="ISO week"):
        parse_week(text)


def test_weeks_begin_on_local_monday():
    """A week lasts from local midnight to local midnight, clock changes included."""
    zone = ZoneInfo("Europe/Berlin")
    week = parse_week("2026-W43")
    assert str(week) == "2026-W43"
    assert week.key_part == "2026w43"
    assert week.starts_at(zone).isoformat() == "2026-10-19T00:00:00+02:00"
    assert week.ends_at(zone).isoformat() == "2026-10-26T00:00:00+01:00"


def test_a_week_is_final_when_its_most_patient_experiment_is():
    """Windows add up as the contracts say; those of conversions count only where they are used."""
    variants = (Variant("a", 50.0, control=True), Variant("b", 50.0))
    clicks = Experiment("x", variants, PrimaryMetric("ctr"))
    money = replace(
        clicks, primary=PrimaryMetric("cvr"), events=EventWindows(refund_window=timedelta(days=14))
    )
    week, zone = parse_week("2026-W36"), ZoneInfo("UTC")
    end = week.ends_at(zone)
    assert final_at(week, [], zone) == end
    assert final_at(week, [clicks], zone) == end + timedelta(hours=96)
    assert final_at(week, [clicks, money], zone) == end + timedelta(hours=96, days=21)
