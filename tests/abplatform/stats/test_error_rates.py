"""The gate: the studies behind docs/error-rates.md, at counts that every change can afford.

Each band is the stated one, widened by 3.3 Monte-Carlo standard errors of this many runs. The seeds
are those of tests/error_rates/seeds.py and are never changed to make a bound hold.
`make error-rates` runs the full counts and renews the page.
"""

import math
import sys
from importlib import import_module
from pathlib import Path

import pytest

STUDIES = Path(__file__).resolve().parents[2] / "error_rates"
PAGE = STUDIES.parents[1] / "docs" / "error-rates.md"
sys.path.append(str(STUDIES))

RUNS = 1000


def study(name):
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


def room(one, runs):
    """How far an aim may be missed with this many runs.

    Args:
        one: What was measured.
        runs: On how many it rests.
    """
    if one.unit != "share":
        return 3.3 * (one.se or 0.0)
    end = one.high if one.high is not None else one.low
    near = 0.03 <= min(end, 1 - end) <= 0.08
    return 3.3 * math.sqrt((0.0475 if near else end * (1 - end)) / runs)


def misses(tables):
    """Return every number that lies beyond its aim, widened."""
    return [
        f"{table.title}: {', '.join(row.labels)}: {name} is {one.value:.4f} in {row.runs} runs"
        for table in tables
        for row in table.rows
        for name, one in zip(table.measures, row.measured, strict=True)
        if one.gated and not one.holds(widened=room(one, row.runs))
    ]


def aims(tables):
    """Return how many numbers are held to an aim."""
    return sum(one.gated for table in tables for row in table.rows for one in row.measured)


@pytest.mark.slow
@pytest.mark.parametrize("users", [300, 2_000, 10_000])
def test_every_metric_keeps_its_false_positives_and_coverage(users):
    """A/A experiments of ten metrics reject as often as stated, and intervals hold the truth."""
    tables = study("ratio_study:measure_ratios")(RUNS, users=(users,))
    assert aims(tables) >= 10
    assert misses(tables) == []


