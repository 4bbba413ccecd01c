"""Sums over units are the same from rows, from stored totals, and in any number of parts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from abplatform.analysis.scorecard import Question
from abplatform.analysis.scorecard.creatives import compare_creatives, read_creatives
from abplatform.analysis.scorecard.measure import measure_units
from abplatform.analysis.scorecard.moments import read_day_moments, read_level_moments
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.survey import read_survey
from abplatform.analysis.scorecard.totals import read_totals
from abplatform.analysis.scorecard.units import PART_ROWS, parts_for
from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import Breakdown, Guardrail
from abplatform.domain.metrics import METRICS
from abplatform.logs.totals import refresh_totals

CATEGORY = Breakdown(by="category", level=1)
SOME = [METRICS[name] for name in ("ctr", "cvr", "rpm")]


@pytest.fixture
def rows(draw):
    """Return rows of a week, with a bot and a unit in two variants among them."""
    rows = draw(users=150)
    for row in rows:
        row["bot"] = row["unit_id"] == "u7"
        if row["product_id"] == "p3":
            row["category"] = "beauty/skin"
        row["net_value_micros"] = 10_000_000_000 * row["conversions"]
        if row["unit_id"] == "u9":
            row |= {"mixed": True, "variant": "baseline"}
    return rows


def keep_totals(warehouse):
    warehouse.execute("load/set_meta", name="exposures", value="as put there")
    refresh_totals(warehouse)


def test_parts_add_up_to_the_whole(show, make, rows):
    """Read in five parts, totals and moments are those of one reading."""
    with show(rows) as warehouse:
        one, five = Scope(make()), Scope(make(), parts=5)
        for cut in (None, CATEGORY, Breakdown(by="country")):
            assert read_totals(warehouse, five, SOME, cut) == read_totals(warehouse, one, SOME, cut)
        assert read_creatives(warehouse, five) == read_creatives(warehouse, one)
        whole, added = (compare_creatives(warehouse, scope).products for scope in (one, five))
        assert [product.sums for product in added] == [product.sums for product in whole]
        assert all((a.win == b.win).all() for a, b in zip(added, whole, strict=True))
        days = sorted({row["ts"].date() for row in rows})
        for metric in SOME:
            for read in (
                lambda scope, metric=metric: read_day_moments(warehouse, scope, metric, days=days),
                lambda scope, metric=metric: read_level_moments(warehouse, scope, metric, CATEGORY),
            ):
                for name, whole in read(one).items():
                    added = read(five)[name]
                    assert (added.sums == whole.sums).all()
                    assert (added.products == whole.products).all()
                    assert added.counts == whole.counts


def test_a_scorecard_of_stored_totals_is_that_of_rows(show, make, rows, run):
    """Every number and sentence is the same, whether or not categories share a level."""
    cuts = (CATEGORY, Breakdown(by="category", level=2), Breakdown(by="country"))
    experiment = make(guardrails=(Guardrail("cvr"),), breakdowns=cuts)
    with show(rows) as warehouse:
        of_rows = analyze(warehouse, experiment, run=run).to_json()
        keep_totals(warehouse)
        stored = analyze(warehouse, experiment, run=run).to_json()
    assert stored == of_rows


def test_stored_totals_are_read_where_they_hold_what_counts(show, make, rows):
    """They answer for everything up to now, and for final rows once all are final; never else."""
    with show(rows) as warehouse:
        bare = Scope(make())
        survey = read_survey(warehouse, bare)
        scope = replace(bare, stored=survey.stored)
        keep_totals(warehouse)
        # What is stored is made to differ from the rows, to see which of the two is read.
        warehouse._connection.execute("DELETE FROM unit_category_totals")
        for final in (False, True):
            found = read_totals(warehouse, replace(scope, final=final), SOME[:1], CATEGORY)
            assert not found.slices
        last = max(row["ts"] for row in rows)
        for other in (
            bare,
            replace(scope, until=last),
            replace(scope, flagged_until=last),
            replace(scope, excluded_sources=("web",)),
            replace(scope, final=True, known=last),
            replace(scope, experiment=make(unit="request_id")),
        ):
            assert read_totals(warehouse, other, SOME[:1], CATEGORY).slices
        assert read_totals(warehouse, scope, SOME[:1], Breakdown(by="country")).slices
        assert read_totals(warehouse, scope, [METRICS["match_rate"]], CATEGORY).slices


def test_conversions_wait_for_their_windows(show, make, rows):
    """Totals hold more than the final rows of a metric whose conversions may still come."""
    with show(rows) as warehouse:
        scope = Scope(make(), final=True)
        scope = replace(scope, stored=read_survey(warehouse, scope).stored)
        known = scope.stored.last_final_at + timedelta(days=1)
        assert scope.is_stored(METRICS["cvr"])
        assert replace(scope, known=known).is_stored(METRICS["ctr"])
        assert not replace(scope, known=known).is_stored(METRICS["cvr"])


def test_questions_about_the_past_read_rows(show, make, rows, run, start):
    """A scorecard as of an earlier moment never rests on totals of now."""
    with show(rows) as warehouse:
        asked = Question(as_of=start + timedelta(days=3))
        options = {
            "run": run,
            "question": asked,
            "version": "v",
            "lineage": {},
            "zone": start.tzinfo,
        }
        before = measure_units(warehouse, make(), **options)
        keep_totals(warehouse)
        warehouse._connection.execute("DELETE FROM unit_category_totals")
        assert measure_units(warehouse, make(), **options) == before


def test_many_rows_are_read_in_parts():
    """Memory follows the rows of a part, not those of the experiment."""
    assert parts_for(0) == parts_for(PART_ROWS) == 1
    assert parts_for(PART_ROWS + 1) == 2
    assert parts_for(100_000_000) == 13
