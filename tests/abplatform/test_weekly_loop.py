"""The weekly turn with small hands. Run as a script, it is the process that the tests kill."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from abplatform.checkpoints import aliases
from abplatform.cli.learning import Learn
from abplatform.cli.marketplace import Faults, SimulateTraffic
from abplatform.cli.reward import read_source
from abplatform.creatives import Selector, append_lineage, save_master
from abplatform.domain.catalog import Category, Lineage, Placement, Product
from abplatform.errors import RegistryError, WorkspaceLocked
from abplatform.logs.landing import land_file
from abplatform.loop.hands import Hands
from abplatform.loop.steps import hold_turn
from abplatform.loop.turn import STEPS, run_week
from abplatform.simulation.market import Market
from abplatform.traffic.registry import Registry
from abplatform.workspace import open_workspace

WEEK, NEXT = "2026-W36", "2026-W37"
LATER = datetime(2026, 10, 1, tzinfo=UTC)
PRODUCTS = [
    Product(f"p{i}", f"thing {i}", Category(("beauty", "drinks", "home")[i % 3]), f"p{i}.png")
    for i in range(6)
]
YAML = """\
key: scenes-{part}
variants:
  baseline: {{control: true, weight: 50, creatives: {{source: baseline}}}}
  generated: {{weight: 50, creatives: {{source: generated, generator: caig, per_product: 2}}}}
metrics: {{primary: {{metric: ctr, mde: 3%}}}}
analysis: {{test: fixed, min_runtime: 7d, max_runtime: 7d}}
"""


def make_workspace(root, *weeks):
    (root / "experiments").mkdir(parents=True)
    (root / "abp.yaml").write_text("time_zone: UTC\n")
    for week in weeks or (WEEK,):
        part = week.lower().replace("-", "")
        (root / "experiments" / f"{part}.yaml").write_text(YAML.format(part=part))
    (root / "catalog").mkdir()
    rows = ["product_id,image,title,category"]
    rows += [f"{p.product_id},{p.image},{p.title},{p.category}" for p in PRODUCTS]
    (root / "catalog" / "products.csv").write_text("\n".join(rows) + "\n")
    return open_workspace(root, clock=lambda: LATER)


def draw(brief):
    """Draw plain rectangles: enough for pixels, lineage and taste."""
    luck = np.random.default_rng([1, brief.week.number])
    shown = {"baseline": {}, "generated": {}}
    place = Placement(x=20, y=16, width=24, height=32)
    for done, product in enumerate(PRODUCTS, start=1):
        for number in range(3):
            source = "generated" if number else "baseline"
            pixels = np.full((64, 64, 3), 235, np.uint8)
            if number:
                pixels[:] = luck.integers(30, 230, 3)
            pixels[16:48, 20:44] = (40 * done, 90, 250 - 40 * done)
            cutout = np.dstack([pixels[16:48, 20:44], np.full((32, 24), 255, np.uint8)])
            name, cutout_sha256 = save_master(brief.workspace.creatives, pixels, cutout)
            row = Lineage(
                creative_id=name,
                product_id=product.product_id,
                source=source,
                image_sha256="0" * 64,
                cutout_sha256=cutout_sha256,
                placement=place,
                scene={"palette": str(number)} if number else {},
                prompt="",
                seed=1,
                renderer="rectangle/1",
                checkpoints={},
                inspector={"usable": True, "match": True},
                week=str(brief.week),
                # Rectangles look alike; in these tests each shall be a picture of its own.
                perceptual_hash=name[:16],
            )
            append_lineage(brief.workspace.creatives, [row])
            shown[source].setdefault(product.product_id, []).append(name)
        brief.advance(done, len(PRODUCTS))
    creatives = dict.fromkeys(brief.experiments, shown)
    return {"creatives": creatives, "default": shown["baseline"], "refused": []}


def small_hands(*, landed=False, seed=3):
    learn = Learn(seed, epochs=2, shape=(("width", 16), ("heads", 2), ("image_layers", 1)))
    market = SimulateTraffic(PRODUCTS, seed, 12_000, Faults(bots=2))
    inputs = {"serve": market.inputs, "retrain": learn.inputs}
    serve = None if landed else market
    return Hands(draw, learn.retrain, learn.gate, serve=serve, inputs=inputs)


def main(root, step, count):
    """Run the turn and die by SIGKILL: at the step's begin (0) or its n-th sign of progress."""
    now = {"step": "", "seen": 0}

    def watch(name, finished):
        if finished is None:
            now.update(step=name, seen=0)
            die()

    def advance(done, total):
        now["seen"] += 1
        die()

    def die():
        if now == {"step": step, "seen": int(count)}:
            os.kill(os.getpid(), signal.SIGKILL)

    workspace = open_workspace(Path(root), clock=lambda: LATER)
    run_week(workspace, WEEK, small_hands(), watch=watch, advance=advance)


