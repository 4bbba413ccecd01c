"""Pre-aggregated reports: each impression stands alone, and thousands are measured at once."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from abplatform.analysis.pairs import preference_pairs, preference_pairs_many, week_of
from abplatform.analysis.scorecard import Question, Run
from abplatform.analysis.scorecard.notes import report_sources
from abplatform.analysis.verdict import analyze, analyze_many
from abplatform.domain.experiment import Analysis, Experiment, Guardrail, PrimaryMetric, Variant
from abplatform.logs.facts import to_micros
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.ratio import RatioSums, contrast

NOW = datetime(2026, 11, 1, tzinfo=UTC)
RUN = Run(now=NOW)
NO_FLAGS = {"bot_at": pl.Datetime("us"), "mixed_at": pl.Datetime("us")}


def reports(rows):
    filled = [
        {
            "experiment": "e",
            "category": "news/health",
            "product_id": "p",
            "creative_id": row["variant"],
            "day": date(2026, 9, 1),
            "conversions": 0,
            "value_micros": 0,
            "cost_micros": 0,
            "source": "ads",
            **row,
        }
        for row in rows
    ]
    return pl.DataFrame(filled)


@pytest.fixture
def show():
    from contextlib import contextmanager

    @contextmanager
    def opened(rows):
        with (
            Warehouse.in_memory() as warehouse,
            warehouse.instead_of("aggregates_current", reports(rows)),
        ):
            yield warehouse

    return opened


def past_test(key="e", count=2, **changes):
    facts = {
        "key": key,
        "variants": tuple(Variant(f"v{i + 1}", 100 / count, control=i == 0) for i in range(count)),
        "primary": PrimaryMetric("ctr"),
        "assignment": "external",
    }
    return Experiment(**{**facts, **changes})


TWO = [
    {"variant": "v1", "impressions": 3000, "clicks": 60},
    {"variant": "v2", "impressions": 3050, "clicks": 110},
]


def test_each_impression_is_a_unit(show):
    """Counts, units, p and interval are those of independent trials, and a warning says so."""
    with show(TWO) as warehouse:
        scorecard = analyze(warehouse, past_test(), run=RUN)
    expected = contrast(
        RatioSums.independent(3000, 60), RatioSums.independent(3050, 110), share=True
    )
    lift = scorecard.lifts[0]
    assert (lift.units_control, lift.n_control, lift.k_control) == (3000, 3000, 60)
    assert lift.p_value == pytest.approx(expected.p_value, rel=1e-12)
    assert lift.ci_low == pytest.approx(expected.relative.low, rel=1e-12)
    codes = {note.code for note in scorecard.warnings}
    assert "variance_assumes_independent_impressions" in codes


def swinging_days(key="e", days=8):
    """Reports whose rates swing from day to day far more than chance would."""
    return [
        {
            "experiment": key,
            "variant": variant,
            "creative_id": variant,
            "day": date(2026, 9, 1) + timedelta(days=day),
            "impressions": 4000,
            "clicks": clicks + (60 if day % 2 else -60),
        }
        for variant, clicks in (("v1", 200), ("v2", 230))
        for day in range(days)
    ]


def test_days_that_swing_widen_the_variance(show):
    """From ten degrees of freedom on, Pearson's φ of the day rows multiplies every variance."""
    with show(swinging_days()) as warehouse:
        scorecard = analyze(warehouse, past_test(), run=RUN)
        pairs = preference_pairs(warehouse, past_test(), week="2026-W36")
    statistic, df = 0.0, 0
    for clicks in (200, 230):
        rate = clicks / 4000
        statistic += 8 * 60**2 / (4000 * rate * (1 - rate))
        df += 7
    sums = [RatioSums.independent(32_000, clicks * 8) for clicks in (200, 230)]
    expected = contrast(*sums, share=True, inflation=(statistic / df, statistic / df))
    lift = scorecard.lifts[0]
    assert lift.p_value == pytest.approx(expected.p_value, rel=1e-9)
    assert (lift.ci_low, lift.design_effect) == pytest.approx(
        (expected.relative.low, statistic / df), rel=1e-4
    )
    codes = {note.code for note in scorecard.warnings}
    assert "variance_from_day_rows" in codes
    assert "variance_assumes_independent_impressions" not in codes
    assert pairs["warning"].to_list() == [None]
    with show([{**row, "day": date(2026, 9, 1)} for row in swinging_days()]) as warehouse:
        naive = preference_pairs(warehouse, past_test(), week="2026-W36")
    assert 0.5 < pairs["p_win"].item() < naive["p_win"].item()


