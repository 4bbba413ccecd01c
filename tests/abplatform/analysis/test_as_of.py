"""Scorecards of a moment: what had happened by then, whatever has come in since."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from abplatform.analysis.scorecard import Question, Run, Scorecard
from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import Guardrail
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.load import ingest
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

CLOCK = datetime(2026, 11, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def store(tmp_path, start):
    """Return ``store(experiment, *logs)`` → an open store with each log of wire events taken in."""

    @contextmanager
    def opened(experiment, *logs):
        workspace = Workspace(tmp_path / "ws", clock=lambda: CLOCK)
        facts = {"e": ExperimentFacts.of(experiment, started_at=start)}
        for number, log in enumerate(logs):
            path = tmp_path / f"log{number}.jsonl"
            path.write_text("".join(json.dumps(event) + "\n" for event in log))
            ingest(workspace, facts, files=[path])
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            yield warehouse

    return opened


def impression(event_id, ts, **fields):
    names = {"experiment": "e", "variant": "generated", "unit_id": "u1"}
    names |= {"creative_id": "c1", "product_id": "p1", "category": "beauty/lip"}
    return wire("impression", event_id, ts, **{**names, **fields})


def wire(event_type, event_id, ts, **fields):
    event = {"schema": 1, "event_type": event_type, "event_id": event_id, "ts": ts.isoformat()}
    return event | fields


def as_log(rows):
    """Rows of exposures as the events that they came from: a click follows within a second."""
    names = ("variant", "unit_id", "creative_id", "product_id", "category")
    for number, row in enumerate(rows):
        yield impression(f"i{number}", row["ts"], **{name: row[name] for name in names})
        if row["clicked"]:
            yield wire("click", f"k{number}", row["ts"] + SECOND, impression_id=f"i{number}")


def counts(scorecard: Scorecard, metric: str) -> tuple[int, int]:
    lift = next(lift for lift in scorecard.lifts if lift.metric == metric)
    return lift.n_treatment, lift.k_treatment


def test_every_event_counts_from_its_own_time_on(store, make, run, start):
    """Impression 10:00, click 12:00, conversion 13:00, seen at 11:00, 12:30 and 14:00."""
    hour = timedelta(hours=1)
    experiment = make(guardrails=(Guardrail("cvr"),))
    paid = {"kind": "purchase", "value_micros": 5, "currency": "USD", "impression_id": "i"}
    late = wire("conversion", "v", start + 13 * hour, **paid)
    log = [
        impression("i", start + 10 * hour),
        wire("click", "k", start + 12 * hour, impression_id="i"),
    ]
    expected = {9: (0, 0, 0), 11: (1, 0, 0), 12.5: (1, 1, 0), 14: (1, 1, 1)}
    with store(experiment, log, [late]) as warehouse:
        versions = warehouse.query("load/segments")["data_version"].to_list()
        for version, converted in ((None, 1), (versions[1], 1), (versions[0], 0)):
            for hours, (shown, clicked, bought) in expected.items():
                question = Question(as_of=start + hours * hour, data_version=version)
                scorecard = analyze(warehouse, experiment, run=run, question=question)
                assert scorecard.data_version == (version or versions[-1])
                assert counts(scorecard, "ctr") == (shown, clicked)
                assert counts(scorecard, "cvr") == (clicked, bought * converted)
                assert scorecard.srm.observed == {"baseline": 0, "generated": shown}


def test_a_moment_counts_what_had_happened(store, make, draw, run, start):
    """Later rows and clicks are unknown then, and the look has not come."""
    rows, moment = draw(), start + timedelta(days=3)
    with store(make(), as_log(rows)) as warehouse:
        scorecard = analyze(warehouse, make(), run=run, question=Question(as_of=moment))
        everything = analyze(warehouse, make(), run=run)
    treated = [row for row in rows if row["variant"] == "generated"]
    shown = [row for row in treated if row["ts"] <= moment]
    clicked = [row for row in shown if row["clicked"] and row["ts"] + SECOND <= moment]
    assert counts(scorecard, "ctr") == (len(shown), len(clicked))
    assert counts(everything, "ctr")[0] == len(treated)
    assert scorecard.status == "provisional"
    assert scorecard.decision.verdict == "continue"
    assert all(lift.p_adjusted is None and not lift.significant for lift in scorecard.lifts)


def test_assigned_elsewhere_is_judged_on_the_last_day(store, make, draw, run, start):
    """An external experiment needs no start; its log's end, or the moment, is the decision look."""
    external = make(assignment="external")
    question = Question(as_of=start + timedelta(days=6, hours=1))
    with store(external, as_log(draw(lift=1.0))) as warehouse:
        scorecard = analyze(warehouse, external, run=Run(now=run.now))
        early = analyze(warehouse, external, run=Run(now=run.now), question=question)
    assert scorecard.decision.verdict == "ship"
    assert early.lifts[0].p_adjusted is not None


def test_a_later_flag_changes_no_look(store, make, draw, run, start):
    """Who turns out to be a bot, or is seen in a second variant, counted until that moment."""
    rows = sorted(draw(lift=1.0), key=lambda row: row["ts"])
    burst, other = list(dict.fromkeys(row["unit_id"] for row in rows))[:2]
    later = start + timedelta(days=9)
    owner = next(row["variant"] for row in rows if row["unit_id"] == other)
    second = [impression(f"b{n}", later, unit_id=burst) for n in range(61)]
    wrong = {"baseline": "generated", "generated": "baseline"}[owner]
    second.append(impression("m", later, unit_id=other, variant=wrong))
    with store(make(), as_log(rows), second) as warehouse:
        versions = warehouse.query("load/segments")["data_version"].to_list()
        before, after = (
            analyze(warehouse, make(), run=run, question=Question(data_version=version))
            for version in (versions[0], None)
        )
    assert {"bots", "mixed_units"} <= {note.code for note in after.warnings}
    assert after.looks == before.looks
    assert after.facts == before.facts
    assert after.facts


def test_a_moment_of_an_empty_store_is_no_error(store, make, run, start):
    """Before anything was logged there is no traffic at any moment."""
    with store(make()) as warehouse:
        scorecard = analyze(warehouse, make(), run=run, question=Question(as_of=start))
    assert scorecard.units == 0