def outcome(root):
    """Everything a turn leaves that people and models rely on."""
    data = root / "data"
    kept = [*data.glob("runs/*/analyse/*.json"), *data.glob("pairs/*.parquet")]
    return {str(path.relative_to(data)): path.read_bytes() for path in kept} | {
        "aliases": aliases(data / "checkpoints"),
        "states": {
            key: (one.state, one.verdict, one.started_at, one.ended_at)
            for key, one in Registry(open_workspace(root)).experiments().items()
        },
    }


@pytest.mark.fault
@pytest.mark.slow
def test_killed_anywhere_it_ends_the_same(tmp_path):
    """Killed in the middle of its steps, one after the other, a turn ends as if never killed."""
    whole = make_workspace(tmp_path / "whole")
    run_week(whole, WEEK, small_hands())
    make_workspace(tmp_path / "killed")
    deaths = [
        ("generate", 3),
        ("serve", 4),
        ("ingest", 2),
        ("retrain", 1),
        ("promote", 0),
        ("never", 0),
    ]
    for step, count in deaths:
        script = [sys.executable, __file__, str(tmp_path / "killed"), step, str(count)]
        ended = subprocess.run(script, capture_output=True, text=True, check=False)
        assert ended.returncode == (0 if step == "never" else -signal.SIGKILL), ended.stderr
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def test_with_pseudonyms_no_raw_unit_id_reaches_the_workspace(tmp_path):
    """A turn that is stopped while simulated traffic lands leaves no raw unit id behind."""
    root = tmp_path / "ws"
    make_workspace(root)
    (root / "abp.key").write_text("c0ffee" * 11 + "\n")
    settings = "time_zone: UTC\nprivacy: {pseudonyms: {key_file: abp.key}}\n"
    (root / "abp.yaml").write_text(settings)
    workspace = open_workspace(root, clock=lambda: LATER)
    step = []

    def advance(done, total):
        if step[-1] == "serve":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_week(
            workspace,
            WEEK,
            small_hands(),
            watch=lambda name, finished: step.append(name),
            advance=advance,
        )
    files = [path for path in root.rglob("*") if path.is_file()]
    assert any("landing" in path.parts for path in files)
    units = Market(3, PRODUCTS, impressions=12_000).shoppers.unit_ids
    found = [path for path in files for unit in units[:50] if unit.encode() in path.read_bytes()]
    assert found == []


@pytest.mark.slow
def test_two_weeks_teach_and_a_second_call_does_nothing(tmp_path):
    """Week 1 keeps its candidate by, week 2 judges it, and calling again resumes every step."""
    workspace = make_workspace(tmp_path / "w", WEEK, NEXT)
    first = run_week(workspace, WEEK, small_hands())
    assert [finished.step for finished in first.steps] == list(STEPS)
    assert first.results["gate"]["reasons"] == ["no newer held-out week"]
    assert first.results["promote"]["promoted"] is False
    challenger = first.results["retrain"]["checkpoint_sha256"]
    assert aliases(workspace.checkpoints) == {"reward": {"challenger": challenger}}
    second = run_week(workspace, NEXT, small_hands())
    gate = second.results["gate"]
    assert second.results["retrain"]["checkpoint_sha256"] == challenger
    assert gate["metrics"]["trained_on"] == [WEEK]
    assert gate["metrics"]["challenger"]["pairs"] == second.results["pairs"]["pairs"] == 18
    assert len(gate["predicted"]) == 18
    before = outcome(workspace.root)
    for week, turn in ((WEEK, first), (NEXT, second)):
        again = run_week(workspace, week, small_hands())
        assert all(finished.resumed for finished in again.steps)
        assert again.results == turn.results
    assert outcome(workspace.root) == before


@pytest.mark.parametrize("week", ["2026-W13", "2026-W43"])
def test_a_week_in_which_clocks_change_ends_its_experiment(tmp_path, week):
    """An experiment of seven days ends with its week, be that week 167 or 169 hours long."""
    make_workspace(tmp_path / "w", week)
    (tmp_path / "w" / "abp.yaml").write_text("time_zone: Europe/Berlin\n")
    workspace = open_workspace(tmp_path / "w", clock=lambda: datetime(2026, 12, 1, tzinfo=UTC))
    run_week(workspace, week, replace(small_hands(), **no_learning()))
    ended = Registry(workspace).find(f"scenes-{week.lower().replace('-', '')}")
    assert ended.state in {"stopped", "decided"}
    hours = (ended.ended_at - ended.started_at) / timedelta(hours=1)
    assert hours == {"2026-W13": 167, "2026-W43": 169}[week]


def test_landed_traffic_waits_until_the_week_is_final(tmp_path):
    """With landed traffic there is no verdict before the week is final; then the turn goes on."""
    workspace = make_workspace(tmp_path / "w")
    aside = make_workspace(tmp_path / "aside")
    simulated = run_week(aside, WEEK, replace(small_hands(), **no_learning()))
    hands = replace(small_hands(landed=True), **no_learning())
    early = replace(workspace, clock=lambda: datetime(2026, 9, 9, tzinfo=UTC))
    turn = run_week(early, WEEK, hands)
    assert turn.waiting
    assert turn.final_at == datetime(2026, 9, 11, tzinfo=UTC)
    assert [finished.step for finished in turn.steps][-2:] == ["analyse", "publish"]
    for segment in sorted((aside.landing / "sealed").rglob("*.jsonl")):
        land_file(workspace, segment, source="simulation")
    turn = run_week(early, WEEK, hands)
    assert turn.waiting
    assert turn.results["ingest"]["received"] > 12_000
    state = Registry(workspace).find("scenes-2026w36").state
    assert state == "running"
    late = replace(workspace, clock=lambda: turn.final_at + timedelta(minutes=1))
    done = run_week(late, WEEK, hands)
    assert not done.waiting
    assert done.results["decide"] == simulated.results["decide"]
    assert done.results["pairs"]["pairs"] == simulated.results["pairs"]["pairs"] == 18