def test_the_workspace_lends_its_design_effect(show, draw, frame_of):
    """With a day alone, the design effect of the workspace's own unit rows stands in."""
    own = [
        {**row, "experiment": "own", "event_id": None}
        for row in draw(users=400, rate=0.3)
        for _ in range(3)
    ]
    with show(TWO) as warehouse, warehouse.instead_of("exposures", frame_of(own)):
        scorecard = analyze(warehouse, past_test(), run=RUN)
    lift = scorecard.lifts[0]
    assert lift.design_effect > 2
    (note,) = [one for one in scorecard.warnings if one.code.startswith("variance_")]
    assert note.code == "variance_from_design_effect"
    naive = contrast(RatioSums.independent(3000, 60), RatioSums.independent(3050, 110), share=True)
    assert lift.p_value > naive.p_value


def test_verdicts_and_pairs_say_where_independence_is_assumed(show):
    """Where nothing tells how units vary, the verdict's reasons and the pairs carry the warning."""
    code = "variance_assumes_independent_impressions"
    with show(TWO) as warehouse:
        scorecard = analyze(warehouse, past_test(), run=RUN)
        pairs = preference_pairs(warehouse, past_test(), week="2026-W36")
    assert code in scorecard.decision.reasons[0]
    assert code in scorecard.decision.by_category[0]["reason"]
    assert pairs["warning"].to_list() == [code]


def test_reports_are_tested_as_fixed_whatever_the_plan(show):
    """Under the default plan, a report's proven winner is significant and shipped."""
    with show(TWO) as warehouse:
        scorecard = analyze(warehouse, past_test(analysis=Analysis(test="sequential")), run=RUN)
    assert scorecard.lifts[0].significant
    assert scorecard.decision.verdict == "ship"
    assert scorecard.srm.observed == {"v1": 3000, "v2": 3050}
    assert (scorecard.srm.verdict, scorecard.srm.e_value) == ("ok", None)


def test_a_broken_split_of_impressions_is_invalid(show):
    """Impressions far from the weights ring the alarm."""
    rows = [TWO[0], {**TWO[1], "impressions": 4000}]
    with show(rows) as warehouse:
        assert analyze(warehouse, past_test(), run=RUN).decision.verdict == "invalid"


def test_days_after_as_of_are_left_out(show):
    """A day counts once it has ended before the moment asked for."""
    later = [{**row, "day": date(2026, 9, 2), "clicks": row["clicks"] + 7} for row in TWO]
    with show(TWO + later) as warehouse:
        both = analyze(warehouse, past_test(), run=RUN)
        first = analyze(
            warehouse,
            past_test(),
            run=RUN,
            question=Question(as_of=datetime(2026, 9, 2, 12, tzinfo=UTC)),
        )
    assert both.lifts[0].k_control == 60 + 67
    assert first.lifts[0].k_control == 60


@pytest.mark.parametrize(
    ("metric", "code"),
    [("rpm", "no_unit_rows"), ("match_rate", "no_unit_rows"), ("cvr", "few_conversions")],
)
def test_what_reports_cannot_tell_says_why(show, metric, code):
    """Money has no variance without unit rows; few conversions are few."""
    with show(TWO) as warehouse:
        scorecard = analyze(warehouse, past_test(guardrails=(Guardrail(metric, min=0.1),)), run=RUN)
    lift = next(lift for lift in scorecard.lifts if lift.metric == metric)
    assert lift.undetermined.startswith(code)
    assert lift.p_value is None


