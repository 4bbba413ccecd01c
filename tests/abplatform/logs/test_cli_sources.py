"""``abp ingest --due``, and where a silent source is told of."""

import json
import os
import time as machine_time
from datetime import timedelta

import polars as pl
import pytest
from click.testing import CliRunner

from abplatform.cli.analysis import analyze
from abplatform.cli.experiments import status
from abplatform.cli.logs import ingest
from abplatform.cli.project import validate
from abplatform.logs.sources.pulls import Glance, remember
from abplatform.logs.store.published import read_published
from abplatform.workspace import open_workspace

SOURCES = """\
sources:
  - {name: app, path: "logs/*.jsonl", every: 1h}
  - {name: cloud, path: "s3://bucket/*.csv"}
"""
SPEC = """\
key: beauty
assignment: external
variants: {baseline: {control: true, weight: 50}, generated: {weight: 50}}
metrics: {primary: ctr}
"""


@pytest.fixture
def folder(tmp_path, wire):
    """A workspace with two sources, one of which cannot be reached."""
    root = tmp_path / "shop"
    (root / "experiments").mkdir(parents=True)
    (root / "logs").mkdir()
    (root / "abp.yaml").write_text(SOURCES)
    (root / "experiments" / "beauty.yaml").write_text(SPEC)
    events = [
        wire(
            "impression",
            f"i{unit}",
            unit_id=f"u{unit}",
            variant=("baseline", "generated")[unit % 2],
        )
        for unit in range(20)
    ]
    log = root / "logs" / "a.jsonl"
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    then = machine_time.time() - 600
    os.utime(log, (then, then))
    return root


def call(command, folder, *words):
    return CliRunner().invoke(command, [*words, "-w", str(folder)], catch_exceptions=False)


def test_each_source_has_its_receipt_and_failures_their_names(folder):
    """What can be pulled is pulled; the exit status says that something failed, and what."""
    result = call(ingest, folder, "--due")
    assert result.exit_code == 1
    assert "app: 1 new" in result.stdout
    assert "20 received = 20 accepted" in result.stdout
    assert "error: source cloud:" in result.stderr
    assert "pip install s3fs" in result.stderr
    assert "error: source cloud:" in call(status, folder).stderr


def test_json_is_one_object(folder):
    """--json prints one object with a row for each source."""
    result = call(ingest, folder, "--due", "--json")
    told = json.loads(result.stdout)["sources"]
    assert [row["source"] for row in told] == ["app", "cloud"]
    assert told[0]["receipt"]["accepted"] == 20
    assert told[1]["receipt"] is None
    assert list(told[1]["errors"]) == ["s3://bucket/*.csv"]


@pytest.mark.parametrize("extra", [["a.jsonl"], ["--source", "x"], ["--dry-run"]])
def test_due_takes_nothing_else(folder, extra):
    """Files and names come from abp.yaml alone."""
    result = call(ingest, folder, "--due", *extra)
    assert result.exit_code == 2
    assert "abp.yaml alone" in result.stderr


def test_due_needs_sources(folder):
    """A workspace without sources is told what to do."""
    (folder / "abp.yaml").write_text("{}")
    result = call(ingest, folder, "--due")
    assert result.exit_code == 2
    assert "names no sources" in result.stderr


def test_a_silent_source_is_told_everywhere(folder):
    """Status, the scorecards that read it and what is published say that a source is silent."""
    (folder / "abp.yaml").write_text(SOURCES.splitlines(keepends=True)[0] + SOURCES.splitlines()[1])
    assert call(ingest, folder, "--due").exit_code == 0
    rows = json.loads(call(status, folder, "--json").stdout)["sources"]
    assert [(row["source"], row["silent"]) for row in rows] == [("app", None)]
    # As if it had been pulled three hours ago, and nothing had come since.
    workspace = open_workspace(folder)
    path = workspace.landing / "pulls.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    remember(workspace, "app", Glance(workspace.clock() - timedelta(hours=3), files=1))
    result = call(status, folder)
    assert "warning source_silent: source 'app' is silent" in result.stderr
    scorecard = json.loads(call(analyze, folder, "beauty", "--json").stdout)
    told = [row["message"] for row in scorecard["warnings"] if row["code"] == "source_silent"]
    assert len(told) == 1
    assert "something new every 1 h was expected" in told[0]
    health = read_published(workspace.published).table("health").filter(pl.col("source") == "app")
    assert health["silent"].to_list() == told


def test_an_experiment_is_not_warned_of_a_source_that_it_does_not_read(folder):
    """Only those who read a silent source hear of it; what is published names it all the same."""
    call(ingest, folder, "--due")
    workspace = open_workspace(folder)
    path = workspace.landing / "pulls.jsonl"
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(row for row in rows if b'"cloud"' not in row))
    remember(workspace, "cloud", Glance(workspace.clock() - timedelta(days=3), files=0))
    scorecard = json.loads(call(analyze, folder, "beauty", "--json").stdout)
    assert "source_silent" not in {row["code"] for row in scorecard["warnings"]}
    health = read_published(workspace.published).table("health")
    silent = dict(health.select("source", "silent").iter_rows())
    assert silent["app"] is None
    assert "source 'cloud' is silent" in silent["cloud"]


@pytest.mark.parametrize(
    ("text", "place"),
    [(None, "net.yaml:1:1"), ("event: impresion\n", "net.yaml:1:8"), ("a: [", "net.yaml:2:1")],
)
def test_validate_reads_the_mappings_of_sources(folder, text, place):
    """``abp validate`` names a source's mapping file that is missing or wrong, with its place."""
    (folder / "abp.yaml").write_text("sources: [{name: a, path: x, mapping: net.yaml}]")
    if text:
        (folder / "net.yaml").write_text(text)
    result = call(validate, folder)
    assert result.exit_code == 1
    assert place in result.stdout
    (folder / "net.yaml").write_text("event: click\ntime: {field: when}\n")
    assert call(validate, folder).exit_code == 0
