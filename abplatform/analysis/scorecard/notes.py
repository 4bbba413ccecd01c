"""What a reader must know before trusting a scorecard, as warnings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from abplatform.analysis.scorecard.lifts import Compared
from abplatform.analysis.scorecard.looks import Run
from abplatform.analysis.scorecard.record import Look, Warned
from abplatform.analysis.scorecard.taken import TakenLook
from abplatform.domain.experiment import Experiment
from abplatform.domain.metrics import Metric
from abplatform.logs.facts import Rates
from abplatform.logs.store.answering import Store
from abplatform.stats.anytime import ANYTIME_EVENT_UNITS
from abplatform.stats.ratio import SMALL_SAMPLE_UNITS, RatioContrast

__all__ = [
    "note_changed_after",
    "note_doubtful",
    "note_fixed",
    "note_harm",
    "note_ignored_reports",
    "note_later",
    "note_no_traffic",
    "note_outside",
    "note_plan",
    "note_rates",
    "note_reweighted",
    "note_samples",
    "note_silent",
    "report_sources",
    "silent_notes",
]


def note_plan(
    experiment: Experiment, look: Look, looks: Sequence[TakenLook], *, reasons: Iterable[str] = ()
) -> list[Warned]:
    """Say where the plan stands, and which fields are null and why.

    Args:
        experiment: Names the test.
        look: Where the plan stands.
        looks: The looks taken so far.
        reasons: What else is null and why, as sentences.
    """
    notes = [] if look.reached else [Warned("before_the_decision_look", _before(look))]
    test, metric = experiment.analysis.test, experiment.primary.metric
    only = f"but for {metric} without a breakdown, the one lift that the plan tests"
    begun = f"a variant has fewer than {ANYTIME_EVENT_UNITS} units with an event"
    own = f"{_REPEATED_FIELDS}, {_PLAN_FIELDS}" if test == "sequential" else _PLAN_FIELDS
    gaps = [
        f"{own} are null {only}{_none_yet(looks)}",
        f"{_SEQUENCE_FIELDS} are null where {begun}, or a rate is not above zero",
        "ci_low, ci_high and p_value are of a fixed horizon: as if nobody had looked before",
    ]
    if test != "sequential":
        gaps.insert(0, f"{_REPEATED_FIELDS} are null (the {test} test has none)")
    return [*notes, Warned("not_applicable", "; ".join([*gaps, *reasons]))]


def note_fixed(look: Look, *, reasons: Iterable[str] = (), empty: bool = False) -> list[Warned]:
    """Say the same of an experiment whose reports are tested once, at the end.

    Args:
        look: Where the plan stands.
        reasons: What else is null and why, as sentences.
        empty: Whether nothing has been counted at all, neither reports nor units.
    """
    notes = [] if look.reached else [Warned("before_the_decision_look", _before(look))]
    once, unseen = "reports are tested once, at the end", "reports do not show how units vary"
    if empty:
        once = unseen = "nothing has been counted yet"
    gaps = [
        f"{_REPEATED_FIELDS}, {_PLAN_FIELDS} are null: {once}",
        f"{_SEQUENCE_FIELDS} are null: {unseen}",
        *reasons,
    ]
    return [*notes, Warned("not_applicable", "; ".join(gaps))]


_REPEATED_FIELDS = "sequential_low, sequential_high, sequential_p"
_PLAN_FIELDS = "look, information_fraction, boundary, alpha_spent and decided_at"


_SEQUENCE_FIELDS = "anytime_low, anytime_high, anytime_p and e_value"


def _before(look: Look) -> str:
    return (
        f"{look.sentence}; until then p_adjusted is null, nothing is decided, and a category is "
        "called significant only by its e-value"
    )


def _none_yet(looks: Sequence[TakenLook]) -> str:
    return "" if looks else "; no look has been taken yet"


def note_doubtful(overview: Mapping[str, Any], *, bots: bool) -> list[Warned]:
    """Count what the scorecard keeps although it may not last or may be no person."""
    kept, late = int(overview["bot_units"] or 0), int(overview["rows_provisional"] or 0)
    notes = []
    if bots and kept:
        notes.append(Warned("bots", f"{kept:,} units flagged as bots are kept in the scorecard"))
    if late:
        notes.append(Warned("provisional", f"{late:,} exposures may still receive late clicks"))
    return notes


def note_outside(impressions: int) -> list[Warned]:
    """Count what was reported of days in which the experiment did not run."""
    if not impressions:
        return []
    text = (
        f"{impressions:,} reported impressions fell outside the experiment's running time and are "
        "left out"
    )
    return [Warned("outside_phase", text)]


def note_changed_after(changes: Iterable[str]) -> list[Warned]:
    """Say what about the counting was changed after the experiment had started.

    Args:
        changes: Parts of a sentence, such as ``source app was excluded``.
    """
    named = "; ".join(changes)
    if not named:
        return []
    text = f"changed after the start: {named}; who saw the numbers first may have chosen so"
    return [Warned("changed_after_the_fact", text)]


def note_rates(metrics: Iterable[Metric], fixed: Rates | None, now: Rates | None) -> list[Warned]:
    """Say so where money is counted by other rates than abp.yaml gives today.

    Args:
        metrics: Those that the experiment lists.
        fixed: The rates of its start.
        now: Those of abp.yaml.
    """
    if fixed is None or now is None or not any(metric.needs_money for metric in metrics):
        return []
    today = now.worth if now.currency == fixed.currency else {}
    moved = [
        f"{name} {worth:g} ({f'{today[name]:g}' if name in today else 'no rate'} now)"
        for name, worth in fixed.worth.items()
        if name != fixed.currency and today.get(name) != worth
    ]
    if now.currency != fixed.currency:
        moved.insert(0, f"abp.yaml counts in {now.currency} now")
    if not moved:
        return []
    text = f"money is counted in {fixed.currency} by the rates of the start: {'; '.join(moved)}"
    return [Warned("rates_of_the_start", text)]


def note_reweighted(run: Run, as_of: datetime | None, zone: ZoneInfo) -> list[Warned]:
    """Say since when units are compared, where that is not the start.

    Args:
        run: How it ran.
        as_of: The moment that is asked about; None for now.
        zone: Where a workspace day ends.
    """
    began, since = run.earlier_weights
    if began == since:
        return []
    moment = f"{since.astimezone(zone):%Y-%m-%d %H:%M}"
    text = (
        f"units have had the weights of now since {moment}: the comparison begins there, and alpha "
        "that earlier looks spent stays spent"
    )
    if as_of is not None and as_of < since:
        text = (
            f"it was re-weighted at {moment}, after the moment that is asked about: what was seen "
            "until then is not compared any more; its looks are in the journal (abp history)"
        )
    return [Warned("reweighted", text)]


def note_later() -> list[Warned]:
    """Say that there is more than the verdict rests on."""
    text = (
        "exposures after the decision look update the rates and lifts shown, never the verdict nor "
        "the interval that it rests on"
    )
    return [Warned("after_the_decision", text)]


def note_samples(compared: Iterable[Compared]) -> list[Warned]:
    """Flag overall results that rest on few units with an event."""
    return [
        Warned(
            "small_sample",
            f"{one.lift.metric} of {one.lift.treatment} rests on fewer than {SMALL_SAMPLE_UNITS} "
            "units with an event in a variant",
        )
        for one in compared
        if one.lift.breakdown is None
        and isinstance(one.contrast, RatioContrast)
        and one.contrast.small_sample
    ]


def note_harm(harmed: Mapping[str, Mapping[str, str]]) -> list[Warned]:
    """Warn of guardrails that are harmed, whether or not a look may decide already."""
    return [
        Warned("guardrail_harmed", f"{treatment}: {told}")
        for treatment, found in harmed.items()
        for told in found.values()
    ]


def note_ignored_reports() -> list[Warned]:
    """Say that pre-aggregated reports do not count beside unit rows."""
    text = "pre-aggregated reports of this experiment are ignored, since it has unit rows"
    return [Warned("aggregates_ignored", text)]


def note_silent(
    warehouse: Store, experiment: Experiment, silent: Mapping[str, str]
) -> list[Warned]:
    """Say which of the sources that an experiment reads have fallen silent.

    Args:
        warehouse: The open store.
        experiment: Whose sources.
        silent: Source to the sentence that says since when nothing has come of it.
    """
    if not silent:
        return []
    units = warehouse.query("portable/exposure_sources", experiment=experiment.key)
    reports = report_sources(warehouse, [experiment.key])
    return silent_notes({*units["source"], *reports.get(experiment.key, ())}, silent)


def report_sources(warehouse: Store, keys: Sequence[str]) -> dict[str, set[str]]:
    """Return the sources of experiments' newest reports; an experiment without any is missing."""
    found: dict[str, set[str]] = {}
    rows = warehouse.query("portable/aggregate_sources", experiments=list(keys), excluded=[""])
    for key, source in rows.select("experiment", "source").iter_rows():
        found.setdefault(key, set()).add(source)
    return found


def silent_notes(sources: Collection[str], silent: Mapping[str, str]) -> list[Warned]:
    """Return one sentence for each source that has fallen silent."""
    return [Warned("source_silent", silent[source]) for source in sorted(silent.keys() & sources)]


def note_no_traffic(experiment: Experiment, variants: Iterable[str]) -> list[Warned]:
    """Say that nothing, or nothing of one variant, has been logged."""
    missing = list(variants)
    if len(missing) == len(experiment.variants):
        text = (
            f"no exposure of {experiment.key} counts yet; ingest its log with `abp ingest FILE`, "
            "or check that it has been started"
        )
        return [Warned("no_traffic", text)]
    return [
        Warned(
            "variant_without_traffic",
            f"{name} has no exposure that counts; check that it is served and logged",
        )
        for name in missing
    ]