def test_impossible_counts_are_no_result(show):
    """More conversions than clicks cannot each be one of a click: undetermined, not a number."""
    rows = [{**row, "conversions": 500} for row in TWO]
    with show(rows) as warehouse:
        scorecard = analyze(warehouse, past_test(primary=PrimaryMetric("cvr")), run=RUN)
    assert scorecard.lifts[0].undetermined.startswith("not_a_share")


def test_a_platform_experiment_waits_for_its_look(show):
    """Reports of an experiment that the platform runs decide at max_runtime, not before."""
    experiment = past_test(assignment="platform")
    with show(TWO) as warehouse:
        start = datetime(2026, 9, 1, tzinfo=UTC)
        early = Run(now=start + timedelta(days=3), started_at=start)
        late = Run(now=start + timedelta(days=40), started_at=start)
        assert analyze(warehouse, experiment, run=early).decision.verdict == "continue"
        assert analyze(warehouse, experiment, run=late).decision.verdict == "ship"


def reported_days(first, last, *, clicks):
    """Both variants' reports of the days from one to another after 1 September."""
    return [
        {
            "variant": variant,
            "impressions": 3000,
            "clicks": count,
            "day": date(2026, 9, 1) + timedelta(days=number),
        }
        for number in range(first, last)
        for variant, count in clicks.items()
    ]


def test_reports_after_the_look_change_no_decision(show):
    """Reports of days after max_runtime update the estimate, never significance or verdict."""
    experiment = past_test(
        assignment="platform", analysis=Analysis(test="fixed", max_runtime=timedelta(days=7))
    )
    run = Run(now=NOW, started_at=datetime(2026, 9, 1, tzinfo=UTC))
    before = reported_days(0, 7, clicks={"v1": 60, "v2": 61})
    after = reported_days(7, 30, clicks={"v1": 60, "v2": 110})
    with show(before) as warehouse:
        early = analyze(warehouse, experiment, run=run)
    with show(before + after) as warehouse:
        late = analyze(warehouse, experiment, run=run)
        (among_many,) = analyze_many(warehouse, {"e": experiment}, runs=lambda _: run)
    assert early.lifts[0].p_value > 0.05
    assert late.lifts[0].p_value < 1e-9
    assert late.lifts[0].p_adjusted == early.lifts[0].p_adjusted
    assert not late.lifts[0].significant
    assert (late.decision.verdict, late.facts) == (early.decision.verdict, early.facts)
    assert "after_the_decision" in {note.code for note in late.warnings}
    assert "after_the_decision" not in {note.code for note in early.warnings}
    assert among_many == late


def test_reports_of_other_days_than_it_ran_are_left_out_and_counted(show):
    """What a network reports of days before the start or after the stop changes no number."""
    plan = Analysis(test="fixed", max_runtime=timedelta(days=7))
    experiment = past_test(assignment="platform", analysis=plan)
    start = datetime(2026, 9, 1, 15, tzinfo=UTC)
    run = Run(now=NOW, started_at=start, ended_at=start + timedelta(days=9))
    ran = reported_days(0, 10, clicks={"v1": 60, "v2": 61})
    strays = reported_days(-20, 0, clicks={"v1": 60, "v2": 110})
    strays += reported_days(10, 12, clicks={"v1": 60, "v2": 110})
    with show(ran) as warehouse:
        clean = analyze(warehouse, experiment, run=run)
    with show(ran + strays) as warehouse:
        dirty = analyze(warehouse, experiment, run=run)
    (note,) = [note for note in dirty.warnings if note.code == "outside_phase"]
    assert note.message.startswith(f"{22 * 6000:,} reported impressions")
    kept = tuple(one for one in dirty.warnings if one is not note)
    assert dirty.excluded["outside_phase"].impressions == 22 * 6000
    assert replace(dirty, warnings=kept, excluded=clean.excluded) == clean


