"""Scorecards of experiments that come as pre-aggregated reports, thousands in a few queries.

Reports have no unit rows. Each impression counts as a unit, with the variance that days or the
workspace's own units show; SRM compares impressions with the weights; the test is the fixed one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.calendar import (
    find_special_days,
    note_calendar,
    note_part_week,
)
from abplatform.analysis.scorecard.comparisons import listed_metrics
from abplatform.analysis.scorecard.creatives import (
    ProductComparison,
    compare_aggregate_creatives,
    compare_with_control,
)
from abplatform.analysis.scorecard.families import decide_families
from abplatform.analysis.scorecard.harm import watch_guardrails
from abplatform.analysis.scorecard.left_out import (
    note_unknown,
    reports_outside,
    unknown_in_reports,
)
from abplatform.analysis.scorecard.lifts import Compared, carry_over, compare_levels
from abplatform.analysis.scorecard.looks import Question, Run, find_fixed_look
from abplatform.analysis.scorecard.notes import (
    note_fixed,
    note_harm,
    note_later,
    note_no_traffic,
    note_outside,
    note_reweighted,
    note_samples,
)
from abplatform.analysis.scorecard.pairwise import compare_treatments
from abplatform.analysis.scorecard.posterior import believe_lifts
from abplatform.analysis.scorecard.record import (
    Look,
    Scorecard,
    SrmCheck,
    TakenLook,
    TreatmentFacts,
    Warned,
)
from abplatform.analysis.scorecard.report_looks import (
    decided_lifts,
    kept_looks,
    note_restated,
    take_report_looks,
)
from abplatform.analysis.scorecard.reports import Reports, ReportViews, note_dispersion
from abplatform.analysis.scorecard.rulings import gather_facts
from abplatform.analysis.scorecard.shrunken import shrink_reports
from abplatform.analysis.scorecard.special_views import CalendarView
from abplatform.analysis.scorecard.split import note_split
from abplatform.analysis.scorecard.strata import CorrectedLift
from abplatform.analysis.scorecard.totals import ReportRow, read_aggregates
from abplatform.analysis.scorecard.winners import correct_winners
from abplatform.domain.experiment import Experiment
from abplatform.stats.ratio import Undetermined
from abplatform.stats.srm import chi_square

__all__ = ["compare_reported_creatives", "measure_aggregates"]


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
    key, as_of = experiment.key, question.as_of or run.now
    rows = reports.running.totals.get(key, ())
    known_until = min(as_of, reports.asked.watermarks.get(key, as_of)) if rows else None
    look = find_fixed_look(experiment, run, known_until=known_until, zone=zone)
    compared, bayes = believe_lifts(experiment, _compare(experiment, reports.running))
    strata = shrink_reports(experiment, compared)
    judged = _judge(experiment, reports, compared, look)
    impressions = _impressions(experiment, rows)
    first_at, last_at = _ends(rows, zone)
    days = find_special_days(run, first=first_at, last=last_at, zone=zone)
    card = Scorecard(
        experiment=key,
        as_of=as_of,
        data_version=version,
        status="final" if look.reached else "provisional",
        units=sum(impressions.values()),
        srm=_check_split(experiment, impressions),
        lifts=carry_over(strata.compared, judged),
        warnings=(),
        look=look,
        calendar=CalendarView(days) if days else None,
        creatives=compare_with_control(
            compare_reported_creatives(reports.running, key), experiment.control.name
        ),
        first_at=first_at,
        last_at=last_at,
        bayes=bayes,
        excluded_sources=run.excluded_sources,
        excluded=reports_outside(_outside(experiment, reports)),
        heterogeneity=strata.heterogeneity,
        pairwise=compare_treatments(experiment, judged, decided=look.reached),
        harmed=watch_guardrails(experiment, compared, provisional=not look.reached),
    )
    restated: list[Warned] = []
    if look.reached:
        fresh = _cautious(gather_facts(experiment, judged), reports.ruling, experiment)
        kept = kept_looks(run, look)
        taken = kept or take_report_looks(experiment, judged, fresh, look, run=run, zone=zone)
        card = replace(
            card,
            facts=_facts_of(taken) or fresh,
            corrected_lifts=_corrected_of(taken) if taken else correct_winners(experiment, judged),
            looks=taken,
        )
        if kept:
            card = replace(card, lifts=decided_lifts(strata.compared, kept))
            restated = note_restated(card.facts, fresh)
    notes = (
        *_note_rows(experiment, reports, impressions, look, reasons=strata.reasons),
        *note_samples(compared),
        *restated,
        *note_unknown(unknown_in_reports(rows)),
        *note_split(card.srm, run),
        *note_harm(card.harmed),
        *strata.warnings,
        *note_reweighted(run, question.as_of, zone),
        *note_calendar(card.calendar, run),
        *note_part_week(experiment, run, zone),
    )
    return replace(card, warnings=notes)


def _facts_of(taken: Sequence[TakenLook]) -> tuple[TreatmentFacts, ...]:
    """Return what looks said, overall first."""
    facts = [fact for look in taken if look.outcome for fact in look.outcome.facts]
    return tuple(sorted(facts, key=lambda fact: fact.category is not None))


def _corrected_of(taken: Sequence[TakenLook]) -> tuple[CorrectedLift, ...]:
    return tuple(lift for look in taken if look.outcome for lift in look.outcome.corrected)


def _judge(
    experiment: Experiment, reports: ReportViews, compared: list[Compared], look: Look
) -> list[Compared]:
    """Return what the verdict rests on, families adjusted once the look has come."""
    judged = compared
    if _has_later(experiment, reports):
        judged = _compare(experiment, reports.ruling)
    return decide_families(experiment, judged) if look.reached else judged


def _has_later(experiment: Experiment, reports: ReportViews) -> bool:
    """Whether days after the decision look are shown."""
    return _shown(experiment, reports.ruling) < _shown(experiment, reports.running)


def _note_rows(
    experiment: Experiment,
    reports: ReportViews,
    impressions: Mapping[str, int],
    look: Look,
    *,
    reasons: Iterable[str],
) -> list[Warned]:
    """Say what the reports cannot tell, and which of them do not count."""
    return [
        *_note_variance(experiment, reports.running),
        *note_no_traffic(experiment, (name for name, n in impressions.items() if not n)),
        *note_fixed(look, reasons=reasons, empty=not any(impressions.values())),
        *note_outside(_outside(experiment, reports)),
        *(note_later() if look.reached and _has_later(experiment, reports) else ()),
    ]


def _compare(experiment: Experiment, reports: Reports) -> list[Compared]:
    rows = reports.totals.get(experiment.key, ())
    inflations, metrics = reports.inflations(experiment.key), listed_metrics(experiment)
    whole = read_aggregates(rows, metrics, level=None, inflations=inflations)
    compared = compare_levels(experiment, whole, metrics, None)
    for cut in experiment.breakdowns:
        if cut.by == "category":
            totals = read_aggregates(rows, metrics, level=cut.level, inflations=inflations)
            compared += compare_levels(experiment, totals, metrics, cut)
    return compared


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


def _shown(experiment: Experiment, reports: Reports) -> int:
    return sum(int(row["impressions"]) for row in reports.totals.get(experiment.key, ()))


def _outside(experiment: Experiment, reports: ReportViews) -> int:
    return _shown(experiment, reports.asked) - _shown(experiment, reports.running)


def _check_split(experiment: Experiment, impressions: Mapping[str, int]) -> SrmCheck:
    test = chi_square(impressions, experiment.weights)
    if isinstance(test, Undetermined):
        return SrmCheck(impressions, dict.fromkeys(impressions, 0.0), None, None, "unavailable")
    return SrmCheck(
        test.observed, test.expected, test.p_value, None, "alarm" if test.alarm else "ok"
    )


def compare_reported_creatives(reports: Reports, key: str) -> list[ProductComparison]:
    """Compare one experiment's creatives by its reports, with the variance that days show.

    Args:
        reports: Of any experiments.
        key: The experiment.
    """
    inflation = reports.inflations(key).get("ctr", 1.0)
    return compare_aggregate_creatives(reports.creatives.get(key, ()), inflation=inflation)


def _ends(rows: Sequence[ReportRow], zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Return when the first and the last reported day begin."""
    if not rows:
        return None, None
    first, last = min(row["first_day"] for row in rows), max(row["last_day"] for row in rows)
    begins, ends = (datetime.combine(day, time(), tzinfo=zone) for day in (first, last))
    return begins, ends
