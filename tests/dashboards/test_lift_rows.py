"""Lifts as rows of the forest plot and the tables."""

import pytest

from dashboards.lift_rows import category_rows, forest_rows, other_metric_rows, p_shown


@pytest.fixture
def row(published):
    """Return a function that changes the published overall lift."""
    base = published.table("lifts").filter(metric="ctr", k_control=5321).row(0, named=True)
    return lambda **changes: base | changes


@pytest.mark.parametrize(
    ("change", "significant", "direction", "tone"),
    [
        (0.01, True, "increase", "better"),
        (-0.01, True, "increase", "worse"),
        (0.01, True, "decrease", "worse"),
        (-0.01, True, "decrease", "better"),
        (0.01, False, "increase", "open"),
        (None, False, "increase", "missing"),
    ],
)
def test_the_tone_follows_what_is_better(row, change, significant, direction, tone):
    """A proven change is better or worse by the metric's direction; others are open or missing."""
    lift = row(absolute_lift=change, significant=significant)
    assert category_rows([lift], direction=direction, rulings={})[0].tone == tone


def test_other_metrics_have_a_direction_of_their_own(row):
    """A lower cost per conversion is better, whatever the primary metric wants."""
    cost = row(metric="cpa", absolute_lift=-2.0, rate_control=12.5, significant=True)
    shown = other_metric_rows([cost], primary="ctr")[0]
    assert shown.tone == "better"
    assert shown.cells["baseline"].text == "12.5"


def test_the_plot_gets_the_numbers_untouched(row):
    """The forest plot draws the published lift and interval, open ends included."""
    lifts = [row(), row(category="a\n\nb", breakdown="category", level="a\n\nb", high_shown=None)]
    whole, part = forest_rows(category_rows(lifts, direction="increase", rulings={}), units="users")
    assert (whole.estimate, whole.low, whole.high) == tuple(
        row()[name] for name in ("relative_lift", "low_shown", "high_shown")
    )
    assert (whole.strong, part.strong, part.high) == (True, False, None)
    assert part.label == "a b"
    assert whole.note == "173,400 users"


def test_a_sequential_p_above_its_range_is_not_called_one(row):
    """A p-value that is only searched for below 0.6 says so; an adjusted one of 1 is 1."""
    assert p_shown(row(p_adjusted=None, p_shown=1.0)).text == "> 0.6"
    assert p_shown(row(p_adjusted=1.0, p_shown=1.0)).text == "1.000"


def test_the_plans_own_interval_is_what_is_shown(row):
    """Where looks decide, plot and table show the interval that allows for them."""
    (whole,) = category_rows(
        [row(low_shown=-0.2, high_shown=0.4)], direction="increase", rulings={}
    )
    assert (whole.low, whole.high) == (-0.2, 0.4)
    assert whole.cells["Interval"].text.startswith("\N{MINUS SIGN}20")
