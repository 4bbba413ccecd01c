"""Other weights in mid-run: the comparison begins anew, and alpha that was spent stays spent."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from abplatform.analysis.scorecard import Question, Run, running_days
from abplatform.analysis.verdict import analyze
from abplatform.domain.assignment import assign, assign_many
from abplatform.logs.landing import Landing
from abplatform.logs.load import ingest
from abplatform.loop.measure import judge_experiment, open_store
from abplatform.traffic.registry import Registry
from abplatform.traffic.registry.look_plan import plan_at_start, unspent_alpha
from abplatform.workspace import Workspace

START = datetime(2026, 9, 1, tzinfo=UTC)
CHANGE = START + timedelta(days=5)
SPEC = """\
key: lamps
variants:
  baseline: {control: true, weight: 90}
  generated: {weight: 10}
metrics: {primary: {metric: ctr, mde: 15%}}
analysis: {min_runtime: 2d, max_runtime: 14d}
"""


def at(root, moment):
    return Workspace(root, clock=lambda: moment)


def reweigh(root, first, second, moment):
    path = root / "experiments" / "lamps.yaml"
    text = path.read_text()
    for before, after in (("control: true, weight: 90", f"control: true, weight: {first}"),):
        text = text.replace(before, after)
    path.write_text(text.replace("generated: {weight: 10}", f"generated: {{weight: {second}}}"))
    return Registry(at(root, moment)).apply("lamps", at=moment, who="growth")


def traffic(root, days, *, rate, users=1_200, seed=1):
    """Every user comes once a day and sees what the platform deals; both variants click alike."""
    rng = np.random.default_rng(seed)
    registry = Registry(at(root, START))
    for day in days:
        plan = registry.plan("lamps", START + timedelta(days=day, hours=9))
        for user in range(users):
            ts = START + timedelta(days=day, hours=9, seconds=user)
            names = {"experiment": "lamps", "variant": assign(plan, f"u{user}").variant}
            names |= {"unit_id": f"u{user}", "creative_id": "c", "product_id": "p"}
            event_id = f"i{day}-{user}"
            yield wire("impression", event_id, ts, category="home", **names)
            if rng.random() < rate:
                clicked = ts + timedelta(seconds=30)
                yield wire("click", f"c{event_id}", clicked, impression_id=event_id)


def wire(event_type, event_id, ts, **fields):
    event = {"schema": 1, "event_type": event_type, "event_id": event_id, "ts": ts.isoformat()}
    return json.dumps(event | fields).encode()


def look(root, moment, lines=()):
    workspace = at(root, moment)
    with Landing(workspace) as landing:
        landing.append("app", lines)
    registry = Registry(workspace)
    ingest(workspace, {key: one.facts for key, one in registry.experiments().items()})
    with open_store(workspace, "test") as warehouse:
        return judge_experiment(workspace, warehouse, registry.find("lamps"), lineage={})


def ask(root, moment, as_of):
    workspace = at(root, moment)
    found = Registry(workspace).find("lamps")
    run, zone = Run.of(found, now=moment), workspace.settings.time_zone
    with open_store(workspace, "test") as warehouse:
        question = Question(as_of=as_of)
        return analyze(
            warehouse, found.experiment, run=run, question=question, lineage={}, zone=zone
        )


def overall(scorecard):
    return next(one for one in scorecard.lifts if one.metric == "ctr" and one.category is None)


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "abp.yaml").write_text("{}\n")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "lamps.yaml").write_text(SPEC)
    Registry(at(tmp_path, START)).start("lamps", at=START, who="growth")
    return tmp_path


def test_a_trend_does_not_pass_for_a_lift(shop):
    """In an A/A test whose rate falls while 90/10 becomes 50/50, no lift is seen.

    The two stretches taken as one show a lift far outside of what chance can do.
    """
    early = list(traffic(shop, range(5), rate=0.4))
    reweigh(shop, 50, 50, CHANGE)
    late = list(traffic(shop, range(5, 10), rate=0.1, seed=2))
    scorecard = look(shop, START + timedelta(days=40), [*early, *late])
    found = overall(scorecard)
    assert found.ci_low < 0 < found.ci_high
    assert found.n_control + found.n_treatment == 5 * 1_200
    assert "reweighted" in {note.code for note in scorecard.warnings}
    assert scorecard.excluded["earlier_weights"].exposures == 5 * 1_200
    assert scorecard.excluded["outside_phase"].exposures == 0
    assert scorecard.srm.verdict == "ok"
    counts = {"baseline": [0, 0], "generated": [0, 0]}
    variant = {}
    for event in map(json.loads, [*early, *late]):
        if event["event_type"] == "impression":
            variant[event["event_id"]] = event["variant"]
            counts[event["variant"]][0] += 1
        else:
            counts[variant[event["impression_id"]]][1] += 1
    table = [[k, n - k] for n, k in counts.values()]
    assert chi2_contingency(table).pvalue < 1e-6


def test_units_that_moved_are_compared_where_they_stand_now(shop):
    """A unit that was dealt to another variant by earlier weights does not count as mixed."""
    early = list(traffic(shop, range(5), rate=0.4))
    reweigh(shop, 50, 50, CHANGE)
    late = list(traffic(shop, range(5, 8), rate=0.4, seed=2))
    scorecard = look(shop, START + timedelta(days=40), [*early, *late])
    assert "mixed_units" not in {note.code for note in scorecard.warnings}
    assert scorecard.units == 1_200


def test_a_moment_before_the_reweighting_compares_nothing_and_says_why(shop):
    """Asked as of a moment before, a scorecard has no units and names the re-weighting since."""
    early = list(traffic(shop, range(5), rate=0.4, users=200))
    reweigh(shop, 50, 50, CHANGE)
    late = list(traffic(shop, range(5, 7), rate=0.4, users=200, seed=2))
    now = START + timedelta(days=40)
    assert look(shop, now, [*early, *late]).units == 200
    scorecard = ask(shop, now, CHANGE - timedelta(days=1))
    said = {note.code: note.message for note in scorecard.warnings}
    assert scorecard.units == 0
    assert "re-weighted at 2026-09-06 00:00, after the moment" in said["reweighted"]
    assert scorecard.excluded["earlier_weights"].exposures == 4 * 200
    assert "begins there" in {n.code: n.message for n in ask(shop, now, now).warnings}["reweighted"]


def test_earlier_looks_are_set_aside_and_what_they_spent_stays_spent(shop):
    """After a re-weighting looks count from 1, and their plan has what of alpha is left."""
    began = Registry(at(shop, START)).find("lamps")
    look(shop, START + timedelta(days=9), traffic(shop, range(4), rate=0.4))
    looked = Registry(at(shop, START)).find("lamps")
    spent = max(
        found["row"]["alpha_spent"] for one in looked.looks for found in one.treatments.values()
    )
    assert looked.looks
    assert spent > 0
    reweigh(shop, 50, 50, START + timedelta(days=9))
    anew = Registry(at(shop, START)).find("lamps")
    assert anew.looks == ()
    assert anew.plan["alpha"] == pytest.approx(began.plan["alpha"] - spent, rel=1e-9)
    assert (anew.started_at, anew.compared_since) == (START, START + timedelta(days=9))


def test_what_moves_nobody_is_compared_throughout(shop):
    """Targeting, creatives or a larger share open a phase without beginning anew."""
    path = shop / "experiments" / "lamps.yaml"
    before = Registry(at(shop, START)).find("lamps")
    path.write_text(path.read_text() + "targeting: {country: [CN]}\n")
    Registry(at(shop, CHANGE)).apply("lamps", at=CHANGE, who="growth")
    after = Registry(at(shop, CHANGE)).find("lamps")
    assert len(after.phases) == len(after.compared_phases) == 2
    assert (after.plan, after.compared_since) == (before.plan, START)


@pytest.mark.parametrize(
    ("test", "looks", "left"),
    [("sequential", 0, 1.0), ("anytime", 0, 1.0), ("anytime", 1, 0.5), ("fixed", 0, 1.0)],
)
def test_what_is_left_of_alpha(shop, test, looks, left):
    """A plan that nobody looked at has spent nothing; a watched confidence sequence leaves half."""
    path = shop / "experiments" / "lamps.yaml"
    text = (
        path.read_text().replace("key: lamps", "key: other").replace("{min", f"{{test: {test}, min")
    )
    (shop / "experiments" / "other.yaml").write_text(text)
    registry = Registry(at(shop, START))
    one = registry.start("other", at=START, who="growth")
    taken = Registry(at(shop, START)).find("lamps").looks
    taken = (*taken, *[object()] * looks)
    assert unspent_alpha(one.experiment, one.plan, taken) == pytest.approx(left)
    zone = registry.workspace.settings.time_zone
    again = plan_at_start(one.experiment, CHANGE, (), zone, unspent=left)
    assert again.alpha == pytest.approx(one.plan["alpha"] * left)


def counted(plans, units, rates, rng):
    """Impressions and clicks by variant and unit, one visit a day; both variants click alike."""
    shown, clicked = np.zeros((2, len(units))), np.zeros((2, len(units)))
    for plan, rate in zip(plans, rates, strict=True):
        owners = assign_many(plan, units)
        clicks = rng.random(len(units)) < rate
        for variant in range(2):
            shown[variant] += owners == variant
            clicked[variant] += clicks & (owners == variant)
    return shown, clicked


def finds_a_lift(shown, clicked):
    """Compare click-through rates with the delta method over units, at 5 %."""
    rates, variances = [], []
    for seen, hits in zip(shown, clicked, strict=True):
        n, k = seen[seen > 0], hits[seen > 0]
        rates.append(k.sum() / n.sum())
        variances.append((k - rates[-1] * n).var(ddof=1) * len(n) / n.sum() ** 2)
    return abs(rates[1] - rates[0]) > 1.959964 * sum(variances) ** 0.5


def test_the_error_rate_survives_a_reweighting(shop):
    """Over 150 A/A tests with a falling rate, the compared phases err about once in twenty.

    All phases taken as one find a lift nearly always. Units that moved make the pooled intervals
    only roughly right, which is nothing beside the trend.
    """
    reweigh(shop, 50, 50, CHANGE)
    registry = Registry(at(shop, CHANGE))
    compared = {phase.number for phase in registry.find("lamps").compared_phases}
    plans = [registry.plan("lamps", START + timedelta(days=day, hours=9)) for day in range(10)]
    units = [f"u{number}" for number in range(1_500)]
    rates, rng = np.linspace(0.4, 0.1, 10), np.random.default_rng(6)
    anew = pooled = 0
    for number in range(150):
        mine = [replace(plan, experiment_key=f"lamps-{number}") for plan in plans]
        inside = [plan.phase.number in compared for plan in mine]
        late = [plan for plan, kept in zip(mine, inside, strict=True) if kept]
        anew += finds_a_lift(*counted(late, units, rates[inside], rng))
        pooled += finds_a_lift(*counted(mine, units, rates, rng))
    assert 1 <= anew <= 17  # 150 draws at 5 %: outside by chance once in a thousand
    assert pooled > 140


@pytest.mark.parametrize(
    ("since", "first"),
    [(START, 1), (CHANGE, 6), (CHANGE + timedelta(hours=9), 7)],
    ids=["as it started", "at midnight", "in mid-day"],
)
def test_reports_count_from_the_first_whole_day(make, since, first):
    """A reported day of two sets of weights is not compared; the day of the start is."""
    run = Run(now=CHANGE, started_at=since, exposed_since=START)
    days = running_days(make(key="lamps"), run, ZoneInfo("UTC"))
    assert days[0] == date(2026, 9, first)
    plain = Run(now=CHANGE, started_at=CHANGE + timedelta(hours=9))
    assert running_days(make(key="lamps"), plain, ZoneInfo("UTC"))[0] == date(2026, 9, 6)
