"""Learning across experiments: effects together, the holdout, and words of scenes."""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from abplatform.analysis.programme import (
    EndedRow,
    HoldoutLift,
    Programme,
    learn_attributes,
    measure_holdout,
)
from abplatform.analysis.programme.effects import MeasuredEnd, list_ended, measure_impact
from abplatform.analysis.programme.page import describe_impact, to_html
from abplatform.analysis.scorecard import ProductComparison, Question
from abplatform.analysis.verdict import analyze
from abplatform.cli.main import main
from abplatform.creatives import append_lineage
from abplatform.domain.assignment import assign
from abplatform.domain.catalog import Lineage, Placement
from abplatform.domain.experiment import State, Verdict
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.load import ingest
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.ratio import RatioSums, contrast
from abplatform.traffic.registry import RegisteredExperiment, Registry
from abplatform.workspace import open_workspace

BEGIN = datetime(2026, 9, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
PALETTES = ("cream", "blush", "sage")
SPEC = """\
key: {key}
layer: {{name: feed}}
variants:
  base: {{control: true, weight: 50, creatives: {{source: baseline}}}}
  gen: {{weight: 50, creatives: {{source: generated, generator: caig}}}}
metrics: {{primary: {{metric: ctr, mde: 5%}}}}
analysis: {{test: fixed, min_runtime: 7d, max_runtime: 7d}}
"""


def end(key, log_lift, deviation, *, shipped=False, treatment="gen", metric="ctr"):
    row = EndedRow(
        experiment=key,
        treatment=treatment,
        metric=metric,
        state="decided",
        verdict="ship" if shipped else "no_difference",
        shipped=shipped,
        won=shipped,
        started_at=BEGIN,
        ended_at=BEGIN + WEEK,
        units=1000,
        relative_lift=float(np.expm1(log_lift)),
    )
    return MeasuredEnd(row, log_lift, deviation**2, 0.5)


def product(number, log_rates, variances, scenes, *, category="beauty/lip", clicks=40):
    """A product's creatives with given log-CTRs; its scenes go into the dict."""
    names = tuple(f"c{number}-{place}" for place in range(len(log_rates)))
    own = ProductComparison(
        product_id=f"p{number}",
        category=category,
        creatives=names,
        sums=tuple(RatioSums.independent(1000, clicks) for _ in names),
        variants={name: frozenset({"gen"}) for name in names},
        win=np.eye(len(names)),
        log_rates=np.array(log_rates, dtype=float),
        covariance=np.diag(variances),
    )
    return own, dict(zip(names, scenes, strict=True))


def draw_products(rng, *, products=40, effects=(), words=6, tau=0.15):
    """Products of 4 creatives whose palettes and surfaces are drawn at random."""
    found, scenes = [], {}
    for number in range(products):
        mine = [
            {"palette": f"v{rng.integers(words)}", "surface": f"v{rng.integers(words)}"}
            for _ in range(4)
        ]
        clicks = rng.integers(40, 160, 4)
        rates = [sum(dict(effects).get(item, 0.0) for item in scene.items()) for scene in mine]
        rates = rng.normal(np.array(rates) + rng.normal(-3, 0.3), np.hypot(tau, clicks**-0.5))
        category = ("beauty/lip", "home/lamp")[number % 2]
        one, own = product(number, rates, 1 / clicks, mine, category=category)
        found.append(one)
        scenes |= own
    return found, scenes


# Effects together


def test_shipped_lifts_are_shrunk_and_compounded():
    """Raw totals compound what was measured; shrunken ones lie nearer to the mean."""
    logs = (0.20, 0.12, -0.02, 0.01, 0.03, -0.05)
    ends = [end(f"e{at}", log, 0.06, shipped=at < 2) for at, log in enumerate(logs)]
    rows, (impact,) = measure_impact(ends)
    assert (impact.treatments, impact.shipped) == (6, 2)
    assert impact.raw_total == pytest.approx(np.expm1(0.32), rel=1e-12)
    assert 0 < impact.shrunken_total < impact.raw_total
    both = np.log1p(rows[0].shrunken_lift) + np.log1p(rows[1].shrunken_lift)
    assert np.log1p(impact.shrunken_total) == pytest.approx(both, rel=1e-12)
    assert impact.shrunken_low < impact.shrunken_total < impact.shrunken_high
    assert "choosing winners" in describe_impact(impact)
    for row in rows:
        assert row.shrunken_low < row.shrunken_lift < row.shrunken_high


@pytest.mark.parametrize("count", [0, 1, 2])
def test_one_or_two_experiments_are_not_shrunk(count):
    """Too few lifts leave the raw ones and say why."""
    rows, impacts = measure_impact([end(f"e{at}", 0.1, 0.05, shipped=True) for at in range(count)])
    assert len(rows) == count
    assert all(row.shrunken_lift is None for row in rows)
    for impact in impacts:
        assert impact.undetermined.startswith("few_experiments: ")
        assert impact.shrunken_total is None
        assert impact.raw_total == pytest.approx(np.expm1(0.1 * count))
        assert "as measured" in describe_impact(impact)


def test_identical_lifts_are_one_lift():
    """Equal lifts have no spread, and each is worth the same."""
    rows, (impact,) = measure_impact([end(f"e{at}", 0.1, 0.05) for at in range(4)])
    assert impact.spread == 0.0
    assert impact.raw_total is None
    assert [row.shrunken_lift for row in rows] == pytest.approx([np.expm1(0.1)] * 4)
    assert "nothing was shipped" in describe_impact(impact)


def test_metrics_are_not_mixed_and_the_unusable_stay():
    """Each metric has its own impact; a row without a lift stays in its place, not shrunk."""
    broken = MeasuredEnd(end("bad", 0.0, 0.1).row)
    ends = [end(f"e{at}", 0.02 * at, 0.05) for at in range(3)] + [broken]
    ends += [end("r", 0.3, 0.1, metric="rpm")]
    rows, impacts = measure_impact(ends)
    assert [impact.metric for impact in impacts] == ["ctr", "rpm"]
    assert impacts[0].treatments == 3
    assert rows[3].shrunken_lift is None
    assert rows[0].shrunken_lift is not None


def test_treatments_of_one_experiment_share_their_control():
    """Two treatments of one experiment are worth less together than two experiments."""
    apart = [end(f"e{at}", log, 0.06) for at, log in enumerate((0.3, 0.25, 0.0, -0.1))]
    alike = [end("e0", 0.3, 0.06), end("e0", 0.25, 0.06, treatment="other"), *apart[2:]]
    _, (one,) = measure_impact(apart)
    _, (other,) = measure_impact(alike)
    width = [impact.mean_high - impact.mean_low for impact in (one, other)]
    assert width[0] != pytest.approx(width[1], rel=1e-6)


def test_the_error_of_a_lift_is_that_of_its_interval(show, make, draw, run, start):
    """Width of the log interval gives the delta method's error to within 2 %."""
    with show(draw(seed=3, users=1500)) as warehouse:
        scorecard = analyze(warehouse, make(), run=run, question=Question(final=True))
    registered = RegisteredExperiment(
        make(), State.DECIDED, start, start + WEEK, (), "", verdict=Verdict.SHIP
    )
    (found,) = list_ended(registered, scorecard)
    lift = scorecard.lifts[0]
    rates = np.array([lift.rate_control, lift.rate_treatment])
    # Both rates' errors from one absolute error and equal design effects.
    shares = rates / np.array([lift.n_control, lift.n_treatment])
    exact = lift.se_absolute**2 * (shares / shares.sum() / rates**2).sum()
    assert found.variance == pytest.approx(exact, rel=0.04)
    assert found.log_lift == pytest.approx(np.log1p(lift.relative_lift), rel=1e-12)
    assert found.row.shipped
    assert 0 < found.control_share < 1


def test_an_invalid_experiment_teaches_nothing(show, make, draw, run, start):
    """What was called invalid stays in the table with its reason and out of every sum."""
    with show(draw(users=300)) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
    registered = RegisteredExperiment(
        make(), State.DECIDED, start, start + WEEK, (), "", verdict=Verdict.INVALID
    )
    (found,) = list_ended(registered, scorecard)
    assert found.log_lift is None
    assert found.row.undetermined.startswith("invalid: ")


# Words of scenes


def test_a_planted_word_is_found_and_shrunk():
    """A palette worth +40 % is significant, near its truth, and shrunk towards none."""
    rng = np.random.default_rng(4)
    found = learn_attributes(*draw_products(rng, effects={("palette", "v1"): np.log(1.4)}.items()))
    best = found[0]
    assert (best.attribute, best.value, best.category) == ("palette", "v1", None)
    assert best.significant
    assert best.ci_low < 0.4 < best.ci_high
    assert 0 < best.shrunken_effect < best.relative_effect
    assert best.products >= 5
    assert all(row.p_adjusted >= row.p_value for row in found)


def test_words_without_effect_are_hardly_called():
    """In 40 worlds where no word does anything, few have any discovery, and raw p are uniform."""
    rng = np.random.default_rng(9)
    worlds = [learn_attributes(*draw_products(rng, products=30)) for _ in range(40)]
    discoveries = np.mean([any(row.significant for row in world) for world in worlds])
    raw = np.mean([row.p_value <= 0.05 for world in worlds for row in world])
    assert discoveries <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 40)
    assert 0.02 <= raw <= 0.09


