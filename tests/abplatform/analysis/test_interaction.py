"""Experiments of different layers that share units."""

import json
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from abplatform.analysis.interaction import find_interactions, find_neighbours, with_interactions
from abplatform.analysis.scorecard import Question, scope_of
from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import Layer, State, Variant
from abplatform.stats.ratio import RatioSums
from abplatform.stats.ratio_of_ratios import CELLS, ratio_of_ratios
from abplatform.traffic.registry import RegisteredExperiment


def draw_two(seed, start, *, users=900, interaction=0.0, rate=0.06):
    """Rows of experiment e (feed) and of experiment f (layout), in which most units are too."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        treated, other = rng.random() < 0.5, rng.random() < 0.5
        met = rng.random() < 0.9
        log = 0.1 * treated + 0.1 * (other and met) + interaction * (treated and other and met)
        chance = rate * rng.lognormal(-0.1, 0.4) * np.exp(log)
        for number in range(rng.poisson(6) + 1):
            row = {
                "experiment": "e",
                "variant": "generated" if treated else "baseline",
                "unit_id": f"u{user}",
                "ts": start + timedelta(hours=int(rng.integers(160))),
                "clicked": int(rng.random() < chance),
            }
            rows.append(row)
            if met and number % 2 == 0:
                rows.append(row | {"experiment": "f", "variant": "b" if other else "a"})
    return rows


@pytest.fixture
def other(make):
    return make(
        key="f",
        variants=(Variant("a", 50, control=True), Variant("b", 50)),
        layer=Layer("layout"),
    )


def registered(experiment, *, start, days=(0, 7), state=State.RUNNING):
    begin, end = days
    return RegisteredExperiment(
        experiment=experiment,
        state=state,
        started_at=start + timedelta(days=begin),
        ended_at=None if end is None else start + timedelta(days=end),
        phases=(),
        spec_sha256="",
    )


def slow_cells(rows):
    """The four cells in plain Python: e's rows from a unit's first row in f on."""
    met, variant = {}, {}
    for row in rows:
        if row["experiment"] == "f":
            unit = row["unit_id"]
            met[unit] = min(met.get(unit, row["ts"]), row["ts"])
            variant[unit] = "treatment" if row["variant"] == "b" else "control"
    units = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for row in rows:
        unit = row["unit_id"]
        if row["experiment"] == "e" and unit in met and row["ts"] >= met[unit]:
            mine = "treatment" if row["variant"] == "generated" else "control"
            units[f"{mine}/{variant[unit]}"][unit][0] += 1
            units[f"{mine}/{variant[unit]}"][unit][1] += row["clicked"]
    return {
        cell: RatioSums.of_units(
            [n for n, _ in units[cell].values()], [k for _, k in units[cell].values()]
        )
        for cell in CELLS
    }


def test_the_cells_are_what_plain_python_counts(show, make, other, start):
    """Rows count from the moment a unit met the other experiment, and numbers follow."""
    rows = draw_two(1, start)
    expected = slow_cells(rows)
    with show(rows) as warehouse:
        (row,) = find_interactions(warehouse, scope_of(make(), Question(), {}), [other])
    assert row.units == {cell: sums.units for cell, sums in expected.items()}
    test = ratio_of_ratios(expected, share=True)
    assert row.relative == pytest.approx(test.relative, rel=1e-12)
    assert row.p_value == pytest.approx(test.p_value, rel=1e-12)
    assert row.p_adjusted == row.p_value


def test_a_planted_interaction_warns(show, make, other, start, run):
    """The scorecard gets the row and a warning that names both treatments; JSON holds both."""
    known = {"f": registered(other, start=start)}
    with show(draw_two(2, start, users=1500, interaction=0.9)) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
        found = with_interactions(scorecard, warehouse, make(), known=known)
    assert not scorecard.interactions
    (row,) = found.interactions
    assert row.significant
    assert row.relative > 0.3
    (note,) = [note for note in found.warnings if note.code == "interaction"]
    assert "beside b of f" in note.message
    data = found.to_json()["interactions"]
    json.dumps(data, allow_nan=False)
    assert data[0]["units"].keys() == set(CELLS)


def test_lifts_that_multiply_do_not_warn(show, make, other, start, run):
    """Two lifts that simply multiply are shown without a warning."""
    known = {"f": registered(other, start=start)}
    with show(draw_two(3, start)) as warehouse:
        scorecard = analyze(warehouse, make(), run=run)
        found = with_interactions(scorecard, warehouse, make(), known=known)
    assert found.interactions[0].p_value is not None
    assert "interaction" not in {note.code for note in found.warnings}


def test_too_few_clicks_are_undetermined(show, make, other, start):
    """A cell with fewer than 5 units with a click has no test, and says which cell."""
    with show(draw_two(4, start, users=60, rate=0.02)) as warehouse:
        (row,) = find_interactions(warehouse, scope_of(make(), Question(), {}), [other])
    assert row.p_value is None
    assert row.undetermined.startswith("few_clicks: ")
    assert not row.significant


def test_who_may_meet(make, other, start):
    """Only experiments of another layer, the same unit and an overlapping time are asked."""
    mine = make(layer=Layer("feed"))
    now = start + timedelta(days=30)

    def meets(experiment, **run):
        known = {"e": registered(mine, start=start)}
        known["f"] = registered(experiment, start=start, **run)
        return [one.key for one in find_neighbours(mine, known, now=now)] == ["f"]

    assert meets(other)
    assert meets(other, days=(6.9, None))
    assert not meets(other, days=(7, None))
    assert not meets(other, days=(-7, 0))
    assert not meets(replace(other, layer=Layer("feed")))
    assert not meets(replace(other, unit="product_id"))
    assert meets(replace(other, assignment="external"))


def test_an_experiment_without_shared_units_has_no_row(show, make, other, start):
    """Units that never meet give no row at all."""
    rows = [row for row in draw_two(5, start, users=200) if row["experiment"] == "e"]
    with show(rows) as warehouse:
        assert find_interactions(warehouse, scope_of(make(), Question(), {}), [other]) == ()
