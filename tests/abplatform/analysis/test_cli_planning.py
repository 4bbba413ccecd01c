"""``abp power`` and ``abp simulate`` on a workspace with a landed log."""

import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from click.testing import CliRunner

from abplatform.cli.planning import power, simulate
from abplatform.errors import AnalysisError, RegistryError
from abplatform.logs.landing import Landing
from abplatform.traffic.registry import Registry
from abplatform.traffic.registry.remedies import exclude_source
from abplatform.workspace import open_workspace

START = datetime(2026, 9, 1, tzinfo=UTC)
SPEC = """\
key: {key}
unit: {unit}
variants:
  baseline: {{control: true, weight: 50, creatives: {{source: baseline}}}}
  generated: {{weight: 50, creatives: {{source: generated, generator: caig}}}}
metrics:
  primary: {{metric: {metric}, mde: 20%}}
analysis: {{test: sequential, min_runtime: 3d, max_runtime: 14d}}
"""


def wire_events(users=900, days=6):
    """Users of one day each; a third of the impressions stands in no experiment."""
    rng = np.random.default_rng(3)
    for user in range(users):
        variant = ("baseline", "generated")[user % 2]
        for turn in range(3):
            seconds = (user // 6 % days) * 86_400 + int(rng.integers(80_000))
            moment = START + timedelta(seconds=seconds)
            told = [{"experiment": "lamps", "variant": variant}] if user % 3 else []
            fact = {"schema": 1, "event_id": f"i{user}-{turn}", "ts": moment.isoformat()}
            impression = {
                **fact,
                "event_type": "impression",
                "assignments": told,
                "unit_id": f"u{user}",
                "creative_id": "c",
                "product_id": "p",
                "category": "home/lamp",
            }
            yield json.dumps(impression).encode()
            if rng.random() < 0.12:
                after = (moment + timedelta(seconds=9)).isoformat()
                told = {
                    "event_id": f"c{user}-{turn}",
                    "ts": after,
                    "impression_id": f"i{user}-{turn}",
                }
                yield json.dumps({"schema": 1, "event_type": "click", **told}).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("shop")
    (root / "abp.yaml").write_text("{}\n")
    (root / "experiments").mkdir()
    for key, unit, metric in (
        ("lamps", "user_id", "ctr"),
        ("next", "user_id", "ctr"),
        ("other", "request_id", "ctr"),
        ("money", "product_id", "rpm"),
    ):
        text = SPEC.format(key=key, unit=unit, metric=metric)
        (root / "experiments" / f"{key}.yaml").write_text(text)
    workspace = open_workspace(root)
    Registry(workspace).start("lamps", at=START, who="growth")
    with Landing(workspace) as landing:
        landing.append("app", list(wire_events()))
        landing.seal()
    return root


def call(command, *args):
    result = CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_power_says_one_sentence_first(folder):
    """A product manager reads the answer before any table."""
    text = call(power, "next", "-w", folder)
    words = " ".join(text.replace("│", " ").split())
    assert "To find a lift of 20% you need about " in words or "14 days with about" in words
    for plan in ("fixed", "sequential *", "anytime"):
        assert plan in text
    assert "the control of lamps (6 days from 2026-09-01, 300 users)" in words


def test_power_as_json_holds_every_plan(folder):
    """The JSON holds what the sentence rests on, from the running experiment's own control."""
    data = json.loads(call(power, "lamps", "--json", "-w", folder))
    assert data["traffic"]["source"] == "own"
    assert data["traffic"]["units"] == 300
    assert data["units_by_day"][0] == {"day": 1, "units": 100, "seen": True}
    assert data["calendar"]["decides_at"].startswith("2026-09-15")
    longer = json.loads(call(power, "lamps", "--days", 28, "--mde", "40%", "--json", "-w", folder))
    assert longer["max_days"] == 28
    assert longer["lift"] == 0.4
    for short, long in zip(data["plans"], longer["plans"], strict=True):
        assert long["smallest_lift"] < short["smallest_lift"]
        assert long["power"] > short["power"]


def test_power_falls_back_to_every_impression(folder):
    """Where no experiment has such units, all impressions of the log count, in one or in none."""
    data = json.loads(call(power, "other", "--json", "-w", folder))
    assert data["traffic"]["source"] == "impressions"
    assert data["traffic"]["units"] == 2700
    assert data["traffic"]["per_unit"] == 1.0
    assert data["traffic"]["design_effect"] == pytest.approx(2700 / 2699)


def test_power_takes_what_people_know(folder):
    """Stated numbers are enough, and too little is refused with what to state."""
    stated = ("--rate", "2%", "--units-per-day", 5000, "--per-unit", 3, "--design-effect", 1.5)
    data = json.loads(call(power, "other", *stated, "--json", "-w", folder))
    assert data["traffic"]["unit_variance"] == pytest.approx(1.5 * 0.98 / (0.02 * 3))
    with pytest.raises(AnalysisError, match="Land a log"):
        call(power, "money", "-w", folder)


def test_an_excluded_source_is_no_past(folder, tmp_path):
    """What a person excluded from an experiment is planned with no more."""
    copy = tmp_path / "shop"
    shutil.copytree(folder, copy)
    journal = Registry(open_workspace(copy)).journal
    exclude_source(journal, "lamps", "app", at=START, who="growth", why="sent twice")
    data = json.loads(call(power, "next", "--json", "-w", copy))
    assert data["traffic"]["source"] == "impressions"


def test_power_writes_a_page(folder, tmp_path):
    """The page is one file with the plot in it."""
    path = tmp_path / "new" / "plan.html"
    assert f"wrote {path}" in call(power, "lamps", "--html", path, "-w", folder)
    html = path.read_text()
    assert "<svg" in html
    assert "src=" not in html


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--mde", "-3%"), "above 0"),
        (("--mde", "3x"), "write it like 3%"),
        (("--days", "0"), "1<=x<=366"),
        (("--rate", "200%"), "below 1"),
        (("--units-per-day", "0"), "x>0"),
        (("--design-effect", "nan"), "no number"),
    ],
)
def test_wrong_numbers_are_refused(folder, options, words):
    """A number out of range is a wrong call, with its bounds."""
    result = CliRunner().invoke(power, ["lamps", *options, "-w", str(folder)])
    assert result.exit_code == 2
    assert words in result.output


