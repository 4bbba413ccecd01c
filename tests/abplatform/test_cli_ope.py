"""``abp ope`` on the Open Bandit sample, real and in the same columns."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from abplatform.cli.main import main
from abplatform.creatives import append_lineage, save_master
from abplatform.domain.catalog import Lineage, Placement
from abplatform.logs.landing import Landing
from abplatform.traffic.config import build_config
from abplatform.traffic.decisions import (
    Request,
    RequestContext,
    decide,
    impression_of,
    new_decision_id,
)
from abplatform.traffic.policies.snapshots import Prior, Seen, Snapshot, keep_snapshot
from abplatform.traffic.registry import Registry
from abplatform.workspace import open_workspace

SHARED = Path(__file__).parents[3] / "shared" / "data"
real = pytest.mark.skipif(not (SHARED / "obd").is_dir(), reason="the real sample is not at hand")


@pytest.fixture
def abp(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["abp", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return call


def write_sample(folder):
    """Uniform logs of five items over three positions; `bts` shows item 0 more often."""
    for policy in ("random", "bts"):
        for campaign in ("all", "men", "women"):
            place = folder / policy / campaign
            place.mkdir(parents=True)
            rows = [f",timestamp,item_id,position,click,propensity_score,{policy}-{campaign}"]
            for number in range(600):
                item = number % 5
                rows.append(
                    f"{number},2019-11-24 00:{number // 60:02}:{number % 60:02}+00:00,{item},"
                    f"{1 + number % 3},{int(number % 10 == 0)},0.2,0"
                )
            (place / f"{campaign}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ope")
    write_sample(folder / "obd")
    with pytest.MonkeyPatch.context() as patch:
        words = ["example", "open-bandit", "--file", folder / "obd", "--out", folder / "shop"]
        patch.setattr(sys, "argv", ["abp", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    return folder / "shop"


def test_the_policy_that_ran_gets_its_own_rate(abp, workspace):
    """Uniform asked of a uniform log of three campaigns is the log's rate, and errors are 0."""
    code, out, _ = abp(
        "ope", "open-bandit", "-w", workspace, "--policy", "uniform", "--compare", "bts", "--json"
    )
    told = json.loads(out)
    assert code == 0
    assert told["rows"] == 1800
    assert told["refused"] == []
    values = {one["estimator"]: one for one in told["values"]}
    assert values["ips"]["value"] == pytest.approx(0.1)
    assert told["compared"]["relative_error"]["ips"] == pytest.approx(0, abs=1e-9)
    assert list(values) == ["ips", "snips", "dm", "dr", "switch_dr", "dros"]


def test_a_file_of_beliefs_is_read_and_repeatable(abp, workspace, tmp_path):
    """Only the file's category is asked, the same seed tells the same, and a table is printed."""
    file = tmp_path / "beliefs.yaml"
    lines = [f'  "{item}": [{2 + item / 10}, 20]' for item in range(5)]
    file.write_text(
        "choose: thompson\nranked: true\ncategory: men\nbeta:\n" + "\n".join(lines) + "\n",
        encoding="utf-8",
    )
    words = ("ope", "open-bandit", "-w", workspace, "--policy", file)
    code, first, _ = abp(*words)
    assert (code, "600 impressions" in first, "dros" in first) == (0, True, True)
    assert abp(*words)[1] == first
    assert abp(*words, "--seed", 2)[1] != first


