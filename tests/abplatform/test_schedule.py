"""What is due, when, and the process that runs it."""

import json
import shlex
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from abplatform.cli.main import abp
from abplatform.cli.schedule import LOG
from abplatform.errors import WorkspaceLocked
from abplatform.loop.due import find_due, find_waiting
from abplatform.loop.steps import hold_schedule, hold_turn
from abplatform.loop.weeks import IsoWeek, named_week, week_of
from abplatform.traffic.registry import Registry
from abplatform.workspace import open_workspace

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
PROGRAM = "from abplatform.cli.main import main; main()"
YAML = """\
key: {key}
variants:
  one: {{control: true, weight: 50, creatives: {{source: baseline}}}}
  two: {{weight: 50, creatives: {{source: baseline}}}}
metrics: {{primary: {{metric: ctr}}}}
analysis: {{test: fixed, min_runtime: 7d, max_runtime: 7d}}
"""
NOW = datetime(2026, 9, 2, 12, tzinfo=UTC)  # a Wednesday, in W36


def make(root, *keys, now=NOW):
    (root / "experiments").mkdir(parents=True)
    (root / "abp.yaml").write_text("time_zone: UTC\n")
    for key in keys:
        (root / "experiments" / f"{key}.yaml").write_text(YAML.format(key=key))
    return open_workspace(root, clock=lambda: now)


def finish(workspace, week, *steps):
    """Leave a turn's markers as if these steps were done."""
    for step in steps:
        folder = workspace.runs / week / step
        folder.mkdir(parents=True)
        (folder / "_SUCCESS").write_text(json.dumps({"inputs": "x", "result": {}, "seconds": 0}))


def at(workspace, moment):
    return open_workspace(workspace.root, clock=lambda: moment)


def test_a_week_begins_when_its_time_has_come(tmp_path):
    """A draft that names a week is due from that week's first moment on, and waits before it."""
    workspace = make(tmp_path, "scenes-2026w37")
    assert find_due(workspace) == []
    (waiting,) = find_waiting(workspace)
    assert waiting.week == IsoWeek(2026, 37)
    assert waiting.until == datetime(2026, 9, 7, tzinfo=UTC)
    assert find_due(at(workspace, waiting.until)) == [IsoWeek(2026, 37)]


def test_a_begun_week_waits_until_it_is_final(tmp_path):
    """Once its experiments run, a turn goes on when its last row can change no more."""
    workspace = make(tmp_path, "scenes-2026w36")
    assert find_due(workspace) == [IsoWeek(2026, 36)]
    Registry(workspace).start("scenes-2026w36", at=NOW, who="test")
    finish(workspace, "2026-W36", "register")
    assert find_due(workspace) == []
    (waiting,) = find_waiting(workspace)
    # the week's end, a day of attribution and three of late data
    assert waiting.until == datetime(2026, 9, 7, tzinfo=UTC) + timedelta(days=4)
    assert IsoWeek(2026, 36) in find_due(at(workspace, waiting.until))


def test_missed_weeks_are_caught_up_oldest_first(tmp_path):
    """After weeks without power every turn that was begun or missed is due, in order."""
    workspace = make(tmp_path, "scenes-2026w36")
    Registry(workspace).start("scenes-2026w36", at=NOW, who="test")
    finish(workspace, "2026-W36", "register")
    later = at(workspace, NOW + timedelta(days=30))
    assert find_due(later)[:2] == [IsoWeek(2026, 36), IsoWeek(2026, 37)]
    finish(workspace, "2026-W36", "promote")
    assert IsoWeek(2026, 36) not in find_due(later)


def test_weeks_before_the_first_turn_are_left_alone(tmp_path):
    """What ran before anybody scheduled anything is not drawn and judged after the fact."""
    workspace = make(tmp_path, "scenes")
    Registry(workspace).start("scenes", at=NOW - timedelta(days=40), who="test")
    assert find_due(workspace) == [IsoWeek(2026, 36)]


@pytest.mark.parametrize(
    ("key", "week"),
    [
        ("scenes-2026w36", IsoWeek(2026, 36)),
        ("2026w01-a", IsoWeek(2026, 1)),
        ("scenes-2026w60", None),
        ("scenes-12026w36", None),
        ("scenes", None),
    ],
)
def test_keys_name_weeks(key, week):
    assert named_week(key) == week


def test_weeks_are_those_of_the_time_zone(tmp_path):
    """Sunday night in New York is Monday in UTC."""
    from zoneinfo import ZoneInfo

    moment = datetime(2026, 9, 7, 2, tzinfo=UTC)
    assert week_of(moment, ZoneInfo("UTC")) == IsoWeek(2026, 37)
    assert week_of(moment, ZoneInfo("America/New_York")) == IsoWeek(2026, 36)


def test_weekly_due_with_nothing_due_does_nothing(tmp_path):
    """It says so, changes nothing and ends well; a week and --due exclude each other."""
    make(tmp_path)
    runner = CliRunner()
    call = ["weekly", "--due", "-w", str(tmp_path)]
    told = runner.invoke(abp, call)
    assert told.exit_code == 0, told.output
    assert "no week is due" in told.output
    assert json.loads(runner.invoke(abp, [*call, "--json"]).stdout) == []
    assert not (tmp_path / "data" / "runs").exists()
    for words in (["2026-W36", "--due"], [], ["--due", "--traffic", "simulated"]):
        assert runner.invoke(abp, ["weekly", *words, "-w", str(tmp_path)]).exit_code == 2


