"""One experiment's scorecard from the store's rows, step by step.

Everything shown follows the rows asked for. Verdicts rest on looks: final rows up to the end of a
day, taken once and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.adjusted import note_adjustment
from abplatform.analysis.scorecard.calendar import (
    find_special_days,
    note_calendar,
    note_part_week,
    view_calendar,
)
from abplatform.analysis.scorecard.comparisons import compare_all, find_silent
from abplatform.analysis.scorecard.creatives import compare_creatives, compare_with_control
from abplatform.analysis.scorecard.families import decide_families, watch_families
from abplatform.analysis.scorecard.histories import read_history
from abplatform.analysis.scorecard.lifts import Compared
from abplatform.analysis.scorecard.looks import (
    Question,
    Run,
    final_delay,
    find_look,
    make_agenda,
)
from abplatform.analysis.scorecard.notes import (
    note_exclusions,
    note_harm,
    note_later,
    note_no_traffic,
    note_plan,
    note_samples,
)
from abplatform.analysis.scorecard.novelty import note_novelty, view_novelty
from abplatform.analysis.scorecard.outcomes import (
    collect_corrected,
    collect_facts,
    collect_pairs,
    fill_from_looks,
    in_order,
    monitor_lifts,
    settle,
)
from abplatform.analysis.scorecard.pairwise import carry_pairs, compare_treatments
from abplatform.analysis.scorecard.plans import Ground, plan_of, recorded_looks, take_due_looks
from abplatform.analysis.scorecard.posterior import believe_lifts
from abplatform.analysis.scorecard.record import Look, Scorecard, Warned
from abplatform.analysis.scorecard.rulings import watch_guardrails
from abplatform.analysis.scorecard.shrunken import shrink_levels
from abplatform.analysis.scorecard.split import check_split, note_mismatches, note_split
from abplatform.analysis.scorecard.totals import FOREVER, Scope
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import Experiment
from abplatform.logs.store.warehouse import Warehouse
from abplatform.traffic.registry.look_days import end_of_day

__all__ = ["measure_units", "scope_of"]

_MOMENT = timedelta(microseconds=1)


def measure_units(
    warehouse: Warehouse,
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
    overview = _read_overview(warehouse, scope)
    first_at, last_at = _aware(overview["first_at"]), _aware(overview["last_at"])
    srm = check_split(warehouse, scope, run, zone=zone)
    history = read_history(warehouse, experiment, run, version=version, first_at=first_at)

    agenda = make_agenda(
        experiment,
        run,
        known_until=_known_until(overview, scope),
        log=(first_at, _end_of_log(last_at, scope, zone)),
        zone=zone,
    )
    plan = plan_of(experiment, run, agenda)
    ground = Ground(warehouse, scope, agenda, plan, history, flagged=_has_flags(overview))
    looks = take_due_looks(ground, recorded_looks(run, agenda, past=_is_past(question)))
    looks = settle(
        experiment,
        looks,
        lambda at: _judge(ground, replace(scope, final=True, until=min(scope.until, at))),
        log_end=agenda.days[-1].at if agenda.external and agenda.days else None,
    )
    look = find_look(experiment, agenda, in_order(looks))

    shown = compare_all(warehouse, scope, history, bots=bool(overview["bot_units"]))
    shown = watch_families(experiment, monitor_lifts(experiment, shown, plan))
    shown, bayes = believe_lifts(experiment, shown)
    harmed = watch_guardrails(
        experiment, shown, provisional=bool(overview["rows_provisional"]) and not scope.final
    )
    strata = shrink_levels(warehouse, scope, shown)
    final_scope = replace(scope, final=True)
    days = find_special_days(run, first=first_at, last=last_at, zone=zone)
    calendar, novelty = view_calendar(warehouse, scope, days), view_novelty(warehouse, scope)
    return Scorecard(
        experiment=experiment.key,
        as_of=question.as_of or _aware(overview["watermark_high"]) or run.now,
        data_version=version,
        status="provisional" if overview["rows_provisional"] else "final",
        units=int(overview["units"]),
        srm=srm,
        lifts=fill_from_looks(experiment, strata.compared, looks),
        warnings=(
            *note_no_traffic(experiment, find_silent(shown)),
            *note_plan(experiment, look, in_order(looks), reasons=strata.reasons),
            *note_exclusions(overview, bots=scope.bots),
            *note_mismatches(warehouse, scope, run),
            *note_split(srm, run),
            *_note_later_rows(look, last_at),
            *note_samples(shown),
            *note_adjustment(shown),
            *note_harm(harmed),
            *strata.warnings,
            *note_calendar(calendar, run),
            *note_part_week(experiment, run, zone),
            *note_novelty(novelty),
        ),
        look=look,
        calendar=calendar,
        novelty=novelty,
        facts=collect_facts(experiment, looks, waiting=look.sentence),
        creatives=compare_with_control(
            compare_creatives(warehouse, final_scope), experiment.control.name
        ),
        first_at=first_at,
        last_at=last_at,
        looks=in_order(looks),
        excluded_sources=run.excluded_sources,
        cuped=tuple(one.cuped for one in shown if one.cuped is not None),
        bayes=bayes,
        heterogeneity=strata.heterogeneity,
        pairwise=carry_pairs(
            compare_treatments(experiment, shown, decided=False), collect_pairs(looks)
        ),
        corrected_lifts=collect_corrected(looks),
        harmed=harmed,
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


def _read_overview(warehouse: Warehouse, scope: Scope) -> dict[str, Any]:
    values = {k: v for k, v in scope.values().items() if k != "final"}
    frame = warehouse.query(
        "portable/exposure_overview", **values, extra=_slowest_conversion(scope.experiment)
    )
    return frame.row(0, named=True)


def _slowest_conversion(experiment: Experiment) -> timedelta:
    windows = experiment.events
    return final_delay(experiment) - windows.attribution_window - windows.late_data


def _known_until(overview: Mapping[str, Any], scope: Scope) -> datetime | None:
    """Return up to when all sources are known; None without rows."""
    watermark = _aware(overview["watermark_low"])
    return min(watermark, scope.known) if watermark else None


def _end_of_log(last_at: datetime | None, scope: Scope, zone: ZoneInfo) -> datetime | None:
    """Return the end of the last day in the log, or the moment asked for within it."""
    return min(end_of_day(last_at, zone), scope.until) if last_at else None


def _has_flags(overview: Mapping[str, Any]) -> bool:
    return bool(overview["bot_units"] or overview["mixed_units"])


def _is_past(question: Question) -> bool:
    return question.as_of is not None or question.data_version is not None


def _judge(ground: Ground, scope: Scope) -> list[Compared]:
    """Return what the rows of a decision look say, families adjusted."""
    compared = compare_all(ground.warehouse, scope, ground.history, bots=False)
    return decide_families(scope.experiment, compared)


def _note_later_rows(look: Look, last_at: datetime | None) -> list[Warned]:
    return note_later() if look.reached and look.at and last_at and last_at >= look.at else []


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
