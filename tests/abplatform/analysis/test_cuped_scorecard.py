"""CUPED from the log to the scorecard: own logs or attributes, against the units one by one."""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from abplatform.analysis.scorecard import Question, scope_of
from abplatform.analysis.scorecard.histories import read_history, with_history
from abplatform.analysis.scorecard.moments import read_day_moments
from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import Cuped
from abplatform.domain.metrics import METRICS
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.load import ingest
from abplatform.logs.store.answering import data_version
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.cuped import adjust_rates
from abplatform.stats.fieller import RateEstimate, compare_rates
from abplatform.stats.moments import UnitMoments
from abplatform.workspace import Workspace

CLOCK = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = timedelta(days=14)
USERS = 150
DAYS = 7


@pytest.fixture
def store(tmp_path, start):
    """Return ``store(experiment, events)`` → an open store that has taken the events in."""

    @contextmanager
    def opened(experiment, events):
        workspace = Workspace(tmp_path / "ws", clock=lambda: CLOCK)
        facts = {
            "e": ExperimentFacts.of(
                experiment,
                started_at=start if experiment.assignment == "platform" else None,
            ),
            "older": ExperimentFacts.of(replace(experiment, key="older", assignment="external")),
            "other": ExperimentFacts.of(replace(experiment, key="other", assignment="external")),
        }
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
        ingest(workspace, facts, files=[path])
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            yield warehouse

    return opened


class Log:
    """Wire events, and beside them what each unit did, counted as slowly as can be."""

    def __init__(self, start, seed=1):
        self.start, self.events, self.rng = start, [], np.random.default_rng(seed)
        self.n, self.k = np.zeros((USERS, DAYS), int), np.zeros((USERS, DAYS), int)
        self.before = np.zeros((USERS, 2), int)
        self.treated = self.rng.random(USERS) < 0.5

    def impression(self, user, ts, *, assignments, clicked_after=None, **fields):
        """Add an impression, and a click on it where one follows."""
        number = len(self.events)
        self.events.append(
            {
                "schema": 1,
                "event_type": "impression",
                "event_id": f"i{number}",
                "ts": ts.isoformat(),
                "unit_id": f"u{user}",
                "creative_id": "c1",
                "product_id": "p1",
                "category": "beauty/lip",
                "assignments": assignments,
                "decision_id": f"d{number}",
                **fields,
            }
        )
        if clicked_after is not None:
            # Every other click names the decision and not the impression.
            named = {"impression_id": f"i{number}"} if number % 2 else {"decision_id": f"d{number}"}
            self.events.append(
                {
                    "schema": 1,
                    "event_type": "click",
                    "event_id": f"k{number}",
                    "ts": (ts + clicked_after).isoformat(),
                    **named,
                }
            )

    def mine(self, user):
        """Return the assignment of the experiment that is measured."""
        return [{"experiment": "e", "variant": "generated" if self.treated[user] else "baseline"}]

    def fill(self, attributes=None):
        """Draw users with tastes of their own, before and in the experiment."""
        rng, soon = self.rng, timedelta(minutes=3)
        others = [
            [],
            [{"experiment": "older", "variant": "baseline"}],
            [
                {"experiment": "older", "variant": "generated"},
                {"experiment": "other", "variant": "baseline"},
            ],
        ]
        for user in range(USERS):
            taste, busy = rng.gamma(2, 0.1), rng.gamma(2, 3)
            for _ in range(rng.poisson(busy) if user % 5 else 0):
                ts = self.start - timedelta(minutes=float(rng.uniform(5, 14 * 1440 - 1)))
                clicked = rng.random() < taste
                self.impression(
                    user,
                    ts,
                    assignments=others[int(rng.integers(3))],
                    clicked_after=soon if clicked else None,
                )
                self.before[user] += (int(clicked), 1)
            entry = int(rng.integers(DAYS - 1))
            for number in range(1 + rng.poisson(busy)):
                day = entry if number == 0 else int(rng.integers(entry, DAYS))
                ts = self.start + timedelta(days=day, minutes=float(rng.uniform(1, 1400)))
                clicked = rng.random() < taste * (1.2 if self.treated[user] else 1)
                told = {"attributes": attributes(user, ts)} if attributes else {}
                self.impression(
                    user,
                    ts,
                    assignments=self.mine(user),
                    clicked_after=soon if clicked else None,
                    **told,
                )
                self.n[user, day] += 1
                self.k[user, day] += int(clicked)
        return self

    def tempt(self):
        """Add what must not count as history: each would change a covariate."""
        soon, start = timedelta(minutes=3), self.start
        for user in range(0, USERS, 3):
            self.impression(user, start - WINDOW - timedelta(minutes=1), assignments=[])
            self.impression(user, start - timedelta(hours=2), assignments=self.mine(user))
            self.impression(
                user,
                start - timedelta(minutes=1),
                assignments=[],
                clicked_after=soon,
            )
            self.before[user, 1] += 1  # shown before the start, clicked after it
            self.impression(
                user,
                start - timedelta(hours=50),
                assignments=[],
                clicked_after=timedelta(hours=25),
            )
            self.before[user, 1] += 1  # clicked too late for the attribution window
        return self

    def expected(self, names=("x1", "x2"), until=DAYS):
        """Return θ, the contrast and its raw twin's variance by regression over the units."""
        rates, variance, designs, responses = {}, {}, [], []
        entered = self.n[:, :until].sum(axis=1) > 0
        n, k = self.n[:, :until].sum(axis=1), self.k[:, :until].sum(axis=1)
        x = self.before[:, [("x1", "x2").index(name) for name in names]].astype(float)
        for side in (False, True):
            chosen = entered & (self.treated == side)
            scores = (k - k[chosen].sum() / n[chosen].sum() * n)[chosen] / n[chosen].mean()
            designs.append(x[chosen] - x[chosen].mean(axis=0))
            responses.append(scores)
        theta, *_ = np.linalg.lstsq(np.concatenate(designs), np.concatenate(responses), rcond=None)
        middle = x[entered].mean(axis=0)
        for side, design, scores in zip((False, True), designs, responses, strict=True):
            chosen, size = entered & (self.treated == side), len(scores)
            own = x[chosen].mean(axis=0) - middle
            rates[side] = k[chosen].sum() / n[chosen].sum() - theta @ own
            variance[side] = ((scores - design @ theta) ** 2).sum() / (size * (size - 1))
        result = compare_rates(
            RateEstimate(float(rates[False]), float(variance[False])),
            RateEstimate(float(rates[True]), float(variance[True])),
        )
        return theta, result


