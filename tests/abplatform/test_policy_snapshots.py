"""What policies know: made of counts, kept under its hash, renewed when logs come in."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from click.testing import CliRunner

from abplatform import checkpoints
from abplatform.cli.doctor import doctor
from abplatform.cli.logs import ingest
from abplatform.cli.policy_snapshots import renew_snapshot
from abplatform.creatives import append_lineage, save_master
from abplatform.domain.catalog import Lineage, Placement
from abplatform.domain.experiment import Policy
from abplatform.errors import StoreError
from abplatform.traffic.config import ConfigReader, build_config
from abplatform.traffic.decisions import Request, RequestContext, decide
from abplatform.traffic.policies import choose, make_policy
from abplatform.traffic.policies.contextual import Contextual
from abplatform.traffic.policies.learning import Counted, learn
from abplatform.traffic.policies.snapshots import (
    CURRENT_FILE,
    Seen,
    Snapshot,
    keep_snapshot,
    read_current,
    read_snapshot,
)
from abplatform.traffic.registry import Registry
from abplatform.traffic.registry.remedies import exclude_source
from abplatform.workspace import open_workspace

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


def counted(creative, category="home/light", channel=None, *, n, k):
    return Counted(creative, category, (channel, None, None), n, k)


def test_the_same_counts_in_any_order_have_the_same_name(tmp_path):
    """A snapshot is named by what it says; who made it when and in which order adds nothing."""
    rows = [
        counted(f"c{number}", f"home/{number % 3}", channel, n=900 + number, k=number)
        for number in range(12)
        for channel in ("app", "web", None)
    ]
    names = set()
    for order in (rows, rows[::-1], [*rows[5:], *rows[:5]]):
        snapshot = learn(order, checkpoint="a" * 64, rewards={"c1": 0.1234567})
        names.add(keep_snapshot(tmp_path, snapshot, data_version="v", at=MONDAY))
    assert len(names) == 1
    (name,) = names
    assert read_current(tmp_path) == (name, snapshot)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.json", CURRENT_FILE]


def test_the_current_one_stays_while_nothing_changes(tmp_path):
    """Keeping the same knowledge again leaves every file as it is; new knowledge replaces it."""
    one, two = (Snapshot(creatives={"a": Seen("x", 10, k)}) for k in (1, 2))
    first = keep_snapshot(tmp_path, one, data_version="v1", at=MONDAY)
    told = (tmp_path / CURRENT_FILE).read_bytes()
    keep_snapshot(tmp_path, one, data_version="v2", at=MONDAY + timedelta(days=1))
    assert (tmp_path / CURRENT_FILE).read_bytes() == told
    second = keep_snapshot(tmp_path, two, data_version="v3", at=MONDAY)
    assert read_current(tmp_path) == (second, two)
    assert read_snapshot(tmp_path, first) == one  # what earlier decisions rested on


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "pointer"])
def test_changed_bytes_are_refused(tmp_path, damage):
    """A snapshot whose bytes are not those of its name is an error with the file and a remedy."""
    name = keep_snapshot(tmp_path, Snapshot(), data_version="v", at=MONDAY)
    file = tmp_path / (CURRENT_FILE if damage == "pointer" else f"{name}.json")
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[:-3] if damage in {"cut", "pointer"} else content + b" ")
    with pytest.raises(StoreError) as caught:
        read_current(tmp_path)
    assert caught.value.path == file
    assert "abp ingest" in caught.value.remedy
    # Keeping one again mends all of it.
    keep_snapshot(tmp_path, Snapshot(), data_version="v", at=MONDAY)
    assert read_current(tmp_path) == (name, Snapshot())


def test_a_prior_is_what_the_category_does():
    """The prior's mean is the category's rate, and it weighs as much as creatives are alike."""
    rng = np.random.default_rng(8)
    prior = (40.0, 1960.0)
    alike = [
        counted(f"a{number}", "home/alike", n=20_000, k=int(rng.binomial(20_000, rate)))
        for number, rate in enumerate(rng.beta(*prior, 400))
    ]
    unlike = [
        counted(f"u{number}", "home/unlike", n=20_000, k=int(rng.binomial(20_000, rate)))
        for number, rate in enumerate(rng.beta(4, 196, 400))
    ]
    priors = learn(alike + unlike).priors
    assert priors["home/alike"].clicks == pytest.approx(40, rel=0.2)
    assert priors["home/unlike"].clicks == pytest.approx(4, rel=0.2)
    for one in (priors["home/alike"], priors["home/unlike"], priors["home"], priors[""]):
        assert one.clicks / (one.clicks + one.misses) == pytest.approx(0.02, rel=0.1)


def test_a_prior_is_never_without_weight_nor_of_too_much():
    """Equal, single and unclicked creatives have priors between one click and a hundred."""
    for rows in (
        [counted(f"c{number}", n=10**6, k=10**4) for number in range(9)],
        [counted("c", n=50, k=50)],
        [counted(f"c{number}", n=10, k=0) for number in range(9)],
        [counted(f"c{number}", n=100, k=100 * (number % 2)) for number in range(9)],
    ):
        for prior in learn(rows).priors.values():
            assert 1 <= prior.clicks <= 100
            assert prior.misses >= 1


@pytest.mark.parametrize("clicked", [0, 1])
def test_billions_that_all_did_the_same_stop_no_policy(clicked):
    """Where nobody, or everybody, of 50 billion clicked, every policy still has probabilities."""
    names = tuple(f"c{number}" for number in range(5))
    rows = [counted(name, "x", n=10**10, k=10**10 * clicked) for name in names]
    for choose_by in ("thompson", "contextual"):
        policy = make_policy(Policy(choose_by), ("s", learn(rows)), {})
        chances = policy.distribution({"category": "x"}, names)
        assert chances == pytest.approx([0.2] * 5, rel=1e-6)


def test_predictions_find_who_is_best_where():
    """With crossed tastes, the regression predicts true rates within a fifth in each channel."""
    rng = np.random.default_rng(4)
    true = {
        ("a", "app"): 0.030,
        ("a", "web"): 0.020,
        ("b", "app"): 0.020,
        ("b", "web"): 0.030,
    }
    rows = [
        counted(name, "x", channel, n=60_000, k=int(rng.binomial(60_000, rate)))
        for (name, channel), rate in true.items()
    ]
    policy = Contextual(learn(rows), "s")
    for (name, channel), rate in true.items():
        found = policy.predict({"category": "x", "channel": channel}, name)
        assert found == pytest.approx(rate, rel=0.2)
    for channel, best in (("app", 0), ("web", 1)):
        chances = policy.distribution({"category": "x", "channel": channel}, ("a", "b"))
        assert chances[best] > 0.9


def test_nothing_seen_is_known_to_be_nothing():
    """Without a row there are no creatives, and the overall prior alone."""
    snapshot = learn([])
    assert snapshot.creatives == {}
    assert list(snapshot.priors) == [""]


YAML = """key: lamps
variants:
  baseline: {control: true, creatives: {source: baseline}}
  generated: {creatives: {source: generated, per_product: 2}, policy: {choose: %s, floor: 10%%}}