def test_impression_level_tests_would_mislead():
    """Counting impressions as independent rejects equal variants far more often than stated."""
    tables = study("ratio_study:measure_ratios")(RUNS // 5, users=(2_000,))
    naive = {row.labels[0]: row.measured[-1].value for row in tables[0].rows}
    assert naive["ctr"] > 0.08
    assert naive["coverage"] > 0.25


def test_cuped_keeps_the_error_rate():
    """Adjusted by pre-period totals, equal variants differ as often as stated."""
    tables = study("options_study:measure_cuped")(RUNS, users=(500,))
    assert misses(tables) == []


@pytest.mark.slow
@pytest.mark.parametrize("entry", ["one day", "uniform entry", "light early, heavy late"])
def test_fourteen_daily_looks_keep_the_error_rate(entry):
    """However users come and however wrong the plan, daily looks cost no more than 5 %."""
    tables = study("looks_study:measure_looks_14")(RUNS, entries=(entry,))
    assert aims(tables) == 12
    assert misses(tables) == []


@pytest.mark.slow
def test_twenty_eight_daily_looks_keep_the_error_rate():
    """Four weeks of daily looks at users who come back cost no more than 5 %."""
    tables = study("looks_study:measure_looks_28")(RUNS, entries=("all from day 0",))
    assert misses(tables) == []


def test_a_sound_split_is_rarely_called_broken_and_a_broken_one_is():
    """The e-value of the split fires in one of 1,000 sound experiments and in most broken ones."""
    tables = study("split_study:measure_split")(RUNS)
    assert aims(tables) >= 10
    assert misses(tables) == []


@pytest.mark.slow
def test_discoveries_among_categories_are_rarely_false():
    """With one category of 80 %, named categories are false at most 6 % of the time, any day."""
    study_of = study("discovery_study:measure_discoveries")
    tables = study_of(RUNS, worlds=("one of 80 %, no effects",))
    assert aims(tables) == 3
    assert misses(tables) == []


@pytest.mark.slow
def test_equal_lifts_are_rarely_called_different():
    """The joint Wald test rejects 8 categories of equal lift at most 7 % of the time."""
    tables = study("category_study:measure_heterogeneity")(RUNS, worlds=((1000, 0.0),))
    assert misses(tables) == []


def test_several_treatments_are_judged_together():
    """Dunnett's test names a winner among five equal treatments 5 % of the time."""
    tables = study("families_study:measure_treatments")(RUNS, allocations=((1,) * 6,))
    assert misses(tables) == []


@pytest.mark.slow
def test_guardrails_rarely_report_harm_that_is_not_there():
    """A guardrail watched daily reports harm in at most 25 of 1,000 harmless experiments."""
    tables = study("families_study:measure_guardrails")(RUNS, numbers=(1,), lifts=(0.0,))
    assert misses(tables) == []


def test_claims_of_no_harm_and_no_difference_keep_their_error():
    """At the edge of the margin “not worse” and “no difference” are said 5 % of the time."""
    tables = study("families_study:measure_equivalence")(RUNS, edges=(-1,))
    assert misses(tables) == []


def test_corrected_winners_hold_the_truth():
    """Among significant results the corrected interval holds the truth 95 times in 100."""
    assert misses(study("families_study:measure_curse")(RUNS)) == []


@pytest.mark.slow
def test_pairs_point_the_wrong_way_no_more_often_than_they_say():
    """Of the pairs that say 95 %, at most 5 % are wrong, with 50 products to learn from."""
    tables = study("pairs_study:measure_pairs")(60, worlds=("50 products, τ = 0.1",))
    assert aims(tables) == 3
    assert misses(tables) == []


def test_the_page_is_what_the_kept_results_give():
    """docs/error-rates.md is rendered from tests/error_rates/kept, to the letter."""
    results, missing = study("page:kept_results")()
    assert PAGE.read_text() == study("page:render")(results, missing)


def test_every_study_has_a_kept_result():
    """No study is listed without having been run at its full count, real data apart."""
    kept = {result.study: result.runs for result in study("page:kept_results")()[0]}
    listed = {one.name: one.runs for one in import_module("studies").STUDIES}
    assert {name: runs for name, runs in listed.items() if name not in {"asos", "upworthy"}} == {
        name: runs for name, runs in kept.items() if name not in {"asos", "upworthy"}
    }


def a_result(sources):
    """A small result, as a study gives it."""
    tallies = import_module("tallies")
    measured = (tallies.share([True, False, False, False], high=0.5), tallies.Measured(None))
    row = tallies.Row(("ctr",), measured, 4)
    table = tallies.Table("Title", ("metric",), ("false positives", "other"), (row,), "Meaning.")
    return import_module("kept").Result(
        "small", 4, "2026-11-22", 1.5, {"numpy": "2"}, sources, (table,)
    )


def test_a_kept_result_comes_back_as_it_was(tmp_path):
    """What is kept is read again to the last digit that is printed."""
    kept = import_module("kept")
    result = a_result({})
    kept.write(result, tmp_path)
    back = kept.read("small", tmp_path)
    assert study("page:render")([back]) == study("page:render")([result])
    assert "| ctr | 25.00 ± 21.65 % | - | 4 | PASS |" in study("page:render")([back])
    assert kept.read("other", tmp_path) is None


def test_only_what_a_file_does_makes_a_result_stale(tmp_path, monkeypatch):
    """A comment or another sentence leaves a result as it is; another number makes it stale."""
    kept = import_module("kept")
    monkeypatch.setattr(kept, "REPOSITORY", tmp_path)
    source = tmp_path / "statistic.py"
    prose = "A sentence for people that is longer than the names of streams."
    source.write_text(f'"""{prose}"""\nLEVEL = 0.05\n')
    result = a_result({"statistic.py": kept._digest(source)})
    assert not result.stale
    source.write_text(f'"""{prose} More."""\n\n# Why this level\nLEVEL = 0.05\n')
    assert not result.stale
    source.write_text(f'"""{prose}"""\nLEVEL = 0.06\n')
    assert result.stale


def test_a_number_beyond_its_aim_fails():
    """A line fails as soon as one of its numbers lies beyond its aim, slack included."""
    measured = import_module("tallies").Measured
    assert measured(0.051, 0.002, high=0.05).holds() is False
    assert measured(0.051, 0.002, high=0.05, slack=3).holds()
    assert measured(0.058, 0.002, high=0.05, slack=3).holds() is False
    assert measured(0.039, 0.002, low=0.04, high=0.058).holds() is False
    assert measured(0.039, 0.002, low=0.04, high=0.058).holds(widened=0.002)
    assert measured(None, None, low=0.04).holds() is False
