"""One experiment's scorecard from the store's rows, step by step.

Everything shown follows the rows asked for. Verdicts rest on looks: final rows up to the end of a
day, taken once and kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.adjusted import note_adjustment
from abplatform.analysis.scorecard.calendar import (
    find_special_days,
    note_calendar,
    note_part_week,
    view_calendar,
)
from abplatform.analysis.scorecard.comparisons import compare_all, find_silent, listed_metrics
from abplatform.analysis.scorecard.course import Course, follow_plan
from abplatform.analysis.scorecard.creatives import compare_creatives, compare_with_control
from abplatform.analysis.scorecard.families import watch_families
from abplatform.analysis.scorecard.harm import watch_guardrails
from abplatform.analysis.scorecard.histories import History, read_history
from abplatform.analysis.scorecard.left_out import (
    note_excluded,
    note_unknown,
    read_excluded,
    read_unknown,
)
from abplatform.analysis.scorecard.lifts import Compared
from abplatform.analysis.scorecard.looks import Question, Run
from abplatform.analysis.scorecard.notes import (
    note_doubtful,
    note_harm,
    note_later,
    note_no_traffic,
    note_plan,
    note_rates,
    note_reweighted,
    note_samples,
)
from abplatform.analysis.scorecard.novelty import note_novelty, view_novelty
from abplatform.analysis.scorecard.outcomes import (
    collect_corrected,
    collect_facts,
    collect_pairs,
    fill_from_looks,
    monitor_lifts,
)
from abplatform.analysis.scorecard.pairwise import carry_pairs, compare_treatments
from abplatform.analysis.scorecard.posterior import believe_lifts
from abplatform.analysis.scorecard.record import BayesFact, PairwiseLift, Scorecard, Warned
from abplatform.analysis.scorecard.scope import FOREVER, Scope
from abplatform.analysis.scorecard.shrunken import Strata, shrink_levels
from abplatform.analysis.scorecard.split import check_split, note_mismatches, note_split
from abplatform.analysis.scorecard.survey import Survey, read_survey
from abplatform.analysis.scorecard.units import parts_for
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import Experiment
from abplatform.logs.store.answering import Store
from abplatform.logs.totals import are_current

__all__ = ["measure_units", "scope_of"]

_MOMENT = timedelta(microseconds=1)

_STILL_GROWING = timedelta(days=7)
"""A log whose last row is no older than this may have more rows tomorrow."""


def measure_units(
    warehouse: Store,
    experiment: Experiment,
    *,
    run: Run,
    question: Question,
    version: str,
    lineage: Mapping[str, Lineage],
    zone: ZoneInfo,
) -> Scorecard:
    """Measure an experiment whose log has unit rows.

    Args:
        warehouse: The open store.
        experiment: As its YAML says.
        run: How it ran.
        question: What the reader wants to know.
        version: The store's ``data_version``.
        lineage: Creative to how it was made.
        zone: Where a workspace day ends.
    """
    scope = scope_of(experiment, question, lineage, excluded_sources=run.excluded_sources)
    survey = read_survey(warehouse, scope)
    # A question about the past sees other rows than the store's totals do.
    asks_now = question.as_of is None and question.data_version is None
    stored = survey.stored if asks_now and are_current(warehouse) else None
    scope = replace(scope, stored=stored, parts=parts_for(survey.rows))
    first_at, last_at = survey.first_at, survey.last_at
    history = read_history(warehouse, experiment, run, version=version, first_at=first_at)
    srm = check_split(warehouse, scope, run, zone=zone)
    course = follow_plan(warehouse, scope, survey, history, run=run, question=question, zone=zone)
    shown = _compare_shown(warehouse, scope, survey, history, course)
    days = find_special_days(run, first=first_at, last=last_at, zone=zone)
    calendar, novelty = view_calendar(warehouse, scope, days), view_novelty(warehouse, scope)
    final = compare_creatives(warehouse, replace(scope, final=True))
    excluded = read_excluded(warehouse, scope, earlier=run.earlier_weights)
    return Scorecard(
        experiment=experiment.key,
        as_of=question.as_of or survey.newest or run.now,
        data_version=version,
        status="provisional" if survey.provisional else "final",
        units=int(survey.row["units"]),
        srm=srm,
        lifts=fill_from_looks(experiment, shown.strata.compared, course.looks),
        warnings=(
            *_note_plan_and_rows(experiment, scope, survey, course, shown),
            *note_excluded(excluded),
            *note_unknown(read_unknown(warehouse, scope)),
            *note_mismatches(warehouse, scope, run),
            *note_rates(listed_metrics(experiment), run.rates, run.rates_now),
            *note_reweighted(run, question.as_of, zone),
            *note_split(srm, run),
            *note_calendar(calendar, run),
            *note_part_week(experiment, run, zone),
            *note_novelty(novelty),
        ),
        look=course.state,
        facts=collect_facts(experiment, course.looks, waiting=course.state.sentence),
        creatives=compare_with_control(final.products, experiment.control.name),
        first_at=first_at,
        last_at=last_at,
        looks=course.taken,
        cuped=tuple(one.cuped for one in shown.compared if one.cuped is not None),
        calendar=calendar,
        novelty=novelty,
        excluded_sources=run.excluded_sources,
        bayes=shown.bayes,
        heterogeneity=shown.strata.heterogeneity,
        pairwise=shown.pairwise,
        corrected_lifts=collect_corrected(course.looks),
        harmed=shown.harmed,
        excluded=excluded,
        compared=final,
    )


def scope_of(
    experiment: Experiment,
    question: Question,
    lineage: Mapping[str, Lineage],
    *,
    excluded_sources: tuple[str, ...] = (),
) -> Scope:
    """Return which rows a question is about."""
    matched = frozenset(
        creative for creative, how in lineage.items() if how.inspector.get("match") is True
    )
    return Scope(
        experiment=experiment,
        until=question.as_of + _MOMENT if question.as_of else FOREVER,
        known=question.as_of or FOREVER,
        final=question.final,
        bots=experiment.events.bots == "include",
        matched=matched if lineage else None,
        excluded_sources=excluded_sources,
    )


@dataclass(frozen=True, slots=True)
class _Shown:
    """Everything that follows the rows asked for.

    Args:
        compared: Every comparison.
        bayes: What is believed of the primary metric.
        harmed: Treatment to its harmed guardrails.
        strata: The levels of every cut, seen together.
        pairwise: Treatments against each other.
    """

    compared: Sequence[Compared]
    bayes: tuple[BayesFact, ...]
    harmed: Mapping[str, Mapping[str, str]]
    strata: Strata
    pairwise: tuple[PairwiseLift, ...]


def _compare_shown(
    warehouse: Store, scope: Scope, survey: Survey, history: History | None, course: Course
) -> _Shown:
    experiment = scope.experiment
    compared = compare_all(warehouse, scope, history, bots=survey.bots)
    compared = monitor_lifts(experiment, compared, course.plan)
    compared = watch_families(experiment, compared)
    compared, bayes = believe_lifts(experiment, compared)
    pairs = compare_treatments(experiment, compared, decided=False)
    return _Shown(
        compared=compared,
        bayes=bayes,
        harmed=watch_guardrails(
            experiment, compared, provisional=survey.provisional and not scope.final
        ),
        strata=shrink_levels(warehouse, scope, compared),
        pairwise=carry_pairs(pairs, collect_pairs(course.looks)),
    )


def _note_plan_and_rows(
    experiment: Experiment, scope: Scope, survey: Survey, course: Course, shown: _Shown
) -> list[Warned]:
    return [
        *note_no_traffic(experiment, find_silent(shown.compared)),
        *note_plan(experiment, course.state, course.taken, reasons=shown.strata.reasons),
        *note_doubtful(survey.row, bots=scope.bots),
        *_note_later_rows(course, survey.last_at),
        *_note_growing_log(experiment, survey),
        *note_samples(shown.compared),
        *note_adjustment(shown.compared),
        *note_harm(shown.harmed),
        *shown.strata.warnings,
    ]


def _note_later_rows(course: Course, last_at: datetime | None) -> list[Warned]:
    """Say so where rows came after a look that decided, also in a log from elsewhere."""
    decided = [look.at for look in course.taken if look.decides]
    later = last_at is not None and any(at <= last_at for at in decided)
    return note_later() if course.state.reached and later else []


def _note_growing_log(experiment: Experiment, survey: Survey) -> list[Warned]:
    """Warn of a log of others that may still grow: each of its ends would be a last look."""
    first, last, known = survey.first_at, survey.last_at, survey.known_until
    if experiment.assignment != "external" or first is None or last is None or known is None:
        return []
    if known - last > _STILL_GROWING or last - first >= experiment.analysis.max_runtime:
        return []
    text = (
        "the log is shorter than max_runtime and may still grow, and its last day counts as the "
        "decision look, which spends all of alpha; analysed again as it grows, it rejects far more "
        "often than alpha says: decide at an end that was planned before, or by anytime_low and "
        "anytime_high, which hold whenever one looks"
    )
    return [Warned("log_may_grow", text)]