def test_pairs_rest_on_days_in_which_it_ran(show):
    """Reports of days before the start or after the stop teach nothing."""
    experiment = past_test(assignment="platform", analysis=Analysis(test="fixed"))
    start = datetime(2026, 9, 1, 15, tzinfo=UTC)
    run = Run(now=NOW, started_at=start, ended_at=start + timedelta(days=9))
    ran = reported_days(0, 10, clicks={"v1": 60, "v2": 61})
    strays = reported_days(-20, 0, clicks={"v1": 60, "v2": 110})
    with show(ran) as warehouse:
        clean = preference_pairs(warehouse, experiment, week="2026-W36", run=run)
    with show(ran + strays) as warehouse:
        dirty = preference_pairs(warehouse, experiment, week="2026-W36", run=run)
        many = preference_pairs_many(
            warehouse, {"e": experiment}, week_of=lambda _: "2026-W36", runs={"e": run}
        )
        everything = preference_pairs(warehouse, experiment, week="2026-W36")
    assert dirty.equals(clean)
    assert many.equals(clean)
    assert everything["impressions_chosen"].item() > clean["impressions_chosen"].item()


def test_reports_of_an_excluded_source_do_not_count(show):
    """A network that a person has excluded changes neither lifts nor pairs."""
    strays = [{**row, "source": "double", "clicks": 900} for row in TWO]
    run = replace(RUN, excluded_sources=("double",))
    with show(TWO) as warehouse:
        clean = analyze(warehouse, past_test(), run=RUN)
        taught = preference_pairs(warehouse, past_test(), week="2026-W36")
    with show(TWO + strays) as warehouse:
        dirty = analyze(warehouse, past_test(), run=run)
        (among_many,) = analyze_many(warehouse, {"e": past_test()}, runs=lambda _: run)
        pairs = preference_pairs(warehouse, past_test(), week="2026-W36", run=run)
    assert (dirty.lifts, dirty.srm) == (clean.lifts, clean.srm)
    assert among_many == dirty
    assert dirty.excluded_sources == ("double",)
    assert "changed_after_the_fact" in {note.code for note in dirty.warnings}
    assert pairs.equals(taught)


def test_reports_wait_for_the_watermark_of_their_sources(show):
    """What a source has not reported yet cannot decide, however late the clock is."""
    experiment = past_test(
        assignment="platform", analysis=Analysis(test="fixed", max_runtime=timedelta(days=7))
    )
    rows = reported_days(0, 7, clicks={"v1": 60, "v2": 110})
    start = datetime(2026, 9, 1, tzinfo=UTC)
    verdicts, taught = [], []
    for days in (10.9, 11):
        moment = start + timedelta(days=days)
        mark = pl.DataFrame({"source": ["ads"], "watermark_micros": [to_micros(moment)]})
        with show(rows) as warehouse:
            warehouse._connection.register("marks", mark)
            warehouse._connection.execute("INSERT INTO sources SELECT * FROM marks")
            scorecard = analyze(warehouse, experiment, run=Run(now=NOW, started_at=start))
            pairs = preference_pairs(warehouse, experiment, week="2026-W36")
        verdicts.append(scorecard.decision.verdict)
        taught.append(pairs["impressions_chosen"].item())
    assert verdicts == ["continue", "ship"]
    assert taught == [6 * 3000, 7 * 3000]


def test_reports_are_final_as_late_as_other_rows(show):
    """Networks correct a day's counts: the last day decides once it is final, not at midnight."""
    experiment = past_test(
        assignment="platform", analysis=Analysis(test="fixed", max_runtime=timedelta(days=7))
    )
    rows = reported_days(0, 7, clicks={"v1": 60, "v2": 110})
    start = datetime(2026, 9, 1, tzinfo=UTC)
    verdicts = []
    for days in (10.9, 11):
        now = start + timedelta(days=days)
        with show(rows) as warehouse:
            scorecard = analyze(warehouse, experiment, run=Run(now=now, started_at=start))
        verdicts.append((scorecard.status, scorecard.decision.verdict))
    assert verdicts == [("provisional", "continue"), ("final", "ship")]


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Shanghai"])
def test_a_reported_monday_belongs_to_its_own_week(show, zone):
    """A day is the workspace's day: its week does not depend on where UTC's midnight is."""
    with show([{**row, "day": date(2026, 11, 9)} for row in TWO]) as warehouse:
        scorecard = analyze(warehouse, past_test(), run=RUN, zone=ZoneInfo(zone))
    assert week_of(scorecard, ZoneInfo(zone)) == "2026-W46"
    assert scorecard.first_at.date() == date(2026, 11, 9)