def test_one_lucky_creative_is_no_evidence_however_often_it_runs():
    """Words without effect: creatives that run six times are called no more often than once."""
    rng = np.random.default_rng(12)
    called = []
    for _ in range(150):
        products, scenes = [], {}
        for number in range(10):
            luck = rng.normal(0, 0.15, 2)
            for _ in range(6):
                mine = [{"mood": "calm"}, {"mood": "bold"}]
                seen = luck + rng.normal(0, 0.04, 2)
                one, own = product(number, seen, [0.04**2] * 2, mine)
                products.append(one)
                scenes |= own
        called.append(learn_attributes(products, scenes)[0].p_value <= 0.05)
    assert np.mean(called) <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 150)


def test_experiments_with_the_same_creatives_are_pooled():
    """A word's effect and error are those of one fit to all experiments with a draw a creative."""
    scenes = {f"c{at}": {"mood": ("calm", "bold", "wild")[at % 3]} for at in range(30)}
    rng = np.random.default_rng(3)
    products, effects, variances, pairs = [], [], [], np.zeros((30, 30))
    for number in range(10):
        for step, places in enumerate(((0, 1), (1, 2), (0, 1))):
            y, v = rng.normal(-3, 0.1, 2), rng.uniform(0.001, 0.01, 2)
            at = [3 * number + place for place in places]
            one, _ = product(number, y, v, [{}, {}])
            products.append(replace(one, creatives=tuple(f"c{place}" for place in at)))
            effects.append(y[1] - y[0])
            variances.append(v.sum())
            pairs[3 * number + step, at] = -1, 1
    found = next(row for row in learn_attributes(products, scenes) if row.value == "bold")
    x = pairs @ np.array([at % 3 == 1 for at in range(30)], dtype=float)

    def fit(tau2):
        precision = np.linalg.inv(np.diag(variances) + tau2 * pairs @ pairs.T)
        return x @ precision @ effects / (x @ precision @ x), (x @ precision @ x) ** -0.5

    fits = [fit(tau2) for tau2 in [0, *np.geomspace(1e-6, 1, 4000)]]
    beta, error = min(fits, key=lambda one: abs(one[1] - found.standard_error))
    assert found.products == 10
    assert error == pytest.approx(found.standard_error, rel=1e-3)
    assert beta == pytest.approx(np.log1p(found.relative_effect), abs=1e-4)