def test_refusals_exit_1_and_say_the_number(abp, workspace, tmp_path):
    """A belief about an item that was never shown is mass outside the log: no estimate, exit 1."""
    file = tmp_path / "beliefs.yaml"
    beta = ", ".join(f'"{item}": [2, 20]' for item in range(6))
    file.write_text(f"choose: thompson\ncategory: all\nbeta: {{{beta}}}\n", encoding="utf-8")
    code, out, _ = abp("ope", "open-bandit", "-w", workspace, "--policy", file)
    assert code == 1
    assert "REFUSES" in out
    assert "16.67%" in out
    assert "no estimate" in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("choose: thompson\nbeta: {a: [1, 0]}\n", "beliefs.yaml:2:"),
        ("choose: thompson\nbeta: {a: [1, 2, 3]}\n", "beliefs.yaml:2:"),
        ("choose: thompson\nbetas: {a: [1, 2]}\n", "beliefs.yaml:2:1: unknown key 'betas'"),
        ("choose: thomson\nbeta: {a: [1, 2]}\n", "thompson"),
        ("choose: thompson\nbeta: {}\n", "beliefs.yaml:2:"),
        ("choose: thompson\n", "rests on a snapshot"),
        ("choose: rules\n", "belong together"),
        ("", "beliefs.yaml"),
        ("[1, 2]\n", "beliefs.yaml"),
        ("choose: thompson\nbeta: {'9': [1, 2]}\n", "believes nothing about creative '0'"),
    ],
)
def test_a_bad_file_gets_one_error_with_its_place(abp, workspace, tmp_path, text, said):
    """Whatever is wrong with a file is told with its line and what to write instead; exit 1."""
    file = tmp_path / "beliefs.yaml"
    file.write_text(text, encoding="utf-8")
    code, out, err = abp("ope", "open-bandit", "-w", workspace, "--policy", file)
    assert (code, out) == (1, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nope", "--policy", "uniform"), 1, "no experiment 'nope'"),
        (("open-bandit", "--policy", "nope"), 2, "neither"),
        (("open-bandit", "--policy", "uniform", "--variant", "x"), 2, "no variant 'x'"),
        (("open-bandit", "--policy", "uniform", "--compare", "x"), 2, "no variant 'x'"),
        (("open-bandit", "--policy", "uniform", "--draws", "5000"), 2, "--draws"),
        (("open-bandit", "--policy", "uniform", "--category", "pets"), 1, "no impression"),
        (("open-bandit",), 2, "--policy"),
    ],
)
def test_bad_calls_are_named(abp, workspace, words, code, said):
    """Unknown keys, policies, variants and categories are told by name."""
    found, _, err = abp("ope", *words, "-w", workspace)
    assert found == code
    assert said in err


@real
@pytest.mark.slow
def test_the_quick_start_of_the_open_bandit_pipeline_is_reproduced(abp, tmp_path):
    """Random → Thompson sampling: IPW and error to four digits, exact beside it, women refused."""
    shop = tmp_path / "shop"
    assert abp("example", "open-bandit", "--file", SHARED / "obd", "--out", shop)[0] == 0
    ask = ("ope", "open-bandit", "-w", shop, "--json", "--compare", "bts")
    prior = shop / "policies" / "bts-all.yaml"
    drawn = json.loads(abp(*ask, "--policy", prior, "--draws", 100_000, "--seed", 12345)[1])
    values = {one["estimator"]: one for one in drawn["values"]}
    assert drawn["rows"] == 10_000
    assert values["ips"]["value"] == pytest.approx(0.004553, abs=5e-7)
    assert drawn["compared"]["rate"] == pytest.approx(0.0042)
    assert drawn["compared"]["relative_error"]["ips"] == pytest.approx(0.0840, abs=5e-5)
    assert values["dr"]["value"] == pytest.approx(0.0047, abs=0.0005)
    # The interval of drawing rows again, here by numpy alone: 0.0014-0.0097 in four seeds.
    assert values["ips"]["low"] == pytest.approx(0.0016, abs=0.0004)
    assert values["ips"]["high"] == pytest.approx(0.0093, abs=0.0008)
    exact = json.loads(abp(*ask, "--policy", prior)[1])
    assert exact["values"][0]["value"] == pytest.approx(values["ips"]["value"], abs=1e-4)
    told = abp(*ask[:-3], "--policy", prior, "--compare", "bts")[1]
    assert "luck" in told
    code, out, _ = abp(*ask[:-2], "--policy", "uniform", "--variant", "bts", "--category", "women")
    refused = {
        gate["name"]: gate["value"] for gate in json.loads(out)["gates"] if not gate["passed"]
    }
    assert code == 1
    assert refused["effective_sample"] == pytest.approx(2.078, abs=0.001)
    assert refused["largest_weight"] == pytest.approx(0.694, abs=0.001)


LAMPS = """key: lamps
policy: {choose: thompson, floor: 20%}
variants:
  baseline: {control: true, weight: 1, creatives: {source: baseline}}
  generated: {weight: 99, creatives: {source: generated, per_product: 3}}
metrics: {primary: ctr}
"""


