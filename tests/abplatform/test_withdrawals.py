import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from abplatform.creatives import (
    Selector,
    append_lineage,
    perceptual_hash,
    read_lineage,
    save_master,
)
from abplatform.domain.catalog import Lineage, Placement
from abplatform.domain.experiment import State
from abplatform.durable import FAULT
from abplatform.errors import RegistryError
from abplatform.traffic.config import ConfigReader, build_config
from abplatform.traffic.decisions import Request, RequestContext, decide
from abplatform.traffic.registry import Registry, Review
from abplatform.workspace import Settings, Workspace, open_workspace

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
NOW = MONDAY + timedelta(days=3)
CUTOUT = np.zeros((4, 4, 4), np.uint8)
SCENE = {"surface": "satin", "light": "neon"}

SPEC = """\
key: {key}
layer: {{name: feed, share: 50%}}
variants:
  base: {{control: true, weight: 50, creatives: {{source: baseline}}}}
  gen: {{weight: 50, creatives: {{source: generated, generator: caig, per_product: 4}}}}
metrics: {{primary: ctr}}
ramp: [{{traffic: 10%, hold: 24h}}, {{traffic: 100%}}]
"""


def picture(seed):
    """Soft light and shade that no other seed has."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC))


def keep(workspace, pixels, product="p1", *, source="generated", told=True, **more):
    """Keep a picture with its lineage and return its id; untold, as earlier versions did."""
    name, cutout = save_master(workspace.creatives, pixels, CUTOUT)
    row = Lineage(
        creative_id=name,
        product_id=product,
        source=source,
        image_sha256="0" * 64,
        cutout_sha256=cutout,
        placement=Placement(0, 0, 4, 4),
        scene={} if source == "baseline" else SCENE,
        prompt="",
        seed=1,
        renderer="studio/1",
        checkpoints={},
        inspector={},
        perceptual_hash=perceptual_hash(pixels) if told else None,
    )
    append_lineage(workspace.creatives, [replace(row, **more)])
    return name


@pytest.fixture
def workspace(tmp_path):
    made = Workspace(tmp_path, Settings(), clock=lambda: NOW)
    made.experiments.mkdir()
    return made


def start(workspace, key="beauty"):
    (workspace.experiments / f"{key}.yaml").write_text(SPEC.format(key=key))
    Registry(workspace).start(key, at=MONDAY, who="owner")


def pull(workspace, *names, kind="creatives", scene=None):
    selector = Selector(kind, names, scene or {})
    Registry(workspace).withdraw(
        selector,
        at=NOW,
        who="eve",
        reason="a cracked bottle",
        showing=lambda ids: build_config(workspace).showing(ids),
    )


def shown(workspace, experiment="beauty", units=60):
    config = build_config(workspace)
    asked = RequestContext(product_ids=["p1"])
    records = [
        decide(
            config,
            Request(unit_id=f"u{n}", experiment=experiment, context=asked),
            decision_id=f"d{n}",
            at=NOW,
        )
        for n in range(units)
    ]
    return {record.creative_id for record in records}


def test_no_decision_shows_what_is_withdrawn(workspace):
    """From the next config on a withdrawn creative is excluded with its reason, nothing else."""
    plain = keep(workspace, picture(1), source="baseline")
    first, second = (keep(workspace, picture(seed)) for seed in (2, 3))
    start(workspace)
    Registry(workspace).ramp("beauty", at=MONDAY + timedelta(days=1), who="owner")
    reader = ConfigReader(workspace)
    assert reader.read().excluded == {}
    assert shown(workspace) == {plain, first, second}
    pull(workspace, first)
    assert reader.read().excluded == {first: "withdrawn"}
    assert shown(workspace) == {plain, second}
    pull(workspace, plain)
    assert shown(workspace) == {None, second}


def test_a_withdrawal_is_for_good(workspace):
    """It holds for whoever opens the workspace next, approval does not end it, nor a review."""
    name = keep(workspace, picture(1))
    registry = Registry(workspace)
    registry.record_review(Review(name, "approved", NOW, "ada"))
    pull(workspace, name)
    with pytest.raises(RegistryError, match="withdrawn, and that is for good"):
        registry.record_review(Review(name, "approved", NOW, "ada"))
    registry.record_review(Review(name, "rejected", NOW, "ada"))
    assert Registry(workspace).withdrawn().creatives == {name}
    assert build_config(workspace).excluded == {name: "withdrawn"}


def test_withdrawing_again_writes_nothing(workspace):
    """The same withdrawal twice is one row that says who, why and how the creative looks."""
    name = keep(workspace, picture(1))
    for _ in range(2):
        pull(workspace, name)
        pull(workspace, "p9", kind="product")
    rows = Registry(workspace).rows()
    assert [row.action for row in rows] == ["withdraw", "withdraw"]
    assert (rows[0].who, rows[0].detail["reason"]) == ("eve", "a cracked bottle")
    (kept,) = rows[0].detail["creatives"]
    assert (kept["creative_id"], kept["perceptual_hash"]) == (name, perceptual_hash(picture(1)))


@pytest.mark.parametrize(
    ("selector", "caught"),
    [
        ({"names": ("p1",), "kind": "product"}, [True, True, False, False]),
        ({"names": ("f" * 64,), "kind": "checkpoint"}, [False, False, True, False]),
        ({"scene": {"light": ("neon", "spot")}, "kind": "scene"}, [False, True, True, False]),
        (
            {"scene": {"light": ("neon",), "surface": ("oak",)}, "kind": "scene"},
            [False, False, False, False],
        ),
    ],
)
def test_selectors_catch_what_is_made_later(workspace, selector, caught):
    """Product, scene and checkpoint withdraw what fits them, made before or after."""
    makers = [
        {"source": "baseline"},
        {},
        {"product": "p2", "checkpoints": {"reward": "f" * 64}},
        {"product": "p2", "scene": {"surface": "satin", "light": "spot left"}},
    ]
    early = [keep(workspace, picture(seed), **more) for seed, more in enumerate(makers)]
    pull(workspace, *selector.get("names", ()), kind=selector["kind"], scene=selector.get("scene"))
    late = [keep(workspace, picture(seed), **more) for seed, more in enumerate(makers, start=10)]
    withdrawn = Registry(workspace).withdrawn()
    lineage = read_lineage(workspace.creatives)
    for names in (early, late):
        assert [withdrawn.refuses(lineage[name]) for name in names] == caught
    wanted = {
        name for names in (early, late) for name, out in zip(names, caught, strict=True) if out
    }
    assert build_config(workspace).excluded.keys() == wanted


@pytest.mark.parametrize("told", [True, False])
def test_what_looks_like_it_goes_with_it(workspace, told):
    """A darker copy of the same product goes too, whether its lineage tells its look or not."""
    pixels = picture(1)
    darker = (pixels * 0.9).astype(np.uint8)
    name, copy = (keep(workspace, one, told=told) for one in (pixels, darker))
    keep(workspace, picture(2), told=told)
    keep(workspace, darker - 1, "p2", told=told)
    pull(workspace, name)
    assert build_config(workspace).excluded == dict.fromkeys([name, copy], "withdrawn")
    later = keep(workspace, darker + 1)
    assert Registry(workspace).withdrawn().refuses(read_lineage(workspace.creatives)[later])
    rows = len(Registry(workspace).rows())
    for _ in range(2):  # the first time makes the later copy a fact too
        pull(workspace, name)
        assert len(Registry(workspace).rows()) == rows + 1


def test_likeness_does_not_spread(workspace):
    """What is like a copy of a withdrawn picture, but not like the picture, stays."""
    name = keep(workspace, picture(1))
    look = int(perceptual_hash(picture(1)), 16)
    near = keep(workspace, picture(2), perceptual_hash=f"{look ^ 0x3F:016x}")
    far = keep(workspace, picture(3), perceptual_hash=f"{look ^ 0xFFF:016x}")
    for _ in range(2):
        pull(workspace, name)
    lineage = read_lineage(workspace.creatives)
    withdrawn = Registry(workspace).withdrawn()
    assert [withdrawn.refuses(lineage[one]) for one in (name, near, far)] == [True, True, False]


def test_a_phase_begins_where_it_was_shown(workspace):
    """Running experiments that showed it go on in a new phase with the same ranges."""
    plain = keep(workspace, picture(1), source="baseline")
    drawn = keep(workspace, picture(2), week="2026-W45")
    for key in ("beauty", "home"):
        start(workspace, key)
    registry = Registry(workspace)
    registry.pause("home", at=MONDAY + timedelta(days=1), who="owner")
    keep(workspace, picture(3), "p2", week="2026-W40")
    counted = registry.find("beauty").facts.running_micros
    pull(workspace, drawn)
    assert registry.find("beauty").facts.running_micros == counted
    beauty, home = registry.find("beauty"), registry.find("home")
    assert (beauty.state, home.state) == (State.RUNNING, State.PAUSED)
    first, second = beauty.phases
    assert (first.ends_at, second.starts_at, second.number) == (NOW, NOW, 2)
    for part in ("slots", "exposure", "variants", "weights"):
        assert getattr(first, part) == getattr(second, part)
    assert len(home.phases) == 1
    assert [row.action for row in registry.history("beauty")] == ["start", "withdraw"]
    assert [row.action for row in registry.history("home")] == ["start", "pause"]
    pull(workspace, "p3", kind="product")
    assert len(registry.find("beauty").phases) == 2
    pull(workspace, plain)
    assert len(registry.find("beauty").phases) == 3


@pytest.mark.fault
def test_a_killed_withdrawal_is_whole_or_not_at_all(tmp_path):
    """Killed before its row is on the disk nothing is withdrawn; called again, all of it is."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    workspace = open_workspace(tmp_path, clock=lambda: NOW)
    workspace.experiments.mkdir()
    name, copy = (keep(workspace, picture(1) - less, told=False) for less in (0, 1))
    start(workspace)
    words = ["creatives", "withdraw", name, "--reason", "cracked", "-w", str(tmp_path)]
    script = [sys.executable, "-c", "from abplatform.cli.main import main; main()", *words]
    for point, whole in (
        ("journal.append", set()),
        ("journal.append:2", {name}),
        ("", {name, copy}),
    ):
        ended = subprocess.run(script, env={**os.environ, FAULT: point}, check=False)
        assert ended.returncode == (-signal.SIGKILL if point else 0)
        assert Registry(workspace).withdrawn().creatives == whole
    assert [row.action for row in Registry(workspace).rows()] == ["start", "withdraw", "withdraw"]


def test_an_id_that_only_logs_know_is_withdrawn(workspace):
    """A creative without lineage is excluded as well, and its lineage may come later."""
    name = "a" * 64
    pull(workspace, name)
    assert build_config(workspace).excluded == {name: "withdrawn"}
    assert json.loads(json.dumps(Registry(workspace).rows()[0].to_json()))["detail"]["creatives"]


def test_a_picture_that_is_gone_does_not_stop_it(workspace):
    """Without its master a creative is withdrawn by its id alone."""
    name = keep(workspace, picture(1), told=False)
    (workspace.creatives / f"{name}.webp").unlink()
    pull(workspace, name)
    assert build_config(workspace).excluded == {name: "withdrawn"}