metrics: {primary: ctr}
"""


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "abp.yaml").write_text("time_zone: UTC\n")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "catalog").mkdir()
    rows = "product_id,image,title,category\np1,p1.png,Lamp,home/light\n"
    (tmp_path / "catalog" / "products.csv").write_text(rows)
    found = open_workspace(tmp_path)
    place = Placement(0, 0, 1, 1)
    lineage = [
        Lineage(name, "p1", source, "i", "c", place, {}, "", 0, "r/1", {}, {}, week=week)
        for name, source, week in [
            ("plain", "baseline", None),
            ("good", "generated", "2026-W45"),
            ("poor", "generated", "2026-W45"),
        ]
    ]
    append_lineage(found.creatives, lineage)
    return found


def start(workspace, choose):
    (workspace.experiments / "lamps.yaml").write_text(YAML % choose)
    Registry(workspace).start("lamps", at=MONDAY, who="t")


def land(workspace, tmp_path, clicks, *, name="log", units=None, bots=(), **words):
    """Bring in ten impressions a creative, of which some are clicked."""
    lines = []
    for creative, clicked in clicks.items():
        variant = "baseline" if creative == "plain" else "generated"
        for number in range(10):
            event_id = f"{name}-{creative}-{number}"
            ts = (MONDAY + timedelta(hours=number)).isoformat()
            shown = {
                "event_type": "impression",
                "event_id": event_id,
                "ts": ts,
                "assignments": [{"experiment": "lamps", "variant": variant}],
                "unit_id": f"u-{units or name}-{creative}-{number}",
                "creative_id": creative,
                "product_id": "p1",
                "category": "home/light",
                "channel": "app",
                **words,
            }
            if number in bots:
                shown["user_agent"] = "Googlebot/2.1"
            if number == 9:
                shown["reason"] = "forced"
            lines.append({"schema": 1, **shown})
            if number < clicked:
                click = {"event_type": "click", "event_id": f"k-{event_id}", "ts": ts}
                lines.append({"schema": 1, **click, "impression_id": event_id})
    file = tmp_path / f"{name}.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n")
    done = CliRunner().invoke(
        ingest, [str(file), "--json", "-w", str(workspace.root)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def ask(config):
    request = Request(
        unit_id="u",
        experiment="lamps",
        force={"lamps": "generated"},
        context=RequestContext(product_ids=["p1"], channel="app"),
    )
    return decide(config, request, decision_id="d", at=MONDAY)


def test_ingest_renews_what_a_running_policy_knows(workspace, tmp_path):
    """After logs have come in, decisions rest on them: assigned people only, and clicks of them."""
    start(workspace, "thompson")
    reader = ConfigReader(workspace)
    before = reader.read()
    assert ask(before).probabilities == pytest.approx((0.5, 0.5))
    receipt = land(workspace, tmp_path, {"plain": 1, "good": 7, "poor": 1}, bots=(0, 8))
    assert receipt["accepted"] == 30 + 9
    name, known = read_current(workspace.snapshots)
    assert known.creatives == {
        "plain": Seen("home/light", 7, 0),
        "good": Seen("home/light", 7, 6),
        "poor": Seen("home/light", 7, 0),
    }
    after = reader.read()
    assert after.version != before.version
    record = ask(after)
    assert record.policy.snapshot == name
    chances = dict(zip(record.eligible, record.probabilities, strict=True))
    assert chances["good"] > 0.9
    assert min(chances.values()) >= 0.05  # half of the floor
    # The policy of an unchanged snapshot is the same object: it keeps what it remembers.
    served = [
        config.experiments["lamps"].policies["generated"] for config in (after, reader.read())
    ]
    assert served[0] is served[1]


def test_a_reader_goes_on_with_what_it_knew(workspace, tmp_path):
    """When the snapshot breaks under a reader, it tells so and keeps the last sound one."""
    start(workspace, "thompson")
    land(workspace, tmp_path, {"good": 7, "poor": 1})
    reader = ConfigReader(workspace)
    before = ask(reader.read())
    (workspace.snapshots / CURRENT_FILE).write_bytes(b"{")
    config = reader.read()
    assert any(CURRENT_FILE in problem for problem in config.problems)
    after = ask(config)
    assert (after.policy, after.probabilities) == (before.policy, before.probabilities)


def test_nothing_new_keeps_the_name(workspace, tmp_path):
    """The same logs again, or an ingest of nothing, leave the snapshot in force."""
    start(workspace, "contextual")
    clicks = {"plain": 1, "good": 7, "poor": 1}
    land(workspace, tmp_path, clicks)
    content = (workspace.snapshots / CURRENT_FILE).read_bytes()
    land(workspace, tmp_path, clicks)
    assert renew_snapshot(workspace) == read_current(workspace.snapshots)[0]
    assert (workspace.snapshots / CURRENT_FILE).read_bytes() == content
    land(workspace, tmp_path, {"good": 1}, name="more")
    assert (workspace.snapshots / CURRENT_FILE).read_bytes() != content


def test_an_impression_of_two_experiments_is_counted_once(workspace, tmp_path):
    """Where running experiments of two layers share an impression, it is one impression."""
    start(workspace, "thompson")
    (workspace.experiments / "shelves.yaml").write_text(
        (YAML % "uniform").replace("lamps", "shelves")
    )
    Registry(workspace).start("shelves", at=MONDAY, who="t")
    variants = [{"experiment": key, "variant": "generated"} for key in ("lamps", "shelves")]
    land(workspace, tmp_path, {"good": 2}, assignments=variants)
    _, known = read_current(workspace.snapshots)
    assert known.creatives == {"good": Seen("home/light", 9, 2)}


def test_what_the_analysis_leaves_out_teaches_nothing(workspace, tmp_path):
    """Neither an excluded source nor a unit of two variants tells policies anything."""
    start(workspace, "thompson")
    land(workspace, tmp_path, {"good": 2})
    land(workspace, tmp_path, {"poor": 8}, name="broken", source="broken-sdk")
    both = [{"experiment": "lamps", "variant": "baseline"}]
    land(workspace, tmp_path, {"good": 9}, name="again", units="log", assignments=both)
    assert read_current(workspace.snapshots)[1].creatives == {"poor": Seen("home/light", 9, 8)}
    journal = Registry(workspace).journal
    exclude_source(journal, "lamps", "broken-sdk", at=MONDAY, who="t", why="lies")
    land(workspace, tmp_path, {"poor": 3}, name="mended")
    assert read_current(workspace.snapshots)[1].creatives == {"poor": Seen("home/light", 9, 3)}


@pytest.mark.parametrize("choose", ["uniform", "rules, rules: [{prefer: {mood: [calm]}}]"])
def test_policies_that_learn_nothing_make_no_snapshot(workspace, tmp_path, choose):
    """Where no running experiment's policy rests on a snapshot, none is made."""
    start(workspace, choose)
    land(workspace, tmp_path, {"good": 1})
    assert read_current(workspace.snapshots) is None