def make_creative(workspace, number):
    shade = 60 * number
    pixels = np.full((8, 8, 3), shade, np.uint8), np.full((8, 8, 4), shade, np.uint8)
    name, *_ = save_master(workspace.creatives, *pixels)
    source, place = ("generated" if number else "baseline"), Placement(0, 0, 1, 1)
    return Lineage(name, "p1", source, "i", "c", place, {}, "", 0, "r/1", {}, {})


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    """A shop that has made 1,500 decisions by Thompson sampling, each landed and shown."""
    root = tmp_path_factory.mktemp("decided")
    (root / "abp.yaml").write_text("min_free: 1%\n", encoding="utf-8")
    workspace = open_workspace(root)
    workspace.experiments.mkdir()
    workspace.catalog.mkdir()
    (workspace.experiments / "lamps.yaml").write_text(LAMPS, encoding="utf-8")
    rows = "product_id,image,title,category\np1,p1.png,Lamp,home/light\n"
    (workspace.catalog / "products.csv").write_text(rows, encoding="utf-8")
    made = [make_creative(workspace, number) for number in range(4)]
    append_lineage(workspace.creatives, made)
    began = datetime.now(UTC) - timedelta(hours=2)
    Registry(workspace).start("lamps", at=began, who="t")
    # The fourth has not been seen yet: it gets the prior of its category.
    seen = {one.creative_id: Seen("home", n=1000, k=20 + 4 * i) for i, one in enumerate(made[:3])}
    priors = {"": Prior(2.0, 80.0), "home": Prior(2.0, 80.0), "home/light": Prior(3.0, 70.0)}
    snapshot = Snapshot(creatives=seen, priors=priors)
    keep_snapshot(workspace.snapshots, snapshot, data_version="", at=began)
    config, rng = build_config(workspace), np.random.default_rng(6)
    # Some pages ask for a wider category than the product's, which the policy is told.
    asked = [RequestContext(product_ids=["p1"], category=name) for name in (None, "home")]
    lines = []
    for number in range(1500):
        at = began + timedelta(minutes=1, seconds=number)
        request = Request(unit_id=f"u{number % 900}", experiment="lamps", context=asked[number % 2])
        record = decide(config, request, decision_id=new_decision_id(at), at=at)
        shown = impression_of(record)
        lines += [msgspec.json.encode(record), msgspec.json.encode(shown)]
        if rng.random() < 0.1:
            click = {"schema": 1, "event_type": "click", "event_id": f"c{number}"}
            moment = (at + timedelta(seconds=1)).isoformat()
            lines.append(
                json.dumps(click | {"ts": moment, "impression_id": shown.event_id}).encode()
            )
    with Landing(workspace) as landing:
        landing.append("service", lines)
    return root


def ask(abp, root, *words):
    code, out, err = abp("ope", "lamps", "-w", root, "--variant", "generated", "--json", *words)
    assert err == ""
    told = json.loads(out)
    return code, told, {gate["name"]: gate for gate in told["gates"]}


def test_own_decisions_are_asked_again(abp, decided):
    """Each record's probabilities come out of its policy and snapshot again, bit for bit."""
    code, told, gates = ask(abp, decided, "--policy", "uniform")
    assert code == 0
    assert told["rows"] > 1300
    assert told["units"] < told["rows"]
    assert (gates["replay"]["passed"], gates["replay"]["value"]) == (True, 1.0)
    assert f"{told['rows']:,} of {told['rows']:,} decisions" in gates["replay"]["sentence"]
    assert told["values"][0]["value"] == pytest.approx(0.1, abs=0.03)


def test_the_policy_that_ran_is_its_own_target(abp, decided, tmp_path):
    """With its floor the log's own policy has weights of 1, and a warning that it learned here."""
    file = tmp_path / "policy.yaml"
    file.write_text("choose: thompson\nfloor: 20%\n", encoding="utf-8")
    code, told, gates = ask(abp, decided, "--policy", file)
    assert code == 0
    assert gates["mean_weight"]["value"] == pytest.approx(0, abs=1e-12)
    assert told["values"][0]["value"] == pytest.approx(told["logged_rate"], rel=1e-12)
    assert [warning["code"] for warning in told["warnings"]] == ["learned_from_it"]
    _, bare, _ = ask(abp, decided, "--policy", "thompson")
    assert bare["values"] != told["values"]


def test_probabilities_that_do_not_come_again_are_refused(abp, decided, monkeypatch):
    """A policy that answers by a hair differently than it did is refused by the replay gate."""
    from abplatform.traffic.policies import thompson

    real = thompson.Thompson.distribution

    def nearly(self, context, eligible):
        first, second, *rest = real(self, context, eligible)
        return (first + 1e-12, second - 1e-12, *rest)

    monkeypatch.setattr(thompson.Thompson, "distribution", nearly)
    code, told, gates = ask(abp, decided, "--policy", "uniform")
    assert (code, told["refused"], told["values"]) == (1, ["replay"], [])
    assert gates["replay"]["value"] == 0


def test_a_lost_snapshot_refuses_nothing_and_is_told(abp, decided, tmp_path):
    """Where what a record rested on is gone, the replay gate says so and judges nothing."""
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(decided, copy)
    shutil.rmtree(copy / "data" / "snapshots")
    code, _, gates = ask(abp, copy, "--policy", "uniform")
    assert code == 0
    assert gates["replay"]["passed"] is None
    assert "gone" in gates["replay"]["sentence"]