def test_products_own_level_drops_out():
    """A word on dear products only, in every creative of theirs, is no evidence at all."""
    products, scenes = [], {}
    for number in range(20):
        dear = number % 2 == 0
        mine = [
            {"light": "neon" if dear else "spot", "mood": ("calm", "bold")[at]} for at in (0, 1)
        ]
        one, own = product(number, [-2.0 if dear else -4.0] * 2, [0.01, 0.01], mine)
        products.append(one)
        scenes |= own
    found = learn_attributes(products, scenes)
    assert {row.attribute for row in found} == {"mood"}
    assert [row.relative_effect for row in found] == pytest.approx([0.0, 0.0], abs=1e-12)


@pytest.mark.parametrize(
    ("count", "clicks", "rows"), [(5, 40, 2), (4, 40, 0), (5, 9, 0), (0, 0, 0)]
)
def test_a_word_needs_evidence(count, clicks, rows):
    """Fewer than 5 products, or than 50 clicks on either side, are not shown."""
    products, scenes = [], {}
    for number in range(count):
        mine = [{"mood": "calm"}, {"mood": "bold"}]
        one, own = product(number, [-3.0, -3.1], [0.02, 0.03], mine, clicks=clicks)
        products.append(one)
        scenes |= own
    assert len(learn_attributes(products, scenes)) == rows


