"""Creatives under a policy that learns: compared within strata, beside an untouched A/B lift."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from abplatform.analysis.scorecard import compare_creatives
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.verdict import analyze

SHARES = (0.1, 0.5, 0.9)
"""Of the treatment's traffic, what its second creative gets day by day."""


@pytest.fixture
def learning(start):
    """Three days on which clicks triple while the treatment moves to one of two equal creatives."""
    rng = np.random.default_rng(5)
    rows = []
    for unit in range(6000):
        day = unit % 3
        treated = unit % 2 == 1
        second = rng.random() < (SHARES[day] if treated else 0.5)
        rows.append(
            {
                "variant": "generated" if treated else "baseline",
                "unit_id": f"u{unit}",
                "ts": start + timedelta(days=day, seconds=unit),
                "creative_id": f"{'g' if treated else 'b'}{int(second)}",
                "clicked": int(rng.random() < (0.05, 0.1, 0.3)[day]),
                "stratum": f"s{day}" if treated else "even",
                "explored": bool(treated and rng.random() < 0.3),
            }
        )
    return rows


def without_strata(rows):
    """The same rows of a log that tells no strata."""
    return [{**row, "stratum": None} for row in rows]


def win_of(warehouse, experiment, first, second):
    """p_win of one creative over another."""
    (product,) = compare_creatives(warehouse, Scope(experiment)).products
    one, two = (product.creatives.index(name) for name in (first, second))
    return product, float(product.win[one, two])


def test_equal_creatives_stay_equal_where_a_policy_moved_traffic(show, make, learning):
    """Pooled, the creative of the good days wins for sure; within strata nothing is concluded."""
    with show(learning) as warehouse:
        product, within = win_of(warehouse, make(), "g1", "g0")
    with show(without_strata(learning)) as warehouse:
        _, pooled = win_of(warehouse, make(), "g1", "g0")
    assert pooled > 0.999
    assert 0.05 < within < 0.95
    assert product.strata == 6
    first, second = product.creatives.index("g1"), product.creatives.index("g0")
    assert np.isfinite(product.explored_win[first, second])
    assert np.isnan(product.explored_win[first, product.creatives.index("b0")])


@pytest.mark.parametrize("choose", ["contextual", "uniform"])
def test_an_audience_that_a_policy_chose_is_compared_with_itself_alone(show, make, start, choose):
    """Where a policy shows a product to those who click, its creatives don't beat other variants'.

    All creatives are equal. The treatment answers its clicking half with the lamp and the others
    with the vase; the control does so by halves.
    """
    rng, rows = np.random.default_rng(6), []
    for unit in range(12_000):
        treated, clicking = unit % 2, int(rng.random() < 0.5)
        lamp = rng.random() < ((0.1, 0.9)[clicking] if treated else 0.5)
        rows.append(
            {
                "variant": "generated" if treated else "baseline",
                "unit_id": f"u{unit}",
                "ts": start + timedelta(seconds=unit),
                "product_id": "lamp" if lamp else "vase",
                "creative_id": f"{unit % 2}{lamp:d}{unit // 2 % 2}",
                "clicked": int(rng.random() < (0.05, 0.2)[clicking]),
                "stratum": f"s{clicking}" if treated else "even",
            }
        )
    experiment = make()
    experiment = replace(
        experiment,
        variants=tuple(
            one if one.control else replace(one, policy=replace(one.policy, choose=choose))
            for one in experiment.variants
        ),
    )
    with show(rows) as warehouse:
        lamp, vase = compare_creatives(warehouse, Scope(experiment)).products
    assert (lamp.product_id, vase.product_id) == ("lamp", "vase")
    for product in (lamp, vase):
        ours = [product.creatives.index(name) for name in product.creatives if name[0] == "1"]
        theirs = [product.creatives.index(name) for name in product.creatives if name[0] == "0"]
        across = product.win[np.ix_(ours, theirs)]
        if choose == "uniform":  # such strata come of what was asked for, as the control's do
            assert (np.abs(across - 0.5) > 0.45).all()
        else:
            assert (np.abs(across - 0.5) < 0.4).all()  # nobody is sure
        assert 0.01 < product.win[ours[0], ours[1]] < 0.99


def test_the_lift_between_variants_does_not_know_strata(show, make, learning, run):
    """What a policy does inside a variant leaves the comparison by assignment as it is."""
    told = []
    for rows in (learning, without_strata(learning)):
        with show(rows) as warehouse:
            told.append(analyze(warehouse, make(), run=run))
    assert told[0].lifts == told[1].lifts
    assert told[0].srm == told[1].srm


def test_one_stratum_changes_no_number(show, make, draw):
    """A uniform policy's creatives have the p_win of the plain recipe, to the last bit."""
    rows = draw(users=300)
    with show(rows) as warehouse:
        plain = compare_creatives(warehouse, Scope(make()))
    with show([{**row, "stratum": row["variant"]} for row in rows]) as warehouse:
        told = compare_creatives(warehouse, Scope(make()))
        parts = compare_creatives(warehouse, replace(Scope(make()), parts=3))
    for one, other, third in zip(plain.products, told.products, parts.products, strict=True):
        assert one.strata == other.strata == 1
        assert np.array_equal(one.win, other.win)
        assert np.array_equal(one.win, third.win)


def test_strata_are_those_of_all_parts_of_the_units(show, make, learning):
    """Read part by part, the same creatives are compared within the same strata."""
    with show(learning) as warehouse:
        whole = compare_creatives(warehouse, Scope(make())).products
        parts = compare_creatives(warehouse, Scope(make(), parts=4)).products
    assert [one.strata for one in parts] == [6]
    assert parts[0].win == pytest.approx(whole[0].win, abs=1e-12)
