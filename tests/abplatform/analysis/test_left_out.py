"""What scorecards leave out, counted cause by cause, from the log to the warning."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abplatform.analysis.scorecard import Question, Run, scope_of
from abplatform.analysis.scorecard.left_out import CAUSES, read_excluded
from abplatform.analysis.scorecard.survey import read_survey
from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import EventWindows
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.load import ingest
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

NOON = datetime(2026, 9, 2, 12, tzinfo=UTC)

flags = st.fixed_dictionaries(
    {
        "unit_id": st.sampled_from(["u1", "u2", "u3", "u4"]),
        "variant": st.sampled_from(["baseline", "generated"]),
        "reason": st.sampled_from(["assigned", "assigned", "forced", "fallback", "holdout"]),
        "outside_phase": st.booleans(),
        "mixed": st.booleans(),
        "bot": st.booleans(),
        "source": st.sampled_from(["app", "web"]),
        "impressions": st.sampled_from([0, 1, 1]),
    }
)


def cause_of(row, *, bots):
    """Name the first cause that applies, in plain Python."""
    if row["source"] == "web":
        return "excluded_source"
    if row["outside_phase"]:
        return "outside_phase"
    if row["reason"] != "assigned":
        return row["reason"]
    if row["mixed"]:
        return "mixed_units"
    return "bots" if row["bot"] and not bots else None


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(flags, min_size=1, max_size=20), bots=st.booleans())
def test_every_exposure_counts_or_has_one_cause(show, make, rows, bots):
    """The causes and what counts add up to the log, as plain Python counts them."""
    windows = EventWindows(bots="include" if bots else "exclude")
    experiment = make(events=windows)
    with show([dict(row) for row in rows]) as warehouse:
        scope = scope_of(experiment, Question(), {}, excluded_sources=("web",))
        excluded = read_excluded(warehouse, scope)
        counted = read_survey(warehouse, scope).row["rows_counted"] or 0
    for cause in CAUSES:
        mine = [row for row in rows if cause_of(row, bots=bots) == cause]
        told = excluded[cause]
        assert told.exposures == len(mine)
        assert told.impressions == sum(row["impressions"] for row in mine)
        assert told.units == len({row["unit_id"] for row in mine})
    assert counted == sum(cause_of(row, bots=bots) is None for row in rows)
    assert counted + sum(one.exposures or 0 for one in excluded.values()) == len(rows)


@pytest.fixture
def world(tmp_path):
    """A log with everything in it: three layers, a held unit, forced, fallback, holdout, a bot."""
    begin = datetime(2026, 9, 1, tzinfo=UTC)
    workspace = Workspace(tmp_path / "ws", clock=lambda: begin + timedelta(days=60))
    halves = {"baseline": 50.0, "generated": 50.0}
    running = ((begin, begin + timedelta(days=7)),)
    keys = ("one", "two", "three")
    facts = {key: ExperimentFacts(key, halves, "baseline", running=running) for key in keys}
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in log(keys)), encoding="utf-8")
    ingest(workspace, facts, files=[path])
    return workspace, Run(now=begin + timedelta(days=60), started_at=begin)


def exposed(name, unit, keys, *, variant="generated", hours=0, **fields):
    return {
        "schema": 1,
        "event_type": "impression",
        "event_id": name,
        "ts": (NOON + timedelta(hours=hours)).isoformat(),
        "unit_id": unit,
        "assignments": [{"experiment": key, "variant": variant} for key in keys],
        "creative_id": "c1",
        "product_id": "p1",
        "category": "beauty/lip",
        **fields,
    }


def log(keys):
    yield exposed("i1", "u1", keys)
    yield {
        "schema": 1,
        "event_type": "click",
        "event_id": "k1",
        "impression_id": "i1",
        "ts": (NOON + timedelta(minutes=1)).isoformat(),
    }
    yield exposed("i2", "u2", keys[:1], variant="baseline")
    held = exposed("d1", "u3", keys[:1], decision_id="d1", action="hold", reason="cap")
    yield {**held, "event_type": "decision"}
    yield exposed("i3", "u4", keys[:1], reason="forced")
    yield exposed("i4", "u4", keys[:1], reason="forced", hours=1)
    yield exposed("i5", "u5", keys[:1], variant="baseline", reason="fallback")
    yield exposed("i6", "u6", keys[:1], variant="baseline", reason="holdout")
    yield exposed("i7", "u7", keys[:1], user_agent="Googlebot/2.1")
    yield exposed("i8", "u8", keys[:1])
    yield exposed("i9", "u8", keys[:1], variant="baseline", hours=1)
    yield exposed("i10", "u9", keys[:1], hours=24 * 20)


def test_from_log_to_scorecard_each_cause_is_counted(world, make):
    """Each event of the log ends in the scorecard or under one cause with its units."""
    workspace, run = world
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        card = analyze(warehouse, make(key="one"), run=run)
    told = {cause: (one.units, one.impressions) for cause, one in card.excluded.items()}
    assert told == {
        "bots": (1, 1),
        "mixed_units": (1, 2),
        "forced": (1, 2),
        "fallback": (1, 1),
        "holdout": (1, 1),
        "earlier_weights": (0, 0),
        "outside_phase": (1, 1),
        "excluded_source": (0, 0),
    }
    lift = card.lifts[0]
    assert (lift.n_control, lift.n_treatment, lift.k_treatment) == (1, 1, 1)
    # The held unit is a unit of its variant, with zero impressions.
    assert (lift.units_control, lift.units_treatment) == (1, 2)
    sentences = {note.code: note.message for note in card.warnings}
    assert sentences["forced"] == (
        "2 exposures that were forced, of 1 unit, are left out of the scorecard"
    )
    # Units in two variants, and bots, arrive all the same.
    assert sum(card.srm.observed.values()) == 5


def test_an_impression_in_three_layers_counts_once_in_each(world, make):
    """One impression with one click counts once in each experiment and once in the total."""
    workspace, run = world
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        for key in ("two", "three"):
            lift = analyze(warehouse, make(key=key), run=run).lifts[0]
            assert (lift.n_treatment, lift.k_treatment) == (1, 1)
        total = "SELECT count(*) FROM impressions WHERE ordinal = 0"
        assert warehouse._connection.sql(total).fetchall() == [(10,)]


def test_scorecards_with_and_without_bots_stand_side_by_side(world, make):
    """Bots are flagged, never dropped: one row has them, one does not, whatever the YAML says."""
    workspace, run = world
    for said, note in (("exclude", "are left out"), ("include", "are kept in")):
        experiment = make(key="one", events=EventWindows(bots=said))
        with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
            card = analyze(warehouse, experiment, run=run)
        rows = {
            lift.level: lift.n_treatment
            for lift in card.lifts
            if lift.breakdown == "bots" and lift.metric == "ctr"
        }
        assert rows == {"included": 2, "excluded": 1}
        assert card.lifts[0].n_treatment == rows["included" if said == "include" else "excluded"]
        messages = [one.message for one in card.warnings if one.code == "bots"]
        assert len(messages) == 1
        assert note.split()[-1] in messages[0]


def test_unknown_categories_are_warned_of(world, make, tmp_path):
    """A category that nobody knows is named in a warning and stands under unknown."""
    workspace, run = world
    workspace.catalog.mkdir(parents=True)
    (workspace.catalog / "categories.yaml").write_text("version: 1\nknown: [beauty/skin]\n")
    halves = {"baseline": 50.0, "generated": 50.0}
    ingest(workspace, {"one": ExperimentFacts("one", halves, "baseline", assignment="external")})
    with workspace.lock("test"), Warehouse.open(workspace) as warehouse:
        card = analyze(warehouse, make(key="one", assignment="external"), run=run)
    (told,) = [note.message for note in card.warnings if note.code == "unknown_category"]
    assert "of categories that nobody knows (beauty/lip) count under unknown/…" in told
