"""A glance by bucket sums: the same counts, nearly the same uncertainty, never a verdict."""

import json
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from abplatform.analysis.scorecard.monitor import glance
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.totals import read_totals
from abplatform.domain.assignment import unit_slices
from abplatform.domain.experiment import Guardrail
from abplatform.domain.metrics import METRICS
from abplatform.logs.totals import refresh_totals
from abplatform.stats.ratio import contrast

UTC = ZoneInfo("UTC")
CTR = [METRICS["ctr"]]


def refresh(warehouse):
    warehouse.execute("load/set_meta", name="exposures", value="as put there")
    refresh_totals(warehouse)


def test_a_glance_counts_what_the_scorecard_counts(show, make, draw, run):
    """Impressions and clicks are exact, bots are left out, and there is no verdict."""
    rows = draw(users=200)
    for row in rows:
        row["bot"] = row["unit_id"] in {"u3", "u4"}
    experiment = make(guardrails=(Guardrail("cvr"), Guardrail("match_rate")))
    with show(rows) as warehouse:
        refresh(warehouse)
        seen = glance(warehouse, experiment, run, zone=UTC)
    people = [row for row in rows if not row["bot"] and row["variant"] == "generated"]
    overall = seen.lifts[0]
    assert (overall.metric, overall.category) == ("ctr", None)
    assert overall.n_treatment == len(people)
    assert overall.k_treatment == sum(row["clicked"] for row in people)
    by_category = {one.category: one.n_treatment for one in seen.lifts if one.category}
    assert by_category == {
        top: sum(row["category"].startswith(top) for row in people)
        for top in ("beauty", "food", "home")
    }
    assert [one.metric for one in seen.lifts if one.category is None] == ["ctr", "cvr"]
    data = json.loads(json.dumps(seen.to_json(), allow_nan=False))
    assert data["approximate"] is True
    assert "verdict" not in data
    assert not {"p_value", "units_control"} & set(data["lifts"][0])


def test_standard_errors_of_slices_are_those_of_units_to_a_few_percent(frame_of, show, make):
    """With far more units than slices, the standard error is the exact one to 3 %."""
    rng = np.random.default_rng(5)
    units = np.repeat(np.arange(30_000), rng.poisson(1.5, 30_000) + 1)
    taste = rng.lognormal(-1.5, 1.0, 30_000)[units]
    ids = pl.Series(units).cast(pl.String)
    frame = frame_of(
        [{"variant": "baseline", "unit_id": "u", "clicked": 0}] * len(units)
    ).with_columns(
        unit_id=ids,
        unit_slice=pl.Series(unit_slices(ids)).cast(pl.Int64),
        variant=pl.when(pl.Series(units % 2 == 0))
        .then(pl.lit("baseline"))
        .otherwise(pl.lit("generated")),
        clicked=pl.Series((rng.random(len(units)) < np.minimum(taste, 1)).astype(np.int64)),
    )
    with show(frame) as warehouse:
        refresh(warehouse)
        exact, near = (
            read_totals(warehouse, Scope(make(), approximate=approximate), CTR, None)
            for approximate in (False, True)
        )
    errors = []
    for totals in (exact, near):
        sides = [totals.at("", name, "ctr").sums for name in ("baseline", "generated")]
        errors.append(contrast(*sides, share=True).se_absolute)
        assert sum(side.n for side in sides) == len(units)
    assert errors[1] == pytest.approx(errors[0], rel=0.03)