def test_retrain_due_without_pairs_does_nothing(tmp_path):
    make(tmp_path)
    runner = CliRunner()
    told = runner.invoke(abp, ["retrain", "--due", "-w", str(tmp_path)])
    assert told.exit_code == 0, told.output
    assert "nothing is due" in told.output
    both = ["retrain", "--due", "--week", "2026-W36", "-w", str(tmp_path)]
    assert runner.invoke(abp, both).exit_code == 2


def run(root, *words, **changes):
    """Start the scheduler as a process."""
    call = [sys.executable, "-c", PROGRAM, "schedule", *words, "-w", str(root)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(call, **{**pipes, **changes})


def log_of(root):
    path = root / "data" / "runs" / LOG
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
def test_one_round_keeps_what_it_did(tmp_path):
    """Once: logs are taken in and told of; --dry-run only says what would be run."""
    make(tmp_path)
    told, _ = (dry := run(tmp_path, "--dry-run", "--json")).communicate()
    assert dry.returncode == 0
    assert json.loads(told)["jobs"] == ["ingest"]
    assert log_of(tmp_path) == []
    once = run(tmp_path, "--once")
    out, err = once.communicate()
    assert once.returncode == 0, err
    assert "ingest" in out
    (row,) = log_of(tmp_path)
    assert row["job"] == "ingest"
    assert row["ok"] is True


@pytest.mark.slow
def test_a_failing_job_stops_no_other(tmp_path):
    """A turn that somebody else holds is told of and logged; the round ends with status 1."""
    week = str(week_of(datetime.now(UTC), UTC))
    workspace = make(tmp_path, "scenes-" + week.lower().replace("-", ""))
    with hold_turn(workspace.runs, "by hand"):
        once = run(tmp_path, "--once")
        out, _ = once.communicate()
    assert once.returncode == 1
    jobs = {row["job"]: row for row in log_of(tmp_path)}
    assert jobs["ingest"]["ok"]
    assert not jobs["weekly --due"]["ok"]
    assert "another weekly turn is under way: by hand" in jobs["weekly --due"]["error"]
    assert jobs["weekly --due"]["error"] in out


@pytest.mark.slow
def test_a_signal_ends_it_and_a_second_one_is_refused(tmp_path):
    """One scheduler a workspace; SIGTERM ends it after the job in hand, with status 0."""
    make(tmp_path)
    first = run(tmp_path, "--every", "1h", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not log_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    second = run(tmp_path, "--once")
    _, err = second.communicate()
    assert second.returncode == 1
    assert f"another scheduler is at work: abp schedule, process {first.pid}" in err
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=30) == 0
    assert [row["ok"] for row in log_of(tmp_path)] == [True]


def test_a_killed_scheduler_leaves_no_lock(tmp_path):
    """The lock is the process's own: it keeps others out, and goes with it."""
    kill = (
        "import os, pathlib, signal; from abplatform.loop.steps import hold_schedule\n"
        f"with hold_schedule(pathlib.Path({str(tmp_path)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", kill], check=False)
    assert done.returncode == -signal.SIGKILL
    with (
        hold_schedule(tmp_path),
        pytest.raises(WorkspaceLocked, match="another scheduler"),
        hold_schedule(tmp_path),
    ):
        pass


@pytest.mark.parametrize("text", ["0m", "15", "m", "-5m", "1d"])
def test_lengths_of_time_are_checked(tmp_path, text):
    make(tmp_path)
    told = CliRunner().invoke(abp, ["schedule", "--every", text, "-w", str(tmp_path)])
    assert told.exit_code == 2


def commands():
    """Every `abp` command of the samples."""
    for path in sorted(DEPLOY.iterdir()):
        for line in path.read_text().splitlines():
            if "/bin/abp " in line and not line.startswith("#"):
                words = line.split("/bin/abp ", 1)[1].split(">>")[0]
                yield pytest.param(shlex.split(words), id=f"{path.name}: {words.strip()}")


@pytest.mark.parametrize("words", list(commands()))
def test_samples_call_what_there_is(words):
    """Commands of the cron and systemd samples are understood by the command line."""
    verb, *rest = words
    command = abp.get_command(None, verb)
    assert command is not None
    assert "/srv/abplatform" in map(str, command.make_context(verb, list(rest)).params.values())


def test_units_are_whole():
    """Every systemd unit has the sections that its kind needs, and the timer's service exists."""
    from configparser import ConfigParser

    for path in DEPLOY.glob("*.service"):
        unit = ConfigParser(interpolation=None, strict=False)
        unit.optionxform = str
        unit.read(path)
        assert unit["Service"]["ExecStart"].startswith("/")
        assert unit["Unit"]["Description"]
    for path in DEPLOY.glob("*.timer"):
        unit = ConfigParser(interpolation=None, strict=False)
        unit.optionxform = str
        unit.read(path)
        assert "OnCalendar" in unit["Timer"] or "OnUnitInactiveSec" in unit["Timer"]
        assert (DEPLOY / f"{path.stem}.service").is_file()