def test_a_broken_snapshot_stops_no_decision(workspace, tmp_path):
    """A snapshot with other bytes is named in the config's problems; decisions go on uniformly."""
    start(workspace, "thompson")
    land(workspace, tmp_path, {"good": 7, "poor": 1})
    name, _ = read_current(workspace.snapshots)
    path = workspace.snapshots / f"{name}.json"
    path.write_bytes(path.read_bytes() + b" ")
    config = build_config(workspace)
    assert any(str(path) in problem for problem in config.problems)
    record = ask(config)
    assert record.action == "show"
    assert record.policy.snapshot is None
    assert record.probabilities == pytest.approx((0.5, 0.5))
    # The next ingest mends it.
    land(workspace, tmp_path, {"good": 7, "poor": 1})
    assert read_current(workspace.snapshots)[0] == name


@pytest.mark.parametrize(
    ("damage", "remedy"), [(None, None), ("current", "abp ingest"), ("former", "backup")]
)
def test_doctor_hashes_every_snapshot(workspace, damage, remedy):
    """A damaged snapshot is named by its file, with what mends it; sound ones are counted."""
    former = keep_snapshot(workspace.snapshots, Snapshot(), data_version="v", at=MONDAY)
    known = Snapshot(creatives={"a": Seen("x", 1, 0)})
    names = {"former": former}
    names["current"] = keep_snapshot(workspace.snapshots, known, data_version="w", at=MONDAY)
    if damage:
        path = workspace.snapshots / f"{names[damage]}.json"
        path.write_bytes(path.read_bytes() + b" ")
    done = CliRunner().invoke(doctor, ["--json", "-w", str(workspace.root)])
    findings = json.loads(done.stdout)["findings"]
    (found,) = [one for one in findings if one["check"] == "snapshots"]
    assert found["status"] == ("fail" if damage else "ok")
    if damage:
        assert str(path) in found["message"]
        assert remedy in found["remedy"]
    else:
        assert found["message"].startswith("2 kept")


