"""``abp analyze, srm, report, pairs`` on a workspace with a landed log."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from abplatform.analysis.publish import publish
from abplatform.cli.analysis import analyze, pairs, report
from abplatform.cli.srm import srm
from abplatform.domain.assignment import assign
from abplatform.errors import RegistryError, StoreError
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Landing
from abplatform.logs.store.published import TABLES, read_published
from abplatform.logs.store.warehouse import Warehouse
from abplatform.traffic.registry import Registry, Review
from abplatform.workspace import open_workspace

START = datetime(2026, 9, 1, tzinfo=UTC)
SPEC = """\
key: lamps
hypothesis: Generated backgrounds help.
unit: user_id
variants:
  baseline: {control: true, weight: 50, creatives: {source: baseline}}
  generated: {weight: 50, creatives: {source: generated, generator: caig}}
metrics:
  primary: {metric: ctr, direction: increase, mde: 3%}
analysis: {test: fixed, min_runtime: 7d, max_runtime: 7d}
"""


def wire_events(users, *, first=0, seed=3):
    """Impressions and clicks of users who belong where the log says, half each."""
    rng = np.random.default_rng(seed)
    for user in range(first, first + users):
        variant = ("baseline", "generated")[user % 2]
        for turn in range(3):
            place = int(rng.integers(4))
            ts = START + timedelta(seconds=int(rng.integers(7 * 86400)))
            impression = {
                "schema": 1,
                "event_type": "impression",
                "event_id": f"i{user}-{turn}",
                "ts": ts.isoformat(),
                "experiment": "lamps",
                "variant": variant,
                "unit_id": f"u{user}",
                "creative_id": f"{variant[0]}{place}",
                "product_id": f"p{place}",
                "category": ("home/lamp", "beauty/lip")[place % 2],
            }
            yield json.dumps(impression).encode()
            if rng.random() < (0.16 if variant == "generated" else 0.06):
                click = {
                    "schema": 1,
                    "event_type": "click",
                    "event_id": f"c{user}-{turn}",
                    "ts": (ts + timedelta(seconds=9)).isoformat(),
                    "impression_id": impression["event_id"],
                }
                yield json.dumps(click).encode()


def land(workspace, lines):
    with Landing(workspace) as landing:
        landing.append("app", lines)
        landing.seal()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("shop")
    (root / "abp.yaml").write_text("{}\n")
    (root / "experiments").mkdir()
    (root / "experiments" / "lamps.yaml").write_text(SPEC)
    workspace = open_workspace(root)
    Registry(workspace).start("lamps", at=START, who="growth")
    land(workspace, wire_events(600))
    return root


def call(command, *args):
    result = CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_analyze_loads_what_is_sealed_and_prints_the_object(folder):
    """Nobody has to ingest first; the JSON counts every landed impression; asking twice agrees."""
    data = json.loads(call(analyze, "lamps", "--json", "-w", folder))
    assert data["lifts"][0]["n_control"] + data["lifts"][0]["n_treatment"] == 1800
    assert data["units"] == 600
    assert data["verdict"]["verdict"] == "ship"
    again = json.loads(call(analyze, "lamps", "--json", "-w", folder))
    assert again["lifts"] == data["lifts"]
    assert again["data_version"] == data["data_version"]


def test_units_in_another_variant_than_the_hash_says_are_counted(folder):
    """The log is believed, and how many units disagree with the assignment is a warning."""
    data = json.loads(call(analyze, "lamps", "--json", "-w", folder))
    workspace = open_workspace(folder)
    plan = Registry(workspace).plan("lamps", START + timedelta(days=1))
    wrong = sum(
        assign(plan, f"u{user}").variant != ("baseline", "generated")[user % 2]
        for user in range(600)
    )
    (note,) = [note for note in data["warnings"] if note["code"] == "assignment_mismatch"]
    assert note["message"].startswith(f"{wrong:,} of 600 units")


def test_analyze_prints_a_table_for_people(folder):
    """Without --json there is the sentence, a row per category, the split and the status."""
    text = call(analyze, "lamps", "-w", folder)
    for words in ("SHIP", "Ship generated", "home", "beauty", "SRM ok", "final"):
        assert words in text


def test_what_was_known_then_can_be_asked_again(folder):
    """An earlier data version gives the earlier numbers, after more has been loaded."""
    before = json.loads(call(analyze, "lamps", "--json", "-w", folder))
    land(open_workspace(folder), wire_events(50, first=5000, seed=8))
    after = json.loads(call(analyze, "lamps", "--json", "-w", folder))
    then = json.loads(
        call(analyze, "lamps", "--json", "--data-version", before["data_version"], "-w", folder)
    )
    assert after["units"] == before["units"] + 50
    assert (then["units"], then["lifts"]) == (before["units"], before["lifts"])
    assert then["data_version"] == before["data_version"]
    with pytest.raises(StoreError, match="never had the data version"):
        call(analyze, "lamps", "--data-version", "0" * 12, "-w", folder)


def test_as_of_lowers_the_moment(folder):
    """A past moment counts the events up to it and publishes nothing."""
    call(analyze, "lamps", "-w", folder)
    version = read_published(folder / "data" / "published").version
    data = json.loads(call(analyze, "lamps", "--json", "--as-of", "2026-09-03", "-w", folder))
    assert data["as_of"] == "2026-09-03T00:00:00Z"
    assert 0 < data["lifts"][0]["n_control"] < 600
    assert data["verdict"]["verdict"] == "continue"
    assert read_published(folder / "data" / "published").version == version


def test_a_wrong_time_is_a_wrong_call(folder):
    """A time that is none exits with 2 and names the option."""
    result = CliRunner().invoke(analyze, ["lamps", "--as-of", "monday", "-w", str(folder)])
    assert result.exit_code == 2
    assert "--as-of" in result.output


def test_an_unknown_key_names_the_nearest(folder):
    """A typing error is answered with the key that was meant."""
    with pytest.raises(RegistryError, match="nearest key is 'lamps'"):
        call(analyze, "lamp", "-w", folder)


def test_srm_prints_the_split(folder):
    """The split is printed alone, for people and as JSON."""
    assert call(srm, "lamps", "-w", folder).startswith("lamps: ok: seen baseline ")
    data = json.loads(call(srm, "lamps", "--json", "-w", folder))
    assert data["verdict"] == "ok"
    assert data["experiment"] == "lamps"


def test_report_writes_one_html_file_and_markdown(folder, tmp_path):
    """The report comes as a file, as Markdown and in the terminal."""
    path = tmp_path / "new" / "report.html"
    call(report, "lamps", "--html", path, "-w", folder)
    assert "Ship generated" in path.read_text(encoding="utf-8")
    assert call(report, "lamps", "--markdown", "-w", folder).startswith("# lamps: ship\n")
    assert "SHIP" in call(report, "lamps", "-w", folder)


def test_pairs_are_written_once_however_often_they_are_asked_for(folder, tmp_path):
    """The default file is that of the last week; writing again changes nothing."""
    data = json.loads(call(pairs, "lamps", "--json", "-w", folder))
    path = folder / "data" / "pairs" / "2026-W37.parquet"
    assert data["week"] == "2026-W37"
    first = path.read_bytes()
    assert len(pl.read_parquet(path)) == data["pairs"] == 4
    call(pairs, "lamps", "-w", folder)
    assert path.read_bytes() == first
    out = tmp_path / "mine.parquet"
    assert "wrote 4 pairs of lamps" in call(pairs, "lamps", "--out", out, "-w", folder)
    assert out.exists()


def test_what_people_reject_changes_no_pair(folder, tmp_path):
    """The reward model learns from clicks: pairs are the same whatever reviewers dislike."""
    shop = shutil.copytree(folder, tmp_path / "shop")
    call(pairs, "lamps", "--out", tmp_path / "before.parquet", "-w", shop)
    registry = Registry(open_workspace(shop))
    for number in range(4):
        registry.record_review(Review(f"g{number}", "rejected", START, "ada", "ugly"))
    call(pairs, "lamps", "--out", tmp_path / "after.parquet", "-w", shop)
    before, after = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("before", "after"))
    assert after.equals(before)
    assert set(after["chosen_creative"]) & {f"g{number}" for number in range(4)}


def test_analyze_publishes_what_dashboards_read(folder):
    """Every published table has its declared columns and what the workspace knows."""
    data = json.loads(call(analyze, "lamps", "--json", "-w", folder))
    published = read_published(folder / "data" / "published")
    assert published.tables.keys() == TABLES.keys()
    (row,) = published.table("scorecards").to_dicts()
    assert json.loads(row["scorecard"]) == data
    assert row["sentence"].startswith("Ship generated")
    assert len(published.table("lifts")) == len(data["lifts"])
    daily = published.table("daily").filter(pl.col("category").is_null())
    assert daily["impressions"].sum() == sum(
        data["lifts"][0][name] for name in ("n_control", "n_treatment")
    )
    creatives = published.table("creatives")
    assert creatives["clicks"].sum() == daily["clicks"].sum()
    assert (creatives["ctr_low"] <= creatives["ctr"]).all()
    assert len(published.table("pairs")) == 4
    (source,) = published.table("health").to_dicts()
    assert source["received"] == source["accepted"] > 1800
    assert source["watermark"].year >= 2026
    (experiment,) = published.table("experiments").to_dicts()
    assert (experiment["key"], experiment["state"]) == ("lamps", "running")
    assert published.table("audit")["action"].to_list() == ["start", "look"]


def test_publishing_everything_keeps_what_others_published(folder):
    """A whole publication and one of a single experiment hold the same rows."""
    call(analyze, "lamps", "-w", folder)
    root = folder / "data" / "published"
    before = read_published(root)
    workspace = open_workspace(folder)
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        whole = publish(workspace, warehouse)
        assert publish(workspace, warehouse, scorecards=[]) == whole + 1
    after = read_published(root)
    for name in ("lifts", "daily", "creatives", "pairs", "audit"):
        assert after.table(name).equals(before.table(name)), name


def test_a_draft_has_no_traffic_and_says_so(folder):
    """An experiment that never started is analysed without a number and without a crash."""
    (folder / "experiments" / "next.yaml").write_text(SPEC.replace("lamps", "next"))
    data = json.loads(call(analyze, "next", "--json", "-w", folder))
    assert data["lifts"][0]["undetermined"] == "no_traffic: control has no units"
    assert data["verdict"]["verdict"] == "continue"
    assert "no pairs" in call(pairs, "next", "-w", folder)
    facts = ExperimentFacts.of(Registry(open_workspace(folder)).find("next").experiment)
    assert facts.running == ()
