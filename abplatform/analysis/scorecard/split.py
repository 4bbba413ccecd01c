"""Did units arrive where, and in the shares that, the plan says? Once, and after every day."""

from __future__ import annotations

import math
from datetime import datetime
from zoneinfo import ZoneInfo

import polars as pl

from abplatform.analysis.scorecard.looks import Run
from abplatform.analysis.scorecard.notes import note_changed_after
from abplatform.analysis.scorecard.record import SrmCheck, Warned
from abplatform.analysis.scorecard.scope import FOREVER, Scope, naive
from abplatform.analysis.scorecard.split_counts import Split, read_split
from abplatform.logs.store.answering import Store
from abplatform.stats.ratio import Undetermined
from abplatform.stats.srm import FIRES_AT, e_value_of

__all__ = [
    "check_split",
    "count_mismatches",
    "judge_split",
    "note_mismatches",
    "note_split",
]

_UTC = ZoneInfo("UTC")


def check_split(warehouse: Store, scope: Scope, run: Run, *, zone: ZoneInfo = _UTC) -> SrmCheck:
    """Compare where units had their first exposure with the weights of that moment.

    The alarm latches: the largest e-value at the end of a workspace day counts, until a person
    acknowledges it; from then on only the values of that day's end and later count. They are still
    those of all units so far: who acknowledges an imbalance has not mended it.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        run: Its phases and when alarms were acknowledged.
        zone: Where a workspace day ends.
    """
    return judge_split(read_split(warehouse, scope, run), scope, run, zone=zone)


def judge_split(split: Split, scope: Scope, run: Run, *, zone: ZoneInfo = _UTC) -> SrmCheck:
    """As :func:`check_split`, of a split that has been read."""
    test = split.test()
    known = [moment for moment in run.srm_acknowledged if moment < scope.until]
    acknowledged_at = max(known, default=None)
    if isinstance(test, Undetermined):
        expected = dict.fromkeys(split.names, 0.0)
        observed = _observed(split)
        return SrmCheck(
            observed, expected, None, None, "unavailable", acknowledged_at=acknowledged_at
        )
    days = split.days()
    first = 0
    if acknowledged_at is not None:
        since = acknowledged_at.astimezone(zone).date()
        # Nobody came since: what is known now is what was known at the end of today.
        first = min(sum(day.day < since for day in days), len(days) - 1)
    fired = [day for day in days[first:] if day.log_e >= math.log(FIRES_AT)]
    segments = _fired_segments(split, first)
    return SrmCheck(
        observed=test.observed,
        expected=test.expected,
        p_value=test.p_value,
        e_value=e_value_of(max(day.log_e for day in days[first:])),
        verdict="alarm" if fired or segments else "ok",
        e_value_now=e_value_of(days[-1].log_e),
        e_value_analysed=_analysed(split, scope),
        fired_on=fired[0].day if fired else None,
        segments=tuple(segments),
        acknowledged_at=acknowledged_at,
    )


def _analysed(split: Split, scope: Scope) -> float | None:
    """Return the e-value of the units that the analysis keeps."""
    kept = ~pl.col("mixed") if scope.bots else ~pl.col("mixed") & ~pl.col("bot")
    days = split.where(kept).days()
    return e_value_of(days[-1].log_e) if days else None


def _fired_segments(split: Split, first: int) -> list[str]:
    """Return the segments that fired; each pays for there being several."""
    names, paths = split.segment_paths()
    if len(names) < 2:
        return []
    fires_at = math.log(FIRES_AT * len(names))
    highest = paths[:, first:].max(axis=1)
    return [name for name, log_e in zip(names, highest, strict=True) if log_e >= fires_at]


def _observed(split: Split) -> dict[str, int]:
    observed = dict.fromkeys(split.names, 0)
    for phase in split.phases:
        for name, units in phase.counts().observed.items():
            observed[name] += units
    return observed


def note_split(check: SrmCheck, run: Run) -> list[Warned]:
    """Say what a latched alarm, a segment's alarm or an excluded source means for a reader."""
    notes = []
    now = check.e_value_now or 0.0
    if check.fired_on is not None and now < FIRES_AT:
        notes.append(
            Warned(
                "srm_latched",
                f"the sample ratio alarm of {check.fired_on} (e = {check.e_value:.3g}, now "
                f"{now:.3g}) stands until somebody acknowledges it with `abp srm --acknowledge`",
            )
        )
    if check.segments:
        named = ", ".join(check.segments)
        text = f"units came in other shares than planned in segment {named}"
        notes.append(Warned("srm_segment", text))
    if check.verdict == "ok" and (check.e_value_analysed or 0.0) >= FIRES_AT:
        text = (
            "all units came in the planned shares, but those that are analysed did not: bots or "
            "units seen in two variants are left out unevenly; see `abp srm --diagnose`"
        )
        notes.append(Warned("srm_analysed", text))
    if check.acknowledged_at is not None:
        text = (
            f"a sample ratio alarm was acknowledged on {check.acknowledged_at:%Y-%m-%d %H:%M} UTC"
        )
        notes.append(Warned("srm_acknowledged", text))
    changes = (f"source {name} was excluded" for name in run.excluded_sources)
    return [*notes, *note_changed_after(changes)]


def count_mismatches(warehouse: Store, scope: Scope, run: Run) -> tuple[int, int] | None:
    """Count units, and those that the log puts into another variant than the hash.

    Returns:
        Units and mismatches; None where the platform assigned nobody.
    """
    units = mismatches = 0
    checked = False
    bound = ("experiment", "until", "excluded_sources")
    values = {name: scope.values()[name] for name in bound}
    for phase, ends_at in zip(run.phases, _ends(run), strict=True):
        owned = [(name, held) for name, ranges in phase.variants.items() for held in ranges]
        if scope.experiment.assignment == "external" or not owned:
            continue
        row = warehouse.query(
            "portable/assignment_mismatches",
            **values,
            salt=f"experiment:{scope.experiment.key}",
            variants=[name for name, _ in owned],
            lows=[held.low for _, held in owned],
            highs=[held.high for _, held in owned],
            starts_at=naive(phase.starts_at),
            ends_at=naive(ends_at),
        ).row(0, named=True)
        checked = True
        units += int(row["units"])
        mismatches += int(row["mismatches"] or 0)
    return (units, mismatches) if checked else None


def note_mismatches(warehouse: Store, scope: Scope, run: Run) -> list[Warned]:
    """Warn of units that the log puts into another variant than the hash; the log is believed."""
    units, mismatches = count_mismatches(warehouse, scope, run) or (0, 0)
    if not mismatches:
        return []
    text = (
        f"{mismatches:,} of {units:,} units were logged in another variant than the assignment "
        "gives them; the log is believed, check that the service asks for the same key and unit"
    )
    return [Warned("assignment_mismatch", text)]


def _ends(run: Run) -> list[datetime]:
    """A phase lasts until the next one begins."""
    return [phase.starts_at for phase in run.phases[1:]] + [FOREVER][: len(run.phases)]