def test_creatives_without_a_scene_are_left_out():
    """Baselines have no scene; a product with one generated creative compares nothing."""
    one, scenes = product(1, [-3.0, -2.5], [0.01, 0.01], [{}, {"mood": "calm"}])
    assert learn_attributes([one] * 9, scenes) == ()


# A whole workspace


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Five ended weeks with a holdout of 20 %, shipped winners and scenes."""
    root = tmp_path_factory.mktemp("programme")
    (root / "abp.yaml").write_text("holdout: 20%\n")
    (root / "experiments").mkdir()
    workspace = open_workspace(root, clock=lambda: BEGIN + 10 * WEEK)
    registry, rng = Registry(workspace), np.random.default_rng(5)
    lines, kept, live = [], [], 0.0
    for number, lift in enumerate((0.35, 0.0, 0.05, 0.4, -0.05)):
        at, key = BEGIN + number * WEEK, f"e{number}"
        (root / "experiments" / f"{key}.yaml").write_text(SPEC.format(key=key))
        registry.start(key, at=at, who="owner")
        scenes = {f"{key}-p{p}-g{g}": PALETTES[rng.integers(3)] for p in range(4) for g in range(3)}
        kept += [_lineage(creative, palette) for creative, palette in scenes.items()]
        plan = registry.plan(key, at)
        lines += _serve(rng, plan, at, (live, lift), scenes)
        registry.stop(key, at=at + WEEK, who="owner")
        shipped = lift > 0.3
        live += lift if shipped else 0.0
        verdict = Verdict.SHIP if shipped else Verdict.NO_DIFFERENCE
        registry.decide(key, verdict, at=at + WEEK, who="owner")
    append_lineage(workspace.creatives, kept)
    log = root / "log.jsonl"
    log.write_bytes(b"\n".join(lines) + b"\n")
    facts = {
        key: ExperimentFacts.of(
            one.experiment, started_at=one.started_at, ended_at=one.ended_at, phases=one.phases
        )
        for key, one in registry.experiments().items()
    }
    ingest(workspace, facts, files=[log])
    return workspace, [json.loads(line) for line in lines]


def _lineage(creative, palette):
    place, nothing = Placement(0, 0, 1, 1), "0" * 64
    scene = {"palette": palette}
    product_id = creative.rpartition("-")[0]
    return Lineage(
        creative, product_id, "generated", nothing, nothing, place, scene, "", 0, "t/1", {}, {}
    )


def _serve(rng, plan, at, lifts, scenes):
    """Impressions and clicks of one week; everyone but the holdout gets what was shipped."""
    lines, (live, lift) = [], lifts
    for user in range(700):
        given = assign(plan, f"u{user}", {})
        chance = 0.06 * rng.lognormal(-0.1, 0.4)
        for turn in range(4):
            product_id = f"{plan.experiment_key}-p{rng.integers(4)}"
            creative, log = f"{product_id}-b", 0.0 if given.reason == "holdout" else live
            if given.variant == "gen":
                creative = f"{product_id}-g{rng.integers(3)}"
                log += lift + 0.6 * (scenes[creative] == "cream")
            name = f"{plan.experiment_key}-{user}-{turn}"
            ts = at + timedelta(seconds=int(rng.integers(7 * 86400)))
            fields = {
                "unit_id": f"u{user}",
                "creative_id": creative,
                "product_id": product_id,
                "category": "beauty/lip",
                "reason": "holdout" if given.reason == "holdout" else "assigned",
                "assignments": [{"experiment": plan.experiment_key, "variant": given.variant}]
                if given.variant
                else [],
            }
            told = {"schema": 1, "source": "app"}
            moment = {"event_type": "impression", "event_id": name, "ts": ts.isoformat()}
            lines.append(json.dumps(told | moment | fields).encode())
            if rng.random() < chance * np.exp(log):
                later = (ts + timedelta(seconds=9)).isoformat()
                moment = {"event_type": "click", "event_id": f"k{name}", "ts": later}
                lines.append(json.dumps(told | moment | {"impression_id": name}).encode())
    return lines


def call(workspace, monkeypatch, capsys, *words):
    monkeypatch.setattr("abplatform.cli.experiments.open_workspace", lambda folder: workspace)
    monkeypatch.setattr(sys, "argv", ["abp", "history", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return ended.value.code or 0, printed.out


def test_history_looks_back(world, monkeypatch, capsys):
    """Without a key, `abp history` tells rates, worth, holdout and experiments."""
    code, out = call(world[0], monkeypatch, capsys)
    assert code == 0
    assert "5 experiments begun, 5 ended" in out
    assert "40% shipped" in out
    assert "CTR: the 2 shipped treatments together are worth +" in out
    assert "a cumulative lift of +" in out
    assert "winner's curse" in out
    assert "palette cream" in out


def test_history_as_json_and_page(world, monkeypatch, capsys, tmp_path):
    """The object holds every part without NaN, and the page draws the same experiments."""
    path = tmp_path / "out" / "history.html"
    code, out = call(world[0], monkeypatch, capsys, "--json", "--html", str(path))
    assert code == 0
    data = json.loads(out)
    assert data.keys() == {
        *("started", "ended", "win_rate", "ship_rate", "invalid", "experiments", "impact"),
        *("holdout", "attributes", "notes"),
    }
    assert [row["experiment"] for row in data["experiments"]] == [f"e{at}" for at in range(5)]
    assert data["impact"][0]["shrunken_total"] < data["impact"][0]["raw_total"]
    html = path.read_text()
    assert html.count("<svg") == 2
    assert all(f">e{at}<" in html for at in range(5))


def test_history_with_a_key_is_the_journal(world, monkeypatch, capsys):
    """With a key it stays the journal's rows, and has no page."""
    code, out = call(world[0], monkeypatch, capsys, "e0", "--json")
    assert code == 0
    assert [row["action"] for row in json.loads(out)] == ["start", "stop", "decide"]
    code, _ = call(world[0], monkeypatch, capsys, "e0", "--html", "x.html")
    assert code == 2


