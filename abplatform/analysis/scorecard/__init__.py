"""The store's rows turned into a scorecard: one experiment, or thousands at once.

``measure`` asks for one by its unit rows (``measure``) or its reports (``aggregates``). The map:

====================  ==============================================================================
what is read          ``scope`` (which rows), ``units`` (sums by unit, in parts), ``totals``,
                      ``moments``, ``histories``, ``survey``,
                      ``reports`` (rows of ad networks), ``split_counts``, ``creatives``
did units arrive      ``split``
lifts                 ``lifts`` (one contrast), ``comparisons`` (all), ``adjusted`` (CUPED)
several together      ``families``, ``pairwise``, ``winners``, ``shrunken``, ``posterior``
when to look          ``looks`` (Run, Question, Agenda), ``course`` (the plan from day to day)
what a look does      ``sight`` (sees), ``plans`` (finds), ``kept`` (into the journal)
what it decides       ``outcomes``, ``rulings`` (facts for the rules), ``harm`` (guardrails)
beside the lifts      ``novelty``, ``calendar``, ``side_rows``; ``notes`` (warnings)
plain data            ``record`` (the Scorecard), ``taken`` (looks), ``facts``, ``strata``,
                      ``special_views``
====================  ==============================================================================

The verdict comes from :mod:`abplatform.analysis.verdict`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.aggregates import (
    compare_reported_creatives,
    measure_aggregates,
)
from abplatform.analysis.scorecard.creatives import (
    ComparedCreatives,
    CreativeTotals,
    ProductComparison,
    aggregate_creative_totals,
    compare_creatives,
    read_creatives,
)
from abplatform.analysis.scorecard.kept import keep_scorecard_looks
from abplatform.analysis.scorecard.looks import Question, Run, decision_moment
from abplatform.analysis.scorecard.measure import measure_units, scope_of
from abplatform.analysis.scorecard.notes import (
    note_ignored_reports,
    note_silent,
    report_sources,
    silent_notes,
)
from abplatform.analysis.scorecard.record import (
    CreativeComparison,
    Decision,
    GuardrailFact,
    LiftEstimate,
    Look,
    Scorecard,
    SrmCheck,
    Standing,
    TakenLook,
    TreatmentFacts,
    Warned,
    format_time,
)
from abplatform.analysis.scorecard.reports import (
    final_days,
    read_reports,
    running_days,
    view_reports,
)
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import Experiment
from abplatform.logs.attribution import aggregates_known_at, exposures_known_at
from abplatform.logs.store.answering import Store, data_version

__all__ = [
    "ComparedCreatives",
    "CreativeComparison",
    "CreativeTotals",
    "Decision",
    "GuardrailFact",
    "LiftEstimate",
    "Look",
    "ProductComparison",
    "Question",
    "Run",
    "Scorecard",
    "SrmCheck",
    "Standing",
    "TakenLook",
    "TreatmentFacts",
    "Warned",
    "aggregate_creative_totals",
    "compare_creatives",
    "compare_reported_creatives",
    "decision_moment",
    "final_days",
    "format_time",
    "has_unit_rows",
    "have_unit_rows",
    "keep_scorecard_looks",
    "known_then",
    "measure",
    "measure_many",
    "read_creatives",
    "read_reports",
    "running_days",
    "scope_of",
]

_UTC = ZoneInfo("UTC")


def have_unit_rows(warehouse: Store, keys: Iterable[str]) -> frozenset[str]:
    """Return those experiments whose log has a row per impression or decision."""
    frame = warehouse.query("portable/exposed_experiments", experiments=list(keys) or [""])
    return frozenset(frame["experiment"])


def has_unit_rows(warehouse: Store, key: str) -> bool:
    """Whether the experiment's log has a row per impression or decision."""
    return bool(have_unit_rows(warehouse, [key]))


def measure(
    warehouse: Store,
    experiment: Experiment,
    *,
    run: Run,
    question: Question | None = None,
    lineage: Mapping[str, Lineage] | None = None,
    zone: ZoneInfo = _UTC,
) -> Scorecard:
    """Measure one experiment by its unit rows, or by its reports where there are none.

    Args:
        warehouse: The open store.
        experiment: As its YAML says.
        run: How it ran.
        question: What the reader wants to know; default everything up to now.
        lineage: Creative to how it was made; without it match_rate is undetermined.
        zone: Where a workspace day ends.
    """
    question = question or Question()
    with known_then(warehouse, question) as version:
        reports = read_reports(
            warehouse, [experiment.key], question, zone, runs={experiment.key: run}
        )
        if has_unit_rows(warehouse, experiment.key):
            scorecard = measure_units(
                warehouse,
                experiment,
                run=run,
                question=question,
                version=version,
                lineage=lineage or {},
                zone=zone,
            )
            ignored = note_ignored_reports() if experiment.key in reports.totals else []
            scorecard = replace(scorecard, warnings=(*scorecard.warnings, *ignored))
        else:
            views = view_reports(
                warehouse, experiment, reports, run=run, question=question, zone=zone
            )
            scorecard = measure_aggregates(
                experiment, views, run=run, question=question, version=version, zone=zone
            )
        silent = note_silent(warehouse, experiment, run.silent_sources)
        return replace(scorecard, warnings=(*scorecard.warnings, *silent)) if silent else scorecard


@contextmanager
def known_then(warehouse: Store, question: Question) -> Iterator[str]:
    """Let queries see what the store knew at the question's data version and moment.

    Of reports, ``read_reports`` leaves out the days that end after the moment.

    Yields:
        The data version that queries see.

    Raises:
        StoreError: The store never had that version.
    """
    now = data_version(warehouse)
    version = question.data_version or now
    if version == now and question.as_of is None:
        yield now
        return
    with ExitStack() as views:
        views.enter_context(exposures_known_at(warehouse, version, until=question.as_of))
        if version != now:
            reports = aggregates_known_at(warehouse, version)
            views.enter_context(warehouse.instead_of("aggregates_current", reports))
        yield version


def measure_many(
    warehouse: Store,
    experiments: Mapping[str, Experiment],
    *,
    runs: Callable[[str], Run],
    question: Question | None = None,
    zone: ZoneInfo = _UTC,
    advance: Callable[[int, int], None] | None = None,
) -> Iterator[Scorecard]:
    """Measure thousands of experiments that come as reports, in few queries.

    Args:
        warehouse: The open store.
        experiments: Key to experiment.
        runs: Key to how it ran.
        question: What the reader wants to know.
        zone: Where a workspace day ends.
        advance: Told how many are done.
    """
    question = question or Question()
    with known_then(warehouse, question) as version:
        known = {key: runs(key) for key in experiments}
        reports = read_reports(warehouse, list(experiments), question, zone, runs=known)
        views = {
            key: view_reports(
                warehouse, experiment, reports, run=known[key], question=question, zone=zone
            )
            for key, experiment in experiments.items()
        }
        any_silent = any(run.silent_sources for run in known.values())
        sources = report_sources(warehouse, list(experiments)) if any_silent else {}
    for done, (key, experiment) in enumerate(experiments.items(), start=1):
        scorecard = measure_aggregates(
            experiment,
            views[key],
            run=known[key],
            question=question,
            version=version,
            zone=zone,
        )
        silent = silent_notes(sources.get(key, ()), known[key].silent_sources)
        yield replace(scorecard, warnings=(*scorecard.warnings, *silent))
        if advance is not None:
            advance(done, len(experiments))
