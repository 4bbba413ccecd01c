from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from abplatform.creatives import append_lineage
from abplatform.domain.catalog import Lineage, Placement
from abplatform.traffic.config import ConfigReader, build_config
from abplatform.traffic.decisions import Request, RequestContext, decide
from abplatform.traffic.lineup import line_up
from abplatform.traffic.registry import Registry, Review
from abplatform.workspace import Workspace

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
YAML = """key: lamps
approval: human
variants:
  baseline: {control: true, creatives: {source: baseline}}
  generated: {creatives: {source: generated, per_product: 2}}
metrics: {primary: ctr}
"""


def made(name, source="generated", week="2026-W45", **others):
    place = Placement(0, 0, 1, 1)
    return Lineage(
        name, "p1", source, "i", "c", place, {}, "", 0, "r/1", {}, {}, week=week, **others
    )


@pytest.fixture
def workspace(tmp_path):
    found = Workspace(tmp_path, clock=lambda: MONDAY)
    found.experiments.mkdir()
    (found.experiments / "lamps.yaml").write_text(YAML)
    found.catalog.mkdir()
    rows = "product_id,image,title,category\np1,p1.png,Lamp,home/light\n"
    (found.catalog / "products.csv").write_text(rows)
    names = ["one", "two", "three"]
    old = made("old", week="2026-W40")
    lineage = [made("plain", "baseline", None), old, *map(made, names)]
    append_lineage(found.creatives, lineage)
    Registry(found).start("lamps", at=MONDAY, who="t")
    return found


def lineup_of(config, variant, product="p1"):
    served = config.experiments["lamps"]
    return line_up(served.stocks[variant][product], served.excluded)


def review(workspace, name, decision):
    Registry(workspace).record_review(Review(name, decision, MONDAY, "t"))


def test_a_variant_shows_the_creatives_of_its_week(workspace):
    """Generated variants have their week's creatives, as many as the YAML asks for."""
    review(workspace, "one", "approved")
    lineup = lineup_of(build_config(workspace), "generated")
    assert lineup.eligible == ("one",)
    assert lineup.excluded == {"two": "pending_review"}


def test_creatives_without_a_week_stand_in(workspace):
    """A product without creatives of the experiment's week shows those made without a week."""
    append_lineage(workspace.creatives, [replace(made("loose", week=None), product_id="p2")])
    shown = build_config(workspace).experiments["lamps"].stocks["generated"]
    assert shown == {"p1": ("one", "two"), "p2": ("loose",)}


def test_a_rejected_creative_is_not_shown_to_anybody(workspace):
    """Rejecting a baseline takes it from the variant and from everybody outside."""
    review(workspace, "plain", "rejected")
    config = build_config(workspace)
    assert lineup_of(config, "baseline").excluded == {"plain": "rejected"}
    assert config.excluded == {"plain": "rejected"}


def test_version_changes_with_what_decides(workspace):
    """The version stays while nothing changes, and changes with a review."""
    before = build_config(workspace)
    assert build_config(workspace) == before
    review(workspace, "one", "approved")
    assert build_config(workspace).version != before.version


def test_a_reader_sees_every_change(workspace):
    """Reading again gives what reading for the first time gives, after every kind of change."""
    reader = ConfigReader(workspace)
    rows = (workspace.catalog / "products.csv").read_text()
    changes = [
        lambda: review(workspace, "one", "approved"),
        lambda: append_lineage(workspace.creatives, [replace(made("new"), product_id="p2")]),
        lambda: (workspace.catalog / "products.csv").write_text(f"{rows}p2,p.png,Desk,home/wood\n"),
        lambda: Registry(workspace).pause("lamps", at=MONDAY, who="t"),
        lambda: (workspace.experiments / "lamps.yaml").write_text("key: ["),
    ]
    versions = {reader.read().version}
    for change in changes:
        change()
        assert reader.read() == build_config(workspace)
        versions.add(reader.read().version)
    assert len(versions) == len(changes)  # a broken YAML file decides nothing


def test_version_changes_with_a_safe_edit(workspace):
    """An edit that takes effect by itself gives the config another version."""
    before = build_config(workspace)
    path = workspace.experiments / "lamps.yaml"
    path.write_text(f"{path.read_text()}forced: {{generated: [qa]}}\n")
    after = build_config(workspace)
    assert after.experiments["lamps"].plan.forced == {"qa": "generated"}
    assert after.version != before.version


def test_a_broken_yaml_is_named_and_the_rest_is_served(workspace):
    """What was started runs on as it was started, whatever becomes of its file."""
    (workspace.experiments / "lamps.yaml").write_text("key: [")
    config = build_config(workspace)
    assert "lamps" in config.experiments
    assert "lamps.yaml" in config.problems[0]


def test_pausing_switches_an_experiment_off(workspace):
    """After a pause every unit sees the baseline, with the reason not_running."""
    Registry(workspace).pause("lamps", at=MONDAY, who="t")
    request = Request(unit_id="u", experiment="lamps", context=RequestContext(product_ids=["p1"]))
    record = decide(build_config(workspace), request, decision_id="d", at=MONDAY)
    assert (record.reason, record.creative_id) == ("not_running", "plain")


def test_halting_switches_all_experiments_off_and_on(workspace):
    """While experiments are halted every decision is a fallback; their phases stay."""
    registry = Registry(workspace)
    registry.halt(at=MONDAY, who="t", reason="fire")
    assert build_config(workspace).halted
    assert len(registry.find("lamps").phases) == 1
    registry.unhalt(at=MONDAY, who="t")
    assert not build_config(workspace).halted


def test_a_workspace_without_anything_has_a_config(tmp_path):
    """An empty folder gives a config without experiments, not an error."""
    config = build_config(Workspace(tmp_path))
    assert (config.experiments, config.problems) == ({}, ())


def test_the_config_never_changes_under_a_reader(workspace):
    """A config is frozen; a later one is another object."""
    config = build_config(workspace)
    with pytest.raises(AttributeError):
        config.halted = True
    assert replace(config, halted=True) != config
    assert msgspec.json.encode(list(config.creatives))
