"""What another policy would have earned: places, gates and models, on logs whose truth is known."""

import math

import numpy as np
import polars as pl
import pytest

from abplatform.analysis.off_policy import BelievedRates, LoggedChoices, PolicyTarget, evaluate
from abplatform.analysis.off_policy.reward_model import ClickModel, fit_clicks, pulled_rates
from abplatform.errors import AnalysisError
from abplatform.logs.decided import Decided, Situation
from abplatform.traffic.policies import Uniform

CREATIVES = ("a", "b", "c", "d")


def choices_of(columns, *, by_unit=False):
    size = len(columns["clicked"])
    given = {
        "unit": [f"u{i}" for i in range(size)],
        "product_id": ["p"] * size,
        "category": ["beauty"] * size,
        "position": [None] * size,
        "attributes": [None] * size,
        **{name: [None] * size for name in ("channel", "country", "placement", "segment")},
        **columns,
    }
    return LoggedChoices(pl.DataFrame(given, schema_overrides={"position": pl.Int32}), by_unit)


def draw_log(rng, *, size, logged, rates):
    shown = rng.choice(len(logged), size, p=logged)
    return choices_of(
        {
            "creative_id": [CREATIVES[i] for i in shown],
            "propensity": np.array(logged)[shown],
            "clicked": (rng.random(size) < np.array(rates)[shown]).astype(int),
        }
    )


def gates_of(found):
    return {gate.name: gate.passed for gate in found.gates}


def values_of(found):
    return {value.estimator: value for value in found.values}


class Fixed:
    """A target that shows each creative with a fixed probability."""

    name = "fixed"
    creatives = ()

    def __init__(self, chances):
        self.chances = chances

    def distribution(self, context, eligible, position):
        """The same wherever it is asked."""
        return tuple(self.chances[one] for one in eligible)


def test_uniform_from_a_skewed_log_covers_the_truth():
    """Over 100 logs all six intervals hold uniform's true rate about 90 times in 100.

    The model-based ones do so only because the bootstrap moves the model with the log.
    """
    rates, logged = (0.05, 0.1, 0.15, 0.2), (0.4, 0.3, 0.2, 0.1)
    truth, rng = float(np.mean(rates)), np.random.default_rng(11)
    hits = dict.fromkeys(("ips", "snips", "dm", "dr", "switch_dr", "dros"), 0)
    for _ in range(100):
        log = draw_log(rng, size=3000, logged=logged, rates=rates)
        found = values_of(evaluate(log, PolicyTarget(Uniform()), rng=rng, runs=200))
        for name in hits:
            hits[name] += found[name].interval.low <= truth <= found[name].interval.high
    for name, count in hits.items():
        assert 88 <= count <= 100, (name, count)  # binomial(100, 0.95) lies below once in 500


def test_the_models_leverage_is_its_derivative():
    """One click more moves the model's sum by the leverage, to first order in the click."""
    rng = np.random.default_rng(4)
    creatives = np.array([0, 1, 2, 0, 1, 2])
    cells = rng.integers(0, 6, 500)
    clicks = (rng.random(500) < 0.2).astype(float)
    weights, mass = rng.random(500), rng.random(6) * 100
    n, k = np.bincount(cells, minlength=6), np.bincount(cells, clicks, minlength=6)
    m = 500 / clicks.sum()
    left = mass - np.bincount(cells, weights, minlength=6)
    model = ClickModel(np.zeros((5, 6)), np.zeros(500, int), cells, creatives, clicks.sum())
    found = model.leverage(mass, weights)
    for row in range(20):
        more = k.copy()
        more[cells[row]] += 1e-3
        moved = left @ (
            pulled_rates(n, more, creatives, weight=m) - pulled_rates(n, k, creatives, weight=m)
        )
        assert found[row] == pytest.approx(moved / 1e-3, rel=1e-6)


def test_no_click_explains_itself():
    """A row's rate comes from other folds: with one click in the log, its own row expects none."""
    clicks, cells = np.zeros(100), np.zeros(100, dtype=int)
    clicks[17] = 1
    model = fit_clicks(clicks, cells, np.array([0]), units=None, rng=np.random.default_rng(1))
    assert model.rates[model.folds[17], 0] == 0
    others = [rate for fold, rate in enumerate(model.rates[:, 0]) if fold != model.folds[17]]
    assert min(others) > 0


def test_units_stay_in_one_fold():
    """All rows of a unit are dealt into the same fold."""
    units = np.repeat(np.arange(30), 4)
    model = fit_clicks(
        np.ones(120), np.zeros(120, int), np.array([0]), units=units, rng=np.random.default_rng(1)
    )
    assert all(len(set(model.folds[units == unit])) == 1 for unit in range(30))