def no_learning():
    return {
        "retrain": lambda brief: {"checkpoint_sha256": None},
        "gate": lambda brief: {"promote": False, "reasons": [], "metrics": {}},
    }


def test_a_week_without_experiments_is_refused(tmp_path):
    """A turn needs an experiment that ran in its week or whose key names it."""
    workspace = make_workspace(tmp_path / "w", NEXT)
    with pytest.raises(RegistryError, match="no experiment runs in 2026-W36") as refused:
        run_week(workspace, WEEK, small_hands())
    assert "2026w36" in refused.value.remedy


def test_an_edited_running_spec_is_told_and_runs_on(tmp_path):
    """The turn runs by what is in force, and says which edits do not take effect."""
    workspace = make_workspace(tmp_path / "w")
    starts = datetime(2026, 8, 31, tzinfo=UTC)
    Registry(workspace).start("scenes-2026w36", at=starts, who="somebody")
    path = workspace.experiments / "2026w36.yaml"
    path.write_text(
        path.read_text().replace("weight: 50", "weight: 40", 1).replace("50, c", "60, c")
    )
    turn = run_week(workspace, WEEK, small_hands())
    told = turn.results["register"]["unapplied"]
    assert "abp apply scenes-2026w36" in told[0]
    assert len(Registry(workspace).find("scenes-2026w36").phases) == 1


def test_what_is_withdrawn_is_neither_shown_nor_learned(tmp_path):
    """Withdrawn in the midst of a turn it gets no impression; afterwards it wins no pair."""
    workspace = make_workspace(tmp_path / "w")
    drawn = {}
    tuesday = datetime(2026, 9, 1, tzinfo=UTC)

    def withdraw(name):
        selector = Selector("creatives", (name,))
        registry = Registry(workspace)
        registry.withdraw(selector, at=tuesday, who="ada", reason="cracked")

    def watch(name, finished):
        if name == "generate" and finished:
            drawn.update(finished.result["creatives"]["scenes-2026w36"]["generated"])
        if name == "register" and finished:
            withdraw(drawn["p0"][0])

    hands = replace(small_hands(), **no_learning())
    run_week(workspace, WEEK, hands, watch=watch)
    sealed = [path.read_text() for path in (workspace.landing / "sealed").rglob("*.jsonl")]
    assert any(drawn["p0"][1] in text for text in sealed)
    assert not any(drawn["p0"][0] in text for text in sealed)
    kept = pl.read_parquet(workspace.pairs / f"{WEEK}.parquet")
    winner = kept["chosen_creative"][0]
    withdraw(winner)
    turn = run_week(workspace, WEEK, hands)
    assert all(finished.resumed for finished in turn.steps)
    left = pl.read_parquet(read_source(workspace).pairs[WEEK])
    assert left.equals(kept.filter(pl.col("chosen_creative") != winner))


def test_two_turns_at_once_are_refused(tmp_path):
    """While a turn runs, a second one is told which and goes away."""
    workspace = make_workspace(tmp_path / "w")
    with (
        hold_turn(workspace.runs, "2026-W01"),
        pytest.raises(WorkspaceLocked, match="2026-W01"),
    ):
        run_week(workspace, WEEK, small_hands())


def test_markers_say_what_each_step_rested_on(tmp_path):
    """Every finished step leaves a marker with the hash of its inputs and its result."""
    workspace = make_workspace(tmp_path / "w")
    turn = run_week(workspace, WEEK, replace(small_hands(), **no_learning()))
    for finished in turn.steps:
        marker = json.loads((workspace.runs / WEEK / finished.step / "_SUCCESS").read_text())
        assert (marker["inputs"], marker["result"]) == (finished.inputs, finished.result)


def test_a_served_week_is_not_served_again_with_other_traffic(tmp_path):
    """Traffic cannot be taken back: another seed for a served week is refused, nothing added."""
    workspace = make_workspace(tmp_path / "w")
    run_week(workspace, WEEK, replace(small_hands(), **no_learning()))
    landed = sorted((workspace.landing / "sealed").rglob("*.jsonl"))
    with pytest.raises(RegistryError, match="serve of 2026-W36 was done with other inputs"):
        run_week(workspace, WEEK, replace(small_hands(seed=4), **no_learning()))
    assert sorted((workspace.landing / "sealed").rglob("*.jsonl")) == landed


if __name__ == "__main__":
    main(*sys.argv[1:])
