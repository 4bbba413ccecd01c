"""Scorecards of experiments that come as pre-aggregated reports, thousands in a few queries.

Reports have no unit rows. Each impression counts as a unit, with the variance that days or the
workspace's own units show; SRM compares impressions with the weights; the test is the fixed one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.calendar import (
    find_special_days,
    note_calendar,
    note_part_week,
)
from abplatform.analysis.scorecard.comparisons import listed_metrics
from abplatform.analysis.scorecard.creatives import (
    compare_aggregate_creatives,
    compare_with_control,
)
from abplatform.analysis.scorecard.families import decide_families
from abplatform.analysis.scorecard.harm import watch_guardrails
from abplatform.analysis.scorecard.lifts import Compared, carry_over, compare_levels
from abplatform.analysis.scorecard.looks import Question, Run, find_fixed_look
from abplatform.analysis.scorecard.notes import (
    note_fixed,
    note_harm,
    note_later,
    note_no_traffic,
    note_outside,
    note_samples,
)
from abplatform.analysis.scorecard.pairwise import compare_treatments
from abplatform.analysis.scorecard.posterior import believe_lifts
from abplatform.analysis.scorecard.record import (
    CreativeComparison,
    Scorecard,
    SrmCheck,
    TreatmentFacts,
    Warned,
)
from abplatform.analysis.scorecard.reports import Reports, ReportViews, note_dispersion
from abplatform.analysis.scorecard.rulings import gather_facts
from abplatform.analysis.scorecard.shrunken import shrink_reports
from abplatform.analysis.scorecard.special_views import CalendarView
from abplatform.analysis.scorecard.split import note_split
from abplatform.analysis.scorecard.totals import ReportRow, read_aggregates
from abplatform.analysis.scorecard.winners import correct_winners
from abplatform.domain.experiment import Experiment
from abplatform.stats.ratio import Undetermined
from abplatform.stats.srm import chi_square

__all__ = ["measure_aggregates"]


def measure_aggregates(
    experiment: Experiment,
    reports: ReportViews,
    *,
    run: Run,
    question: Question,
    version: str,
    zone: ZoneInfo,
) -> Scorecard:
    """Measure an experiment that has pre-aggregated reports, or nothing at all.

    Args:
        experiment: As its YAML says.
        reports: The newest reports.
        run: How it ran.
        question: What the reader wants to know.
        version: The store's ``data_version``.
        zone: Where a workspace day ends.
    """
    rows, ruling = (
        found.totals.get(experiment.key, ()) for found in (reports.running, reports.ruling)
    )
    key, as_of = experiment.key, question.as_of or run.now
    known_until = min(as_of, reports.asked.watermarks.get(key, as_of)) if rows else None
    look = find_fixed_look(experiment, run, known_until=known_until, zone=zone)
    shown, bayes = believe_lifts(
        experiment, list(_compare(experiment, rows, reports.running.inflations(key)))
    )
    strata = shrink_reports(experiment, shown)
    harmed = watch_guardrails(experiment, shown, provisional=not look.reached)
    later = _shown(ruling) < _shown(rows)
    judged = shown
    if later:
        judged = list(_compare(experiment, ruling, reports.ruling.inflations(key)))
    judged = decide_families(experiment, judged) if look.reached else judged
    impressions = _impressions(experiment, rows)
    srm = _check_split(experiment, impressions)
    first_at = _start_of(min(row["first_day"] for row in rows), zone) if rows else None
    last_at = _start_of(max(row["last_day"] for row in rows), zone) if rows else None
    days = find_special_days(run, first=first_at, last=last_at, zone=zone)
    calendar = CalendarView(days) if days else None
    return Scorecard(
        experiment=experiment.key,
        as_of=as_of,
        data_version=version,
        status="final" if look.reached else "provisional",
        units=sum(impressions.values()),
        srm=srm,
        lifts=carry_over(strata.compared, judged),
        warnings=(
            *_note_variance(experiment, reports.running),
            *note_no_traffic(experiment, (name for name, n in impressions.items() if not n)),
            *note_fixed(look, reasons=strata.reasons),
            *note_outside(_shown(reports.asked.totals.get(experiment.key, ())) - _shown(rows)),
            *(note_later() if look.reached and later else ()),
            *note_samples(shown),
            *note_split(srm, run),
            *note_harm(harmed),
            *strata.warnings,
            *note_calendar(calendar, run),
            *note_part_week(experiment, run, zone),
        ),
        look=look,
        calendar=calendar,
        facts=_cautious(gather_facts(experiment, judged), reports.ruling, experiment)
        if look.reached
        else (),
        creatives=_compare_creatives(experiment, reports.running),
        first_at=first_at,
        last_at=last_at,
        bayes=bayes,
        excluded_sources=run.excluded_sources,
        heterogeneity=strata.heterogeneity,
        pairwise=compare_treatments(experiment, judged, decided=look.reached),
        corrected_lifts=correct_winners(experiment, judged) if look.reached else (),
        harmed=harmed,
    )


def _compare(
    experiment: Experiment, rows: Sequence[ReportRow], inflations: Mapping[str, float]
) -> Iterator[Compared]:
    metrics = listed_metrics(experiment)
    whole = read_aggregates(rows, metrics, level=None, inflations=inflations)
    yield from compare_levels(experiment, whole, metrics, None)
    for cut in experiment.breakdowns:
        if cut.by == "category":
            totals = read_aggregates(rows, metrics, level=cut.level, inflations=inflations)
            yield from compare_levels(experiment, totals, metrics, cut)


def _note_variance(experiment: Experiment, reports: Reports) -> list[Warned]:
    """Say where the primary metric's variance comes from."""
    told = reports.dispersions.get(experiment.key, {})
    known = told.get(experiment.primary.metric, told.get("ctr"))
    return [note_dispersion(known)] if known else []


def _cautious(
    facts: tuple[TreatmentFacts, ...], reports: Reports, experiment: Experiment
) -> tuple[TreatmentFacts, ...]:
    """Let every sentence that a verdict rests on carry the warning of its variance."""
    notes = [note for note in _note_variance(experiment, reports) if note.code == _INDEPENDENT]
    return tuple(
        replace(fact, sentence=f"{fact.sentence} ({_INDEPENDENT})") if notes else fact
        for fact in facts
    )


_INDEPENDENT = "variance_assumes_independent_impressions"


def _impressions(experiment: Experiment, rows: Sequence[ReportRow]) -> dict[str, int]:
    found = {variant.name: 0 for variant in experiment.variants}
    for row in rows:
        found[row["variant"]] = found.get(row["variant"], 0) + int(row["impressions"])
    return found


def _shown(rows: Sequence[ReportRow]) -> int:
    return sum(int(row["impressions"]) for row in rows)


def _check_split(experiment: Experiment, impressions: Mapping[str, int]) -> SrmCheck:
    test = chi_square(impressions, experiment.weights)
    if isinstance(test, Undetermined):
        return SrmCheck(impressions, dict.fromkeys(impressions, 0.0), None, None, "unavailable")
    return SrmCheck(
        test.observed, test.expected, test.p_value, None, "alarm" if test.alarm else "ok"
    )


def _compare_creatives(experiment: Experiment, reports: Reports) -> tuple[CreativeComparison, ...]:
    key = experiment.key
    products = compare_aggregate_creatives(
        reports.creatives.get(key, ()), inflation=reports.inflations(key).get("ctr", 1.0)
    )
    return compare_with_control(products, experiment.control.name)


def _start_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)