@pytest.mark.parametrize("command", [(power,), (simulate, "aa")])
def test_unknown_keys_name_the_nearest(folder, command):
    """A misspelt key is answered with the one that was meant."""
    with pytest.raises(RegistryError) as caught:
        call(command[0], *command[1:], "lampz", "-w", folder)
    assert "'lamps'" in str(caught.value)


def files_of(folder):
    """Everything but the cache, with its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "warehouse" not in path.name and path.name != ".lock"
    }


def test_simulate_writes_nothing(folder):
    """Neither journal nor landing nor published tables change; asked again, the answer is equal."""
    call(power, "lamps", "-w", folder)
    before = files_of(folder)
    one = json.loads(call(simulate, "aa", "lamps", "--runs", 60, "--json", "-w", folder))
    assert files_of(folder) == before
    assert one == json.loads(call(simulate, "aa", "lamps", "--runs", 60, "--json", "-w", folder))
    assert one["units"] == 600
    assert one["plans"]["sequential"]["rejects"]["runs"] == 60


def test_simulate_prints_a_table_for_people(folder):
    """Every test has its row, and what was replayed is said."""
    text = call(simulate, "power", "lamps", "--runs", 30, "--lift", "90%", "-w", folder)
    for words in ("A lift of 90% was found in", "sequential *", "naive, daily", "all categories"):
        assert words in " ".join(text.split())
    assert "log_shorter_than_run" in text


@pytest.mark.parametrize("options", [("aa", "--lift", "3%"), ("power", "--lift", "0")])
def test_lifts_that_make_no_sense_are_refused(folder, options):
    """An A/A run has no lift, and a lift of nothing is an A/A run."""
    result = CliRunner().invoke(simulate, [options[0], "lamps", *options[1:], "-w", str(folder)])
    assert result.exit_code == 2
    assert "--lift" in result.output


def test_a_workspace_without_a_log_is_told_what_to_do(tmp_path):
    """Without any log both verbs end in one line that says how to go on."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    (tmp_path / "experiments").mkdir()
    text = SPEC.format(key="lamps", unit="user_id", metric="ctr")
    (tmp_path / "experiments" / "lamps.yaml").write_text(text)
    with pytest.raises(AnalysisError, match="--units-per-day"):
        call(power, "lamps", "-w", tmp_path)
    with pytest.raises(AnalysisError, match="100 units"):
        call(simulate, "aa", "lamps", "-w", tmp_path)