def with_cuped(make, **fields):
    experiment = make()
    return replace(experiment, analysis=replace(experiment.analysis, cuped=Cuped(**fields)))


def check(scorecard, theta, expected, *, names):
    (fact,) = scorecard.cuped
    lift = scorecard.lifts[0]
    assert [fact.theta[name] for name in names] == pytest.approx(list(theta), rel=1e-7)
    assert lift.absolute_lift == pytest.approx(expected.absolute_lift, rel=1e-7)
    assert lift.se_absolute == pytest.approx(expected.se_absolute, rel=1e-7)
    assert lift.p_value == pytest.approx(expected.p_value, rel=1e-6)
    assert lift.ci_low == pytest.approx(expected.relative.low, rel=1e-6)
    assert fact.rate_treatment == pytest.approx(expected.rate_treatment, rel=1e-7)
    assert fact.reason is None
    return fact


@pytest.mark.parametrize("tempted", [False, True])
def test_own_logs_before_the_start_adjust_the_primary_metric(store, make, run, start, tempted):
    """θ, lift, p and interval are those of a regression on what each unit did before, only."""
    log = Log(start).fill()
    if tempted:
        log.tempt()
    experiment = with_cuped(make, window=WINDOW)
    with store(experiment, log.events) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    fact = check(scorecard, *log.expected(), names=("clicks", "impressions"))
    assert fact.units_with_history == (log.before[:, 1] > 0).sum()
    assert 0.05 < fact.variance_reduction < 1
    lift = scorecard.lifts[0]
    assert lift.rate_control == lift.k_control / lift.n_control
    assert scorecard.to_json()["cuped"] == [fact.to_json()]
    assert "cuped_adjusted" in {note.code for note in scorecard.warnings}


def test_only_the_overall_primary_metric_is_adjusted(store, make, run, start):
    """Categories and guardrails keep the contrasts that they have without CUPED."""
    log = Log(start).fill()
    plain, adjusted = make(), with_cuped(make, window=WINDOW)
    with store(plain, log.events) as warehouse:
        before = analyze(warehouse, plain, run=run)
        after = analyze(warehouse, adjusted, run=run)
    assert before.cuped == ()
    assert before.lifts[0].p_value != after.lifts[0].p_value
    for one, other in zip(before.lifts[1:], after.lifts[1:], strict=True):
        assert one == replace(other, p_adjusted=one.p_adjusted, significant=one.significant)


def test_an_experiment_assigned_elsewhere_starts_with_its_first_exposure(store, make, run, start):
    """Without a start in the journal, history ends where the experiment's log begins."""
    log = Log(start).fill()
    experiment = replace(with_cuped(make, window=WINDOW), assignment="external")
    with store(experiment, log.events) as warehouse:
        scorecard = analyze(warehouse, experiment, run=replace(run, started_at=None))
    assert scorecard.cuped[0].variance_reduction > 0.05
    assert scorecard.cuped[0].units_with_history == (log.before[:, 1] > 0).sum()