def test_reward_policy_without_a_champion_is_uniform(workspace, tmp_path):
    """Before there is a champion nobody has scored anything: all are equally likely."""
    start(workspace, "reward")
    land(workspace, tmp_path, {"good": 7, "poor": 1})
    record = ask(build_config(workspace))
    assert record.probabilities == pytest.approx((0.5, 0.5))
    assert record.policy.snapshot == read_current(workspace.snapshots)[0]


def promote_model(workspace, tmp_path, seed):
    """Make a small reward model of random weights the champion."""
    import torch

    from reward.model import RewardConfig, RewardModel
    from reward.score import save_model
    from reward.train import Trained

    torch.manual_seed(seed)
    config = RewardConfig(images=True, texts=False, categories=("home/light",), image_size=32)
    folder = tmp_path / f"model-{seed}"
    made = Trained(RewardModel(config).eval(), {})
    saved = save_model(folder, made, metadata={}, created_at=MONDAY)
    root = workspace.checkpoints
    kept = checkpoints.save_checkpoint(
        root, folder, kind="reward", metadata=saved.metadata, created_at=MONDAY
    )
    checkpoints.promote(root, "reward", kept.sha256, at=MONDAY)
    return kept.sha256


def draw(workspace, seed):
    """Keep a picture of noise as a creative of this week."""
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    cutout = np.zeros((8, 8, 4), dtype=np.uint8)
    name, small = save_master(workspace.creatives, pixels, cutout)
    place = Placement(0, 0, 8, 8)
    made = Lineage(name, "p1", "generated", "i", small, place, {}, "", seed, "r/1", {}, {})
    append_lineage(workspace.creatives, [replace(made, week="2026-W45")])
    return name