def test_the_holdout_is_what_plain_python_counts(world):
    """Sums by unit of the days in which the holdout was served, by the Fieller test."""
    workspace, events = world
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        lift = measure_holdout(warehouse, planned_share=0.2)
        other = measure_holdout(warehouse, planned_share=0.1)
    clicked = {event["impression_id"] for event in events if event["event_type"] == "click"}
    units = {"holdout": {}, "assigned": {}}
    for event in events:
        if event["event_type"] == "impression":
            n, k = units[event["reason"]].get(event["unit_id"], (0, 0))
            units[event["reason"]][event["unit_id"]] = (
                n + 1,
                k + (event["event_id"] in clicked),
            )
    sums = {
        reason: RatioSums.of_units([n for n, _ in found.values()], [k for _, k in found.values()])
        for reason, found in units.items()
    }
    expected = contrast(sums["holdout"], sums["assigned"], share=True)
    assert lift.relative_lift == pytest.approx(expected.relative_lift, rel=1e-12)
    assert lift.p_value == pytest.approx(expected.p_value, rel=1e-9)
    assert (lift.units_holdout, lift.units_both) == (sums["holdout"].units, 0)
    assert lift.undetermined is None
    assert "cannot be trusted" not in lift.note
    assert "where abp.yaml plans 10.00%" in other.note


def test_nobody_held_out_says_how(tmp_path):
    """Without a holdout, or before its first impression, the reason says what to do."""
    with Warehouse.in_memory() as warehouse:
        none = measure_holdout(warehouse, planned_share=0.0)
        waiting = measure_holdout(warehouse, planned_share=0.02)
    assert "write `holdout: 2%` into abp.yaml" in none.undetermined
    assert "no final impression carries `reason: holdout`" in waiting.undetermined
    assert none.relative_lift is None


def test_an_empty_programme_has_a_page():
    """A workspace that has ended nothing says so on page and in JSON."""
    programme = Programme(0, 0, None, None, 0, (), (), HoldoutLift(0.0, undetermined="a: b"))
    assert "Too few experiments" in to_html(programme)
    json.dumps(programme.to_json(), allow_nan=False)