@pytest.mark.parametrize(
    "fields",
    [
        {"numerator": "past_clicks", "denominator": "past_views"},
        {"numerator": "past_clicks"},
        {"denominator": "past_views"},
    ],
)
def test_attributes_of_the_first_exposure_adjust_likewise(store, make, run, start, fields):
    """Attributes count as the unit's first exposure says them, whatever later ones say."""
    log, first = Log(start), {}

    def attributes(user, ts):
        earlier = first.get(user)
        if earlier is None or ts < earlier[0]:
            told = [int(log.rng.integers(9)), float(log.rng.integers(90)) / 8]
            first[user] = (ts, told)
            return {"past_clicks": told[0], "past_views": told[1]}
        return {"past_clicks": 999, "past_views": 999}

    log.fill(attributes)
    log.before = np.array([first[user][1] for user in range(USERS)])
    experiment = with_cuped(make, **fields)
    with store(experiment, log.events) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    columns = {"numerator": "x1", "denominator": "x2"}
    expected = log.expected(names=[columns[side] for side in fields])
    check(scorecard, *expected, names=list(fields.values()))


def test_attributes_that_one_variant_does_not_log_adjust_nothing(store, make, run, start):
    """A service that sends no past for half of the treated units makes no lift of its own."""
    log = Log(start)

    def attributes(user, ts):
        silent = log.treated[user] and user % 4 < 2
        return {} if silent else {"past_views": 5 + user % 7}

    log.fill(attributes)
    plain, experiment = make(), with_cuped(make, denominator="past_views")
    with store(experiment, log.events) as warehouse:
        raw = analyze(warehouse, plain, run=run)
        scorecard = analyze(warehouse, experiment, run=run)
    assert scorecard.lifts == raw.lifts
    assert scorecard.looks == raw.looks
    assert scorecard.cuped[0].reason.startswith("history_differs: 100.0% of baseline, ")


def test_looks_have_the_history_of_the_units_seen_by_then(store, make, run, start):
    """The moments of daily looks carry covariates that equal those of units one by one."""
    log = Log(start).fill()
    experiment = with_cuped(make, window=WINDOW)
    days = [(start + timedelta(days=day)).date() for day in range(DAYS)]
    with store(experiment, log.events) as warehouse:
        scope, metric = scope_of(experiment, Question(), {}), METRICS["ctr"]
        history = read_history(
            warehouse, experiment, run, version=data_version(warehouse), first_at=None
        )
        moments, known = with_history(
            warehouse,
            scope,
            metric,
            moments=read_day_moments(warehouse, scope, metric, days=days),
            history=history,
        )
    entered = np.cumsum(log.n, axis=1) > 0
    for name, side in (("baseline", False), ("generated", True)):
        chosen = log.treated == side
        with_past = (entered & (log.before[:, [1]] > 0))[chosen]
        assert [one[name] for one in known] == with_past.sum(axis=0).tolist()
        first = (np.cumsum(log.n, axis=1) > 0) & (np.cumsum(log.n, axis=1) == log.n)
        totals = {"k": log.k, "n": log.n, "u": first * 1}
        totals |= {x: first * log.before[:, [at]] for at, x in enumerate(("x1", "x2"))}
        slow = UnitMoments.of_units(
            {kind: values[chosen].tolist() for kind, values in totals.items()},
            places=[day.isoformat() for day in days],
        )
        slow = slow.cumulated(moments[name].counts)
        assert (moments[name].sums == slow.sums).all()
        assert (moments[name].products == slow.products).all()
    for day in range(1, DAYS):
        theta, expected = log.expected(until=day + 1)
        found = adjust_rates(moments, covariates=history.covariates, place=day)
        assert list(found.theta.values()) == pytest.approx(list(theta), rel=1e-7)
        assert float(found.rates["generated"].value) == pytest.approx(
            expected.rate_treatment, rel=1e-7
        )


@pytest.mark.parametrize("fields", [{"window": timedelta(hours=1)}, {"numerator": "nowhere"}])
def test_without_history_the_raw_contrast_stands(store, make, run, start, fields):
    """Where nobody has a past, nothing is adjusted, and the reason is said."""
    log = Log(start).fill()
    plain, experiment = make(), with_cuped(make, **fields)
    with store(plain, log.events) as warehouse:
        raw = analyze(warehouse, plain, run=run)
        scorecard = analyze(warehouse, experiment, run=run)
    assert scorecard.lifts == raw.lifts
    assert scorecard.cuped[0].reason.startswith("few_units_with_history")
    assert scorecard.cuped[0].theta == {}
    assert "cuped_reduced" in {note.code for note in scorecard.warnings}


def test_requests_have_no_past(show, draw, make, run):
    """With requests as units, nothing is adjusted, and the reason is said."""
    experiment = replace(with_cuped(make, numerator="past"), unit="request_id")
    with show(draw()) as warehouse:
        scorecard = analyze(warehouse, experiment, run=run)
    assert scorecard.cuped[0].reason.startswith("request_has_no_past")