def test_many_at_once_equal_one_by_one(show):
    """Measuring many experiments in one pass gives each the scorecard it has alone."""
    rows, experiments = [], {}
    for number in range(30):
        key = f"t{number}"
        count = 2 + number % 4
        experiments[key] = past_test(key, count)
        rows += [
            {
                "experiment": key,
                "variant": f"v{i + 1}",
                "impressions": 3000 + (number * i) % 50,
                "clicks": 20 + (7 * number + 13 * i) % 60,
                "creative_id": f"{key}-{i}",
                "product_id": key,
            }
            for i in range(count)
        ]
    done = []
    with show(rows) as warehouse:
        many = list(
            analyze_many(
                warehouse,
                experiments,
                runs=lambda _: RUN,
                advance=lambda now, total: done.append((now, total)),
            )
        )
        alone = [analyze(warehouse, experiment, run=RUN) for experiment in experiments.values()]
        pairs = preference_pairs_many(
            warehouse, experiments, week_of=lambda _: "2026-W36", skip=["t3"]
        )
        single = preference_pairs(warehouse, experiments["t5"], week="2026-W36")
    assert many == alone
    assert done[-1] == (30, 30)
    assert pairs.filter(experiment="t5").equals(single)
    assert pairs.filter(experiment="t3").is_empty()


def test_reports_beside_unit_rows_are_ignored_and_named(show):
    """Where unit rows exist they count, and the reports are named as ignored."""
    moment = datetime(2026, 9, 1)  # noqa: DTZ001 - the view holds UTC without a zone
    row = {
        **dict.fromkeys(("creative_id", "product_id", "category", "segment", "country"), "x"),
        **dict.fromkeys(("channel", "source", "unit_id", "event_id"), "x"),
        **dict.fromkeys(("conversions", "net_value_micros", "cost_micros", "score_micros"), 0),
        **dict.fromkeys(("impressions", "clicked", "shown", "decisions", "feedbacks"), 1),
        **dict.fromkeys(("bot", "outside_phase", "mixed", "explored"), False),
        **dict.fromkeys(("bot_at", "mixed_at"), None),
        "stratum": "x",
        **dict.fromkeys(("ts", "final_at", "source_watermark"), moment),
        "day": moment.date(),
        "unit_slice": 1,
        "experiment": "e",
        "variant": "v1",
        "reason": "assigned",
    }
    with (
        show(TWO) as warehouse,
        warehouse.instead_of("exposures", pl.DataFrame([row], schema_overrides=NO_FLAGS)),
    ):
        scorecard = analyze(warehouse, past_test(), run=RUN)
    assert scorecard.lifts[0].n_control == 1
    assert "aggregates_ignored" in {note.code for note in scorecard.warnings}


def test_among_many_a_silent_source_is_told_of(show):
    """The warning is that of the experiment alone, and only where the silent source is read."""
    experiments = {"e": past_test(), "x": past_test("x")}
    with show(TWO) as warehouse:
        (source,) = set(report_sources(warehouse, ["e"])["e"])
        run = replace(RUN, silent_sources={source: "nothing has come", "other": "nothing"})
        one, unseen = analyze_many(warehouse, experiments, runs=lambda _: run)
        alone = analyze(warehouse, experiments["e"], run=run)
    assert one.warnings == alone.warnings
    told = [note.message for note in one.warnings if note.code == "source_silent"]
    assert told == ["nothing has come"]
    assert "source_silent" not in {note.code for note in unseen.warnings}


def test_an_experiment_without_reports_has_no_traffic(show):
    """Among many, one that was never seen says so."""
    with show(TWO) as warehouse:
        (scorecard,) = analyze_many(warehouse, {"x": past_test("x")}, runs=lambda _: RUN)
    assert scorecard.decision.verdict == "continue"
    assert "no_traffic" in {note.code for note in scorecard.warnings}
