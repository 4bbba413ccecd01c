"""Lifts as rows of the forest plot and the tables."""

import pytest

from dashboards.lift_rows import category_rows, forest_rows, other_metric_rows


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
    lifts = [row(), row(category="a\n\nb", breakdown="category", level="a\n\nb", ci_high=None)]
    whole, part = forest_rows(category_rows(lifts, direction="increase", rulings={}), units="users")
    assert (whole.estimate, whole.low, whole.high) == tuple(
        row()[name] for name in ("relative_lift", "ci_low", "ci_high")
    )
    assert (whole.strong, part.strong, part.high) == (True, False, None)
    assert part.label == "a b"
    assert whole.note == "173,400 users"