def test_the_policy_that_ran_earns_what_it_earned():
    """When the target is the logging policy every weight is 1 and IPS is the log's own rate."""
    rng = np.random.default_rng(2)
    logged = dict(zip(CREATIVES, (0.4, 0.3, 0.2, 0.1), strict=True))
    log = draw_log(rng, size=2000, logged=list(logged.values()), rates=(0.1,) * 4)
    found = evaluate(log, Fixed(logged), rng=rng, runs=200)
    assert found.refused == ()
    assert values_of(found)["ips"].value == pytest.approx(found.logged_rate)


@pytest.mark.parametrize(
    ("change", "refuses"),
    [
        ({"propensity": [None] + [0.25] * 1999}, {"propensity"}),
        ({"propensity": [0.0] + [0.25] * 1999}, {"propensity"}),
        ({"propensity": [0.2] * 2000}, {"mean_weight"}),
        ({"creative_id": ["a", "b", "c", "c"] * 500}, {"support"}),
        ({"propensity": [0.001] + [0.25] * 1999}, {"effective_sample", "largest_weight"}),
    ],
)
def test_a_log_that_cannot_answer_is_refused_by_name(change, refuses):
    """Each gate refuses what it is for, with its number, and then there is no estimate."""
    log = {
        "creative_id": list(CREATIVES) * 500,
        "propensity": [0.25] * 2000,
        "clicked": [0, 0, 1, 0] * 500,
    }
    logged, expected = choices_of({**log, **change}), dict.fromkeys(CREATIVES, 0.25)
    rng = np.random.default_rng(1)
    fine = evaluate(choices_of(log), Fixed(expected), rng=rng, runs=100)
    assert fine.refused == ()
    assert len(fine.values) == 6
    known = BelievedRates(dict.fromkeys(CREATIVES, (2.0, 20.0)))
    found = evaluate(logged, known, rng=rng, runs=100)
    assert {gate.name for gate in found.refused} >= refuses
    assert found.values == ()
    for gate in found.refused:
        assert gate.value is not None
        assert math.isfinite(gate.value)


def test_what_was_possible_elsewhere_is_not_possible_here():
    """A rule that shows some units one creative makes a log that cannot say what others would do.

    Both creatives were possible elsewhere on the same shelf, and the mean weight misses 1 by less
    than its error: only the records of those decisions tell.
    """
    both = Situation("rules", None, 0.0, {"channel": "app"}, ("a", "b"), (0.2, 0.8))
    one = Situation("rules", None, 0.0, {"channel": "web"}, ("a", "b"), (1.0, 0.0))
    rows, rng = 2000, np.random.default_rng(8)
    ids = [f"d{number}" for number in range(rows)]
    ruled = np.arange(rows) < 20
    shown = np.where(ruled, 0, (rng.random(rows) < 0.8).astype(int))
    frame = choices_of(
        {
            "creative_id": [CREATIVES[i] for i in shown],
            "propensity": np.where(ruled, 1.0, np.array([0.2, 0.8])[shown]),
            "clicked": (rng.random(rows) < 0.1).astype(int),
            "decision_id": ids,
        }
    ).frame
    decided = Decided(
        (both, one), pl.DataFrame({"decision_id": ids, "situation": ruled.astype(int)})
    )
    log = LoggedChoices(frame, by_unit=False, decided=decided)
    found = evaluate(log, Fixed({"a": 0.5, "b": 0.5}), rng=rng, runs=100)
    assert [gate.name for gate in found.refused] == ["support"]
    assert found.refused[0].value == pytest.approx(0.5 * 20 / rows)


@pytest.mark.parametrize(
    ("creative", "propensity"), [("a", 0.25), ("stranger", 0.5), ("a", 0.5 + 1e-12)]
)
def test_an_impression_that_contradicts_its_record_is_refused(creative, propensity):
    """Whoever reports another creative or probability than was decided fails the replay gate."""
    known = Situation("uniform", None, 0.0, {}, ("a", "b"), (0.5, 0.5))
    ids, decided = decided_of(known, 4000)
    log = {
        "creative_id": ["a", "b"] * 2000,
        "propensity": [0.5] * 4000,
        "clicked": [0, 1] * 2000,
        "decision_id": ids,
    }
    target, gates = Fixed({"a": 0.5, "b": 0.5, "stranger": 0.0}), []
    first = {"creative_id": creative, "propensity": propensity}
    other = {name: [value, *log[name][1:]] for name, value in first.items()}
    for one in (log, log | other):
        told = LoggedChoices(choices_of(one).frame, by_unit=False, decided=decided)
        rng = np.random.default_rng(1)
        found = evaluate(told, target, rng=rng, runs=100, as_it_was=lambda _: Uniform())
        gates.append(gates_of(found)["replay"])
    assert gates == [True, False]


def test_a_few_rows_are_too_few():
    """Below 200 effective rows there is no estimate, however even the weights."""
    log = choices_of(
        {"creative_id": list(CREATIVES) * 49, "propensity": [0.25] * 196, "clicked": [0, 1] * 98}
    )
    found = evaluate(log, PolicyTarget(Uniform()), rng=np.random.default_rng(1), runs=100)
    assert [gate.name for gate in found.refused] == ["effective_sample"]
    assert found.refused[0].value == pytest.approx(196)


