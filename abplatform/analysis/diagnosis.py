"""Which stage broke a split: assignment, execution, logging or analysis?

A mismatch leaves a trace. Units dealt in wrong shares are wrong everywhere alike. A variant that
was down is wrong on some days; one whose events get lost is wrong in a source, or in the segment,
channel or country where it loses them. Units left out by one variant's behaviour are wrong among
bots. So each way to cut the units is asked: is there a small part without which the rest came as
planned? The part that takes fewest units with it is the one that carries the imbalance.

References:
    Fabijan, A. et al. (2019). Diagnosing sample ratio mismatch in online controlled experiments.
    KDD 2019, doi:10.1145/3292500.3330722.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl

from abplatform.analysis.scorecard import (
    Question,
    Run,
    SrmCheck,
    has_unit_rows,
    known_then,
    measure,
    scope_of,
)
from abplatform.analysis.scorecard.split import count_mismatches, judge_split
from abplatform.analysis.scorecard.split_counts import Level, Split, SplitDay, read_split
from abplatform.domain.experiment import Experiment
from abplatform.logs.store.answering import Store
from abplatform.stats.ratio import Undetermined
from abplatform.stats.srm import SRM_ALPHA, SrmTest

__all__ = ["Diagnosis", "Part", "Remedy", "SplitView", "Stage", "diagnose", "view_split"]

Stage = Literal["assignment", "execution", "logging", "analysis"]
Remedy = Literal["restart", "exclude_source", "do_not_use", "acknowledge"]

_CUTS = ("source", "bot", "day", "segment", "channel", "country")
"""Ways to cut the units; where two explain it alike, the first of them is named."""

_STAGES: Mapping[str, Stage] = {
    "source": "logging",
    "bot": "analysis",
    "day": "execution",
    "segment": "logging",
    "channel": "logging",
    "country": "logging",
}

_REST_P = 0.01
"""The rest came as planned if its p-value is above this."""

_ENOUGH = 10.83
"""A rest that could not have shown the same imbalance at p < 0.001 proves nothing."""

_MOST_LEVELS = 100
"""Levels of one cut that are looked at, those with the most units."""

_MISMATCHED = 0.01
"""From this share of units on, disagreement between log and hash is a fault of assignment."""


@dataclass(frozen=True, slots=True)
class Part:
    """Units of one level of one cut.

    Args:
        cut: The column, such as ``source``.
        level: Its value: a text, a day, or whether units are bots.
        units: Variant to units.
        expected: Variant to units as planned.
        statistic: Chi-square of these units.
        p_value: Its p-value.
        carries: Whether the imbalance is gone without it and its like.
    """

    cut: str
    level: Level
    units: Mapping[str, int]
    expected: Mapping[str, float]
    statistic: float
    p_value: float
    carries: bool = False

    @property
    def name(self) -> str:
        """The level as text."""
        if isinstance(self.level, bool):
            return "yes" if self.level else "no"
        return str(self.level)

    def to_json(self) -> dict[str, Any]:
        """Return the public object."""
        return {
            "cut": self.cut,
            "level": self.name,
            "units": dict(self.units),
            "expected": dict(self.expected),
            "p_value": self.p_value,
            "carries": self.carries,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What most likely broke a split, and what to do.

    Args:
        stage: Where it broke; None when nothing did, or when it cannot be told.
        sentence: The finding in plain words.
        remedy: What to do; None when there is nothing to do.
        source: The source to exclude, if that is the remedy.
        parts: Every level of every cut that has several, the worst first within a cut.
    """

    stage: Stage | None
    sentence: str
    remedy: Remedy | None = None
    source: str | None = None
    parts: tuple[Part, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the public object, without the command, which the caller knows."""
        return {
            "stage": self.stage,
            "sentence": self.sentence,
            "remedy": self.remedy,
            "source": self.source,
            "parts": [part.to_json() for part in self.parts],
        }


@dataclass(frozen=True, slots=True, eq=False)
class SplitView:
    """What is known of a split.

    Args:
        check: Its verdict.
        days: Day by day; empty for reports.
        split: For a diagnosis; None for reports.
        mismatches: Units, and those in another variant than the hash says.
    """

    check: SrmCheck
    days: tuple[SplitDay, ...] = ()
    split: Split | None = None
    mismatches: tuple[int, int] | None = None


def view_split(
    warehouse: Store, experiment: Experiment, *, run: Run, question: Question, zone: ZoneInfo
) -> SplitView:
    """Check an experiment's split as a question asks for it.

    Args:
        warehouse: The open store.
        experiment: As its YAML says.
        run: How it ran.
        question: Up to when units count.
        zone: Where a workspace day ends.
    """
    if not has_unit_rows(warehouse, experiment.key):
        card = measure(warehouse, experiment, run=run, question=question, zone=zone)
        return SplitView(card.srm)
    scope = scope_of(experiment, question, {}, excluded_sources=run.excluded_sources)
    with known_then(warehouse, question):
        split = read_split(warehouse, scope, run)
        mismatches = count_mismatches(warehouse, scope, run)
    check = judge_split(split, scope, run, zone=zone)
    return SplitView(check, split.days(), split, mismatches)


def diagnose(
    split: Split,
    check: SrmCheck,
    *,
    mismatches: tuple[int, int] | None,
    may_restart: bool,
    keeps_bots: bool = False,
) -> Diagnosis:
    """Name the stage that most likely broke a split, and one remedy.

    Args:
        split: Where units had their first exposure.
        check: What the sample ratio check says of it.
        mismatches: Units, and those that the log puts into another variant than the hash; None
            where the platform assigned nobody.
        may_restart: Whether the experiment can be begun again with a fresh salt.
        keeps_bots: Whether flagged units count in the analysis.
    """
    whole = split.test()
    if isinstance(whole, Undetermined):
        return Diagnosis(None, whole.reason.partition(": ")[2])
    cuts = {cut: _parts(split, cut) for cut in _CUTS}
    if not whole.alarm and not check.segments:
        return _diagnose_sound(split, check, cuts, keeps_bots=keeps_bots)
    begin_again: Remedy = "restart" if may_restart else "do_not_use"
    found = _carriers(split, cuts, whole, segments=check.segments)
    parts = _mark(cuts, found)
    if found and not _strangers(split):
        cut = found[0].cut
        stage, remedy = _STAGES[cut], _remedy_of(found, cuts, begin_again)
        source = found[0].name if remedy == "exclude_source" else None
        return Diagnosis(stage, _say_carried(found, whole), remedy, source, parts)
    if mismatches is not None and mismatches[1] <= _MISMATCHED * mismatches[0]:
        text = (
            f"{_say(whole)} The same is missing everywhere, while the units that are there stand "
            "where the hash puts them: a variant loses units evenly, as by a crash, a redirect or "
            "a time-out before its first event."
        )
        return Diagnosis("execution", text, begin_again, None, parts)
    return Diagnosis("assignment", _say_even(whole, mismatches), begin_again, None, parts)


def _diagnose_sound(
    split: Split, check: SrmCheck, cuts: Mapping[str, Sequence[Part]], *, keeps_bots: bool
) -> Diagnosis:
    """All units came as planned; did those that are analysed?"""
    kept = ~pl.col("mixed") if keeps_bots else ~pl.col("mixed") & ~pl.col("bot")
    analysed = split.where(kept).test()
    parts = _mark(cuts, ())
    if isinstance(analysed, SrmTest) and analysed.alarm:
        text = (
            "All units came in the planned shares, but those that are analysed did not: "
            f"{_say(analysed)} Bots, or units seen in two variants, are left out of one variant "
            "more than of the other, so what they did decides who is compared."
        )
        return Diagnosis("analysis", text, "do_not_use", None, parts)
    if check.verdict == "alarm":
        text = (
            f"The alarm of {check.fired_on} has passed: all units so far came in the planned "
            "shares. Look at what happened by that day, then acknowledge it."
        )
        return Diagnosis(None, text, "acknowledge", None, parts)
    return Diagnosis(None, "Units came in the planned shares; there is nothing to diagnose.")


def _parts(split: Split, cut: str) -> list[Part]:
    """Return the levels of a cut, the worst first; none if there is only one."""
    found = []
    for level in _largest(split, cut):
        test = split.where(pl.col(cut) == level).test()
        if isinstance(test, SrmTest):
            found.append(
                Part(
                    cut=cut,
                    level=level,
                    units=test.observed,
                    expected=test.expected,
                    statistic=test.statistic,
                    p_value=test.p_value,
                )
            )
    found.sort(key=lambda part: (-part.statistic, part.name))
    return found if len(found) > 1 else []


def _largest(split: Split, cut: str) -> list[Level]:
    """Return the levels of a cut with the most units, as many as are asked one by one."""
    cells = pl.concat([phase.cells.select(cut, "units") for phase in split.phases])
    sums = cells.group_by(cut).agg(pl.col("units").sum()).sort("units", cut, descending=True)
    return sums[cut].head(_MOST_LEVELS).to_list()


def _carriers(
    split: Split,
    cuts: Mapping[str, Sequence[Part]],
    whole: SrmTest,
    *,
    segments: Sequence[str],
) -> list[Part]:
    """Return the levels of one cut without which the rest came as planned; none if there are none.

    Of several cuts with such levels, the one that takes fewest units away.
    """
    if not whole.alarm:
        return [part for part in cuts["segment"] if part.name in segments]
    candidates = [
        found for cut in _CUTS if (found := _smallest_part(split, cuts[cut], whole)) is not None
    ]
    return min(candidates, key=_size, default=[])


def _smallest_part(split: Split, parts: Sequence[Part], whole: SrmTest) -> list[Part] | None:
    """Take the worst levels away, one by one, until the rest is sound."""
    taken: list[Part] = []
    for part in parts[:-1]:
        if part.p_value >= SRM_ALPHA / len(parts):
            return None
        taken.append(part)
        rest = split.where(~pl.col(part.cut).is_in([one.level for one in taken])).test()
        if isinstance(rest, Undetermined) or not _could_show(rest, whole):
            return None
        if rest.p_value > _REST_P:
            return taken
    return None


def _could_show(rest: SrmTest, whole: SrmTest) -> bool:
    """Whether the rest is large enough to show the imbalance of the whole."""
    return whole.statistic * sum(rest.observed.values()) >= _ENOUGH * sum(whole.observed.values())


def _size(parts: Sequence[Part]) -> int:
    return sum(sum(part.units.values()) for part in parts)


def _mark(cuts: Mapping[str, Sequence[Part]], found: Sequence[Part]) -> tuple[Part, ...]:
    return tuple(replace(part, carries=part in found) for parts in cuts.values() for part in parts)


def _remedy_of(
    found: Sequence[Part], cuts: Mapping[str, Sequence[Part]], begin_again: Remedy
) -> Remedy:
    """One source is left out; days that are over are begun again; what is lost stays lost."""
    cut = found[0].cut
    if cut == "source" and len(found) < len(cuts["source"]):
        return "exclude_source"
    return begin_again if cut == "day" else "do_not_use"


def _strangers(split: Split) -> bool:
    return any(phase.counts().unplanned for phase in split.phases)


_TELL = {
    "source": "That source loses events of one variant, or logs units that were never shown it.",
    "bot": "Bots do not come to the variants alike, and with them goes what is left out.",
    "day": "A variant was not served, or not logged, for part of that time.",
    "segment": "One variant's events get lost there, as on slow devices.",
    "channel": "One variant's events get lost there.",
    "country": "One variant's events get lost there.",
}


def _say_carried(found: Sequence[Part], whole: SrmTest) -> str:
    cut = found[0].cut
    if cut == "bot":
        named = "bots" if found[0].level else "units that are no bots"
    else:
        noun = cut if len(found) == 1 else {"country": "countries"}.get(cut, f"{cut}s")
        named = f"{noun} {', '.join(part.name for part in found)}"
    rest = "the rest came as planned" if whole.alarm else "all together came as planned"
    return f"{_say(whole)} It is carried by {named}; {rest}. {_TELL[cut]}"


def _say_even(whole: SrmTest, mismatches: tuple[int, int] | None) -> str:
    text = f"{_say(whole)} It is the same in every part of the traffic, so units were dealt so"
    if mismatches is None:
        return f"{text}: check the weights where they were assigned."
    share = mismatches[1] / mismatches[0] if mismatches[0] else 0.0
    return (
        f"{text}: {mismatches[1]:,} of {mismatches[0]:,} ({share:.1%}) stand in another variant "
        "than the hash gives them; check that the service asks for this key and its weights."
    )


def _say(test: SrmTest) -> str:
    seen = ", ".join(f"{name} {count:,}" for name, count in test.observed.items())
    plan = ", ".join(f"{name} {count:,.0f}" for name, count in test.expected.items())
    return f"Seen {seen}; planned {plan} (p = {test.p_value:.2g})."