def test_the_champion_scores_every_creative_once(workspace, tmp_path, capsys):
    """New creatives are scored by the champion, old ones again only once it is another one.

    A creative whose picture is lost is told of and has no score; decisions can tell the others'.
    """
    start(workspace, "reward")
    first = promote_model(workspace, tmp_path, 1)
    one = draw(workspace, 1)
    renew_snapshot(workspace)
    _, known = read_current(workspace.snapshots)
    assert (known.checkpoint, list(known.rewards)) == (first, [one])
    assert "not_scored" in capsys.readouterr().err
    two = draw(workspace, 2)
    renew_snapshot(workspace)
    _, known_now = read_current(workspace.snapshots)
    assert set(known_now.rewards) == {one, two}
    assert known_now.rewards[one] == known.rewards[one]
    second = promote_model(workspace, tmp_path, 2)
    renew_snapshot(workspace)
    _, later = read_current(workspace.snapshots)
    assert later.checkpoint == second
    assert later.rewards[one] != known.rewards[one]
    assert build_config(workspace).scores == later.rewards


def test_scores_are_kept_for_records_alone(workspace, tmp_path):
    """The weekly turn has the champion score creatives also where every policy is uniform."""
    start(workspace, "uniform")
    assert renew_snapshot(workspace, score=True) is None  # there is no champion
    promote_model(workspace, tmp_path, 1)
    one = draw(workspace, 1)
    assert renew_snapshot(workspace) is None
    assert renew_snapshot(workspace, score=True) is not None
    assert list(build_config(workspace).scores) == [one]


def test_a_policy_learns_who_is_best_and_keeps_its_propensities_honest(tmp_path):
    """Over ten days of snapshots Thompson turns to the best of four creatives.

    Weighted by their propensities, the clicks still estimate every creative's own rate, although
    they were seen by choice.
    """
    rates = {"a": 0.02, "b": 0.05, "c": 0.03, "d": 0.02}
    names = tuple(rates)
    rng = np.random.default_rng(17)
    seen = {name: [0, 0] for name in names}
    weighted, shares = dict.fromkeys(names, 0.0), []
    days, visits = 10, 1_500
    for day in range(days):
        rows = [counted(name, "x", n=n, k=k) for name, (n, k) in seen.items()]
        policy = make_policy(Policy("thompson"), ("s", learn(rows)), {})
        shown = 0
        for visit in range(visits):
            choice = choose(
                policy, {"category": "x"}, names, floor=0.2, decision_id=f"{day}-{visit}"
            )
            clicked = int(rng.random() < rates[choice.creative_id])
            seen[choice.creative_id][0] += 1
            seen[choice.creative_id][1] += clicked
            weighted[choice.creative_id] += clicked / choice.propensity
            shown += choice.creative_id == "b"
        shares.append(shown / visits)
    assert shares[0] == pytest.approx(0.25, abs=0.05)
    assert shares[-1] > 0.7
    for name, rate in rates.items():
        # A propensity is at least 5 %, so a weighted click's variance is at most 20 times the rate.
        error = (20 * rate / (days * visits)) ** 0.5
        assert weighted[name] / (days * visits) == pytest.approx(rate, abs=4 * error)
