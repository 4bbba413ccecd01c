"""Reports that networks restate: what counts, what is kept, and what a decision makes of it."""

import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from abplatform.analysis.scorecard import Question, Run, keep_scorecard_looks
from abplatform.analysis.verdict import analyze
from abplatform.cli.main import abp
from abplatform.logs.load import ingest
from abplatform.logs.store.warehouse import Warehouse
from abplatform.traffic.registry import Registry

PAGE = (Path(__file__).parents[3] / "docs" / "your-logs.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Reports without users")[1].split("\n## ")[0]
START = datetime(2026, 11, 1, tzinfo=UTC)
LOOK = START + timedelta(days=2)
PLAN = (
    "key: spring\nvariants: {plain: {control: true}, sunset: {}}\nmetrics: {primary: ctr}\n"
    "analysis: {test: fixed, min_runtime: 2d, max_runtime: 2d}\n"
    "events: {attribution_window: 1d, late_data: 1d}\n"
)


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", SECTION, flags=re.DOTALL)


def test_the_page_s_restated_report_does_what_it_shows(tmp_path, monkeypatch):
    """Typed in order, the page's commands print what the page says of the restated days."""
    for name, text in zip(("monday.csv", "thursday.csv"), blocks("csv"), strict=True):
        (tmp_path / name).write_text(text)
    declared = "experiment: {assignment: external, control: first}\n"
    (tmp_path / "report.yaml").write_text(blocks("yaml")[0] + declared)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    said = []
    for command in blocks("sh")[0].splitlines():
        words = shlex.split(command)
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
        else:
            said.append(CliRunner().invoke(abp, words[1:], catch_exceptions=False).stdout)
    restated, scorecard = said[-2:]
    shown = [line.strip() for line in blocks("text")[0].splitlines()]
    assert set(shown) <= {line.strip() for line in restated.splitlines()}
    assert "SHIP" in scorecard
    version = re.findall(r"data_version (\w+)", said[1])[0]
    words = ["analyze", "spring", "--data-version", version]
    assert "CONTINUE" in CliRunner().invoke(abp, words, catch_exceptions=False).stdout


@pytest.fixture
def report(wire):
    """Return ``report(revision, clicks)`` → two days of two variants, as a network tells them."""

    def make(revision, plain, sunset):
        return [
            wire(
                "aggregate",
                f"r{revision}-{variant}-{day}",
                experiment="spring",
                variant=variant,
                category="beauty/lip",
                product_id="p1",
                creative_id=variant,
                day=f"2026-11-0{day}",
                impressions=4000,
                clicks=clicks,
                revision=revision,
            )
            for variant, clicks in (("plain", plain), ("sunset", sunset))
            for day in (1, 2)
        ]

    return make


@pytest.fixture
def spring(workspace, write):
    """Return ``spring(events, at=…)`` → the scorecard after a plain analysis at that time."""
    workspace.experiments.mkdir(parents=True)
    (workspace.experiments / "spring.yaml").write_text(PLAN)
    Registry(workspace).start("spring", at=START, who="ann")

    def take(events, *, at, **asked):
        now = replace(workspace, clock=lambda: at)
        registry = Registry(now)
        facts = {key: one.facts for key, one in registry.experiments().items()}
        ingest(now, facts, files=[write(events)] if events else [])
        registered = registry.find("spring")
        with now.lock("test"), Warehouse.open(now) as warehouse:
            card = analyze(
                warehouse,
                registered.experiment,
                run=Run.of(registered, now=at),
                question=Question(**asked),
            )
        if not asked:
            keep_scorecard_looks(registry, registered, card, who="ann")
        return card

    return take


def test_until_the_look_the_newest_numbers_count(spring, report):
    """A day that is restated in time decides as restated."""
    early = spring(report(1, 80, 82), at=LOOK)
    assert early.decision.verdict == "continue"
    assert early.looks == ()
    decided = spring(report(2, 80, 140), at=LOOK + timedelta(days=3))
    assert decided.decision.verdict == "ship"
    assert [look.treatment for look in decided.looks] == ["sunset"]


def test_after_the_look_the_verdict_stays(spring, report, workspace):
    """A network that takes clicks back later changes lifts and warns, and the verdict stays."""
    decided = spring(report(1, 80, 140), at=LOOK + timedelta(days=3))
    version = decided.data_version
    assert decided.decision.verdict == "ship"
    restated = spring(report(2, 80, 82), at=LOOK + timedelta(days=9))
    assert restated.decision.verdict == "ship"
    assert restated.facts == decided.facts
    assert restated.lifts[0].k_treatment == 164
    assert restated.lifts[0].relative_lift < 0.1
    assert restated.lifts[0].significant
    (note,) = [n for n in restated.warnings if n.code == "restated_after_the_decision"]
    assert "on the numbers of today it would say: ctr of sunset" in note.message
    rows = [row for row in Registry(workspace).rows() if row.action == "look"]
    assert len(rows) == 1
    # What was known at the look, and what an unchanged log says again, carry no warning.
    before = spring([], at=LOOK + timedelta(days=10), data_version=version)
    assert before.lifts[0].k_treatment == 280
    assert "restated_after_the_decision" not in {n.code for n in before.warnings}


def test_what_was_kept_is_what_a_new_analysis_reads(spring, report):
    """Analysing again after the look says the same, from the journal."""
    decided = spring(report(1, 80, 140), at=LOOK + timedelta(days=3))
    again = spring([], at=LOOK + timedelta(days=3))
    assert again == decided
    told = again.to_json()
    assert [look["crossed"] for look in told["looks"]] == [True]
    assert told["estimate_at_decision"][0]["relative_lift"] == pytest.approx(0.75)