def test_positions_are_places_of_their_own():
    """A creative never shown at a position has no support there, though it was elsewhere."""
    log = choices_of(
        {
            "creative_id": ["a", "b"] * 500 + ["a"] * 1000,
            "propensity": [0.5] * 1000 + [1.0] * 1000,
            "clicked": [0, 1] * 1000,
            "position": [1] * 1000 + [2] * 1000,
        }
    )
    found = evaluate(log, PolicyTarget(Uniform()), rng=np.random.default_rng(1), runs=100)
    (support,) = [gate for gate in found.gates if gate.name == "support"]
    assert support.passed is False
    assert support.value == pytest.approx(0.25)  # half of what is shown at position 2


def test_products_are_shelves_of_their_own():
    """Where products have several creatives a policy chooses among the product's own."""
    log = choices_of(
        {
            "creative_id": ["a", "b"] * 500 + ["c", "d"] * 500,
            "product_id": ["p"] * 1000 + ["q"] * 1000,
            "propensity": [0.5] * 2000,
            "clicked": [0, 1] * 1000,
        }
    )
    found = evaluate(log, PolicyTarget(Uniform()), rng=np.random.default_rng(1), runs=100)
    assert found.refused == ()
    assert values_of(found)["ips"].value == pytest.approx(0.5)


def test_policies_are_asked_with_the_context():
    """Attributes and the platform's own words reach the policy, the latter winning."""
    heard = []

    class Listens(Fixed):
        def distribution(self, context, eligible, position):
            heard.append(dict(context))
            return super().distribution(context, eligible, position)

    log = choices_of(
        {
            "creative_id": ["a", "b"] * 200,
            "propensity": [0.5] * 400,
            "clicked": [0, 1] * 200,
            "attributes": ['{"age": 30, "country": "X"}'] * 200 + [None] * 200,
            "country": ["CN"] * 400,
        }
    )
    evaluate(log, Listens({"a": 0.5, "b": 0.5}), rng=np.random.default_rng(1), runs=100)
    assert heard == [
        {"age": 30, "country": "CN", "category": "beauty"},
        {"country": "CN", "category": "beauty"},
    ]


def test_exact_and_drawn_probabilities_agree():
    """For every rank, 200,000 draws come within their error of the integral."""
    beta = {"a": (47.0, 900.0), "b": (8.0, 120.0), "c": (62.0, 1400.0), "d": (5.0, 60.0)}
    exact, drawn = BelievedRates(beta, ranked=True), BelievedRates(beta, ranked=True, draws=200_000)
    for rank in (1, 2, 3, 4):
        true = np.array(exact.distribution({}, CREATIVES, rank))
        seen = np.array(drawn.distribution({}, CREATIVES, rank))
        assert true.sum() == pytest.approx(1, abs=1e-12)
        assert np.all(np.abs(seen - true) < 5 * np.sqrt(true * (1 - true) / 200_000))
    turned = exact.distribution({}, CREATIVES[::-1], 2)
    assert turned[::-1] == exact.distribution({}, CREATIVES, 2)


def test_what_a_file_believes_nothing_about_is_named():
    """An unknown creative and a position that is no rank raise errors with a remedy."""
    target = BelievedRates({"a": (1.0, 2.0)}, ranked=True)
    with pytest.raises(AnalysisError, match="nothing about creative 'b'"):
        target.distribution({}, ("a", "b"), 1)
    for position in (None, 0, 2):
        with pytest.raises(AnalysisError, match="positions from 1 to 1"):
            target.distribution({}, ("a",), position)


def decided_of(situation, size):
    ids = [f"d{number}" for number in range(size)]
    frame = pl.DataFrame({"decision_id": ids, "situation": [0] * size})
    return ids, Decided((situation,), frame)


@pytest.mark.parametrize(("chance", "passes"), [(0.0, False), (1e-6, True)])
def test_a_record_says_what_was_possible(chance, passes):
    """A creative that was eligible with a chance has support though never shown; without, none."""
    known = Situation("uniform", None, 0.0, {}, ("a", "b", "c"), (0.5, 0.5 - chance, chance))
    ids, decided = decided_of(known, 400)
    log = choices_of(
        {
            "creative_id": ["a", "b"] * 200,
            "propensity": [0.5, 0.5 - chance] * 200,
            "clicked": [0, 1] * 200,
            "decision_id": ids,
        }
    )
    log = LoggedChoices(log.frame, by_unit=False, decided=decided)
    target = Fixed({"a": 0.49, "b": 0.49, "c": 0.02})
    found = evaluate(log, target, rng=np.random.default_rng(1), runs=100)
    (support,) = [gate for gate in found.gates if gate.name == "support"]
    assert support.passed is passes
    assert support.value == pytest.approx(0 if passes else 0.02)
