"""One experiment's scorecard from the store's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.adjusted import adjust_overall
from abplatform.analysis.scorecard.creatives import compare_creatives, compare_with_control
from abplatform.analysis.scorecard.histories import History, read_history
from abplatform.analysis.scorecard.lifts import (
    Compared,
    carry_over,
    compare_levels,
    decide_family,
    families,
)
from abplatform.analysis.scorecard.looks import Question, Run, final_delay, find_look
from abplatform.analysis.scorecard.notes import (
    note_exclusions,
    note_later,
    note_no_traffic,
    note_plan,
    note_samples,
)
from abplatform.analysis.scorecard.record import Look, Scorecard, Warned
from abplatform.analysis.scorecard.rulings import gather_facts
from abplatform.analysis.scorecard.split import check_split, note_mismatches, note_split
from abplatform.analysis.scorecard.totals import FOREVER, Scope, Totals, read_totals
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import Breakdown, Experiment
from abplatform.domain.metrics import METRICS, Metric
from abplatform.logs.store.warehouse import Warehouse
from abplatform.stats.categories import Correction

__all__ = [
    "decide_families",
    "listed_metrics",
    "measure_units",
    "scope_of",
]

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
    srm = check_split(warehouse, scope, run, zone=zone)
    watermark = _aware(overview["watermark_low"])
    known = min(watermark, scope.known) if watermark else None
    look = find_look(experiment, run, known_until=known, zone=zone)
    first_at = _aware(overview["first_at"])
    history = read_history(warehouse, experiment, run, version=version, first_at=first_at)
    shown = _compare_all(warehouse, scope, history, bots=bool(overview["bot_units"]))
    ruling = _ruling_scope(scope, look)
    judged = (
        shown
        if _same_rows(scope, ruling, overview)
        else _compare_all(warehouse, ruling, history, bots=False)
    )
    tested = experiment.analysis.test == "fixed"
    judged = decide_families(experiment, judged, tested=tested) if look.reached else judged
    final_scope = replace(scope, final=True)
    return Scorecard(
        experiment=experiment.key,
        as_of=question.as_of or _aware(overview["watermark_high"]) or run.now,
        data_version=version,
        status="provisional" if overview["rows_provisional"] else "final",
        units=int(overview["units"]),
        srm=srm,
        lifts=carry_over(shown, judged),
        warnings=(
            *note_no_traffic(experiment, _silent_variants(shown)),
            *note_plan(experiment, look, tested=tested),
            *note_exclusions(overview, bots=scope.bots),
            *note_mismatches(warehouse, scope, run),
            *note_split(srm, run),
            *_note_later_rows(look, overview),
            *note_samples(shown),
        ),
        look=look,
        facts=gather_facts(experiment, judged) if look.reached and tested else (),
        creatives=compare_with_control(
            compare_creatives(warehouse, final_scope), experiment.control.name
        ),
        first_at=first_at,
        last_at=_aware(overview["last_at"]),
        excluded_sources=run.excluded_sources,
        cuped=tuple(one.cuped for one in shown if one.cuped is not None),
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


def listed_metrics(experiment: Experiment) -> list[Metric]:
    """Return the primary metric and then the guardrails' metrics, each once."""
    names = [experiment.primary.metric, *(guard.metric for guard in experiment.guardrails)]
    return [METRICS[name] for name in dict.fromkeys(names)]


def decide_families(
    experiment: Experiment, compared: Sequence[Compared], *, tested: bool
) -> list[Compared]:
    """Adjust and judge every family; the bots' two views are of the same units and stay raw."""
    decided: list[Compared] = []
    for (_, cut, _), family in families(compared).items():
        if cut and cut.by == "bots":
            decided += family
            continue
        # Several treatments share one control and one error rate.
        correction: Correction = cut.correction if cut else "holm"
        decided += decide_family(
            family, correction=correction, alpha=experiment.analysis.alpha, tested=tested
        )
    return decided


def _read_overview(warehouse: Warehouse, scope: Scope) -> dict[str, Any]:
    values = {k: v for k, v in scope.values().items() if k != "final"}
    frame = warehouse.query(
        "portable/exposure_overview", **values, extra=_slowest_conversion(scope.experiment)
    )
    return frame.row(0, named=True)


def _slowest_conversion(experiment: Experiment) -> timedelta:
    windows = experiment.events
    return final_delay(experiment) - windows.attribution_window - windows.late_data


def _ruling_scope(scope: Scope, look: Look) -> Scope:
    """Return the rows a verdict rests on: final ones, up to the look."""
    until = min(scope.until, look.at) if look.at and look.reached else scope.until
    return replace(scope, final=True, until=until)


def _same_rows(scope: Scope, ruling: Scope, overview: Mapping[str, Any]) -> bool:
    last = _aware(overview["last_at"])
    nothing_later = ruling.until == scope.until or (last is not None and last < ruling.until)
    return nothing_later and (scope.final or not overview["rows_provisional"])


def _compare_all(
    warehouse: Warehouse, scope: Scope, history: History | None, *, bots: bool
) -> list[Compared]:
    experiment, metrics = scope.experiment, listed_metrics(scope.experiment)
    whole = read_totals(warehouse, scope, metrics, None)
    compared = compare_levels(experiment, whole, metrics, None)
    compared = adjust_overall(warehouse, scope, compared, history)
    for cut in experiment.breakdowns:
        if cut.by == "bots":
            bots = True
            continue
        totals = read_totals(warehouse, scope, metrics, cut)
        compared += compare_levels(experiment, totals, metrics, cut)
    if bots:
        other = read_totals(warehouse, replace(scope, bots=not scope.bots), metrics, None)
        levels = {"included": other, "excluded": whole}
        if scope.bots:
            levels = {"included": whole, "excluded": other}
        both = Totals(
            {
                (level, variant, metric): part
                for level, totals in levels.items()
                for (_, variant, metric), part in totals.slices.items()
            }
        )
        compared += compare_levels(experiment, both, metrics[:1], Breakdown(by="bots"))
    return compared


def _silent_variants(compared: Sequence[Compared]) -> list[str]:
    """Return the variants without a unit that counts, the control first."""
    overall = [one.lift for one in compared if one.lift.breakdown is None]
    silent = {lift.control for lift in overall if not lift.units_control}
    return [*silent, *dict.fromkeys(lift.treatment for lift in overall if not lift.units_treatment)]


def _note_later_rows(look: Look, overview: Mapping[str, Any]) -> list[Warned]:
    last = _aware(overview["last_at"])
    if not (look.reached and look.at and last and last >= look.at):
        return []
    return note_later()


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
