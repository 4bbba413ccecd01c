"""Numbers as people read them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.number_words import (
    MINUS,
    MISSING,
    age,
    count,
    interval,
    lift,
    moment,
    p_value,
    plain,
    rate,
)


@pytest.mark.parametrize("words", [count, rate, lift, p_value])
def test_a_missing_number_says_why(words):
    """A null is shown as missing with its reason, and never as a number."""
    shown = words(None, why="no_traffic: no unit has been seen yet")
    assert (shown.text, shown.why) == (MISSING, "no unit has been seen yet")
    assert words(None).why == "not computed"


def test_an_open_interval_is_not_a_missing_one():
    """An interval with one end is open on the other; with none it is missing and says why."""
    assert interval(-0.01, 0.042).text == f"{MINUS}1.0% … +4.2%"
    assert interval(0.01, None).text == "+1.0% … +∞"
    assert interval(None, 0.01).text == f"{MINUS}∞ … +1.0%"
    assert interval(None, None, "no_clicks").why == "no clicks"


@pytest.mark.parametrize(
    ("value", "log10", "text"),
    [
        (1.0, 0.0, "1.000"),
        (0.04999, None, "0.050"),
        (0.0004, None, "0.0004"),
        (4.1e-6, -5.387, "4.1·10⁻⁶"),
        (0.0, -412.3, "5.0·10⁻⁴¹³"),
        (0.0, None, "<0.0001"),
    ],
)
def test_p_values_stay_readable_down_to_underflow(value, log10, text):
    """A p-value keeps its size in words even where it is too small for a float."""
    assert p_value(value, log10).text == text


@given(st.floats(1e-300, 1))
def test_a_shown_p_value_is_the_p_value(value):
    """What is shown is the p-value to two digits, whatever its size."""
    text = p_value(value).text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    mantissa, _, exponent = text.partition("·10")
    shown = float(mantissa) * 10.0 ** int(exponent or 0)
    assert shown == pytest.approx(
        value, rel=0.06, abs=0 if exponent else 5.1e-4 if value >= 0.001 else 5.1e-5
    )


def test_moments_are_told_in_the_workspace_zone():
    """A moment is written in the workspace's time zone, an age in its largest unit."""
    at = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    assert moment(at, ZoneInfo("Asia/Shanghai")) == "1 Dec 2026, 07:30"
    assert age(timedelta(days=1, hours=5)) == "1 day"
    assert age(timedelta(hours=5)) == "5 hours"
    assert age(timedelta(seconds=-5)) == "0 minutes"


def test_stable_words_become_plain_ones():
    """A code reads as words, and an explanation after it wins over the code."""
    assert plain("no_difference") == "no difference"
    assert plain("no_traffic: nobody came") == "nobody came"
    assert plain("Lift at 12: fine") == "Lift at 12: fine"
