"""What the journal's rows add up to: state, phases and verdict of every experiment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from abplatform.domain.assignment import BUCKETS
from abplatform.domain.experiment import BucketRange, Experiment, Phase, State, Verdict
from abplatform.logs.facts import ExperimentFacts, Rates
from abplatform.traffic.journal import JournalRow
from abplatform.traffic.registry.lookbook import LOOK, SETS_LOOKS_ASIDE, RecordedLook, read_look
from abplatform.traffic.registry.remedies import Remedies
from abplatform.traffic.registry.special_days import read_calendar
from abplatform.workspace import CalendarStretch

__all__ = [
    "WITHDRAW",
    "Past",
    "RegisteredExperiment",
    "Review",
    "phase_facts",
    "replay",
    "replay_halted",
    "replay_reviews",
    "say_moment",
]

WITHDRAW: Final = "withdraw"
"""The action of a row that withdraws creatives; it may begin phases of several experiments."""


@dataclass(frozen=True, slots=True)
class RegisteredExperiment:
    """One experiment and how it stands.

    Args:
        experiment: As its YAML says; once started, as it said when it was started or last applied,
            with what may be edited while it runs as it stands now.
        state: Where it stands. An experiment whose units are assigned elsewhere needs no start: it
            counts as running until it is decided.
        started_at: From when on it assigns, or None.
        compared_since: From when on units are compared: the start, or the moment from which on
            variants have had the weights of now. None where nothing started.
        ended_at: When it was stopped, or None.
        phases: Its allocations in order of time.
        spec_sha256: sha256 of its YAML's bytes.
        verdict: What was decided, or None.
        path: Its YAML file, or None when there is none any more.
        resolved: Alias to the sha256 that it stood for at the start.
        plan: What the start fixed of the sequential plan, as JSON data; empty if it fixed nothing.
        looks: What was looked at so far, in order.
        calendar: Days unlike others as abp.yaml says now.
        calendar_at_start: As it said at the start; None where nothing was started, or by a version
            that did not keep it.
        remedies: What people did about its split.
        holdout_at_start: The share of units that it leaves alone, 0 … 1, as abp.yaml said at the
            start: a later change of it takes nobody away. None where that was not kept.
        rates: What money is worth in it, as the journal fixes it; None while nothing is fixed.
        rates_now: What money is worth by abp.yaml now; None where nobody asked.
    """

    experiment: Experiment
    state: State
    started_at: datetime | None
    ended_at: datetime | None
    phases: tuple[Phase, ...]
    spec_sha256: str
    verdict: Verdict | None = None
    path: Path | None = None
    resolved: Mapping[str, str] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    looks: tuple[RecordedLook, ...] = ()
    calendar: tuple[CalendarStretch, ...] = ()
    calendar_at_start: tuple[CalendarStretch, ...] | None = None
    remedies: Remedies = field(default_factory=Remedies)
    rates: Rates | None = None
    rates_now: Rates | None = None
    compared_since: datetime | None = None
    holdout_at_start: float | None = None

    @property
    def key(self) -> str:
        """The experiment's key."""
        return self.experiment.key

    def checkpoint(self, kind: str, name: str) -> str | None:
        """Return the sha256 that a checkpoint named in the YAML stood for at the start.

        Args:
            kind: Of model, such as ``reward``.
            name: An alias or a sha256; an alias that nothing stood behind has none.
        """
        if len(name) == 64:
            return name
        # The weekly turn once wrote aliases without the kind.
        return self.resolved.get(f"{kind}/{name}") or self.resolved.get(name)

    @property
    def facts(self) -> ExperimentFacts:
        """What the logs are told about it."""
        return ExperimentFacts.of(
            self.experiment,
            started_at=self.started_at,
            ended_at=self.ended_at,
            phases=self.compared_phases,
            rates=self.rates,
        )

    @property
    def compared_phases(self) -> tuple[Phase, ...]:
        """The phases whose units are compared: since then nobody was dealt anew.

        Those that lasted no time dealt nobody, perhaps by other weights.
        """
        since = self.compared_since
        return tuple(
            one
            for one in self.phases
            if (since is None or one.starts_at >= since) and one.ends_at != one.starts_at
        )

    @property
    def traffic(self) -> float:
        """The share of its units that is exposed in its newest phase, 0 … 1."""
        exposed = self.phases[-1].exposure if self.phases else BucketRange(0, 0)
        # A bound is floored to a whole bucket, which is less than a billionth.
        return round((exposed.high - exposed.low) / BUCKETS, 9)


@dataclass(frozen=True, slots=True)
class Review:
    """What a person said about one creative.

    Args:
        creative_id: The creative.
        decision: ``approved`` or ``rejected``.
        at: When.
        who: Who.
        reason: Why, or None.
        note: What else the person said, or None.
        channels: Where it holds; empty: in every channel.
        countries: Likewise.
        until: From then on an approved one is expired; None: it stays approved.
    """

    creative_id: str
    decision: Literal["approved", "rejected"]
    at: datetime
    who: str
    reason: str | None = None
    note: str | None = None
    channels: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """What the journal knows of one experiment.

    Args:
        state: Where it stands.
        changed_at: When it last changed.
        started_at: From when on it assigns, or None.
        compared_since: From when on units are compared; see :class:`RegisteredExperiment`.
        ended_at: When it was stopped, or None.
        phases: Its allocations in order of time.
        layer: The layer in which it holds its slots.
        spec_sha256: sha256 of the YAML's bytes as started; empty if it never started.
        spec_file: The YAML's path within the workspace at the start.
        verdict: What was decided, or None.
        resolved: Alias to sha256.
        plan: What the start fixed of the sequential plan, as JSON data.
        looks: What was looked at so far, in order.
        calendar: Days unlike others as abp.yaml said at the start; None if that was not kept.
        holdout: Share of units held out, as abp.yaml said at the start; None if not kept.
        edited_sha256: sha256 of the YAML's bytes at the stop, whose safe edits count; empty where
            there were none.
    """

    state: State
    changed_at: datetime
    started_at: datetime | None = None
    compared_since: datetime | None = None
    ended_at: datetime | None = None
    phases: tuple[Phase, ...] = ()
    layer: str = ""
    spec_sha256: str = ""
    spec_file: str = ""
    verdict: Verdict | None = None
    resolved: Mapping[str, str] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    looks: tuple[RecordedLook, ...] = ()
    calendar: tuple[CalendarStretch, ...] | None = None
    holdout: float | None = None
    edited_sha256: str = ""


def phase_facts(phase: Phase) -> dict[str, Any]:
    """Return a phase as the JSON data that the journal keeps; its ends are rows themselves."""
    return {
        "number": phase.number,
        "slots": [_pair(slot) for slot in phase.slots],
        "exposure": _pair(phase.exposure),
        # A list keeps the order of variants; JSON objects are sorted by key.
        "variants": [
            {
                "name": name,
                "weight": phase.weights[name],
                "ranges": [_pair(owned) for owned in held],
            }
            for name, held in phase.variants.items()
        ],
    }


def say_moment(moment: datetime) -> str:
    """Write a moment for people, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _pair(held: BucketRange) -> list[int]:
    return [held.low, held.high]


def _phase(facts: Mapping[str, Any], starts_at: datetime) -> Phase:
    return Phase(
        number=facts["number"],
        starts_at=starts_at,
        ends_at=None,
        slots=tuple(BucketRange(*slot) for slot in facts["slots"]),
        exposure=BucketRange(*facts["exposure"]),
        variants={
            variant["name"]: tuple(BucketRange(*owned) for owned in variant["ranges"])
            for variant in facts["variants"]
        },
        weights={variant["name"]: variant["weight"] for variant in facts["variants"]},
    )


def replay(rows: Iterable[JournalRow]) -> dict[str, Past]:
    """Return what the rows add up to, by experiment in order of start."""
    pasts: dict[str, Past] = {}
    for row in rows:
        if row.action == WITHDRAW:
            pasts.update(_after_withdrawal(pasts, row))
        elif row.experiment is not None and row.action in _APPLY:
            past = pasts.get(row.experiment) or Past(State.DRAFT, row.at)
            pasts[row.experiment] = _APPLY[row.action](replace(past, changed_at=row.at), row)
        elif row.action == LOOK and row.experiment in pasts:
            # A look changes nothing about the experiment, whose last change stays what it was.
            past = pasts[row.experiment]
            pasts[row.experiment] = replace(past, looks=(*past.looks, read_look(row)))
        elif row.experiment in pasts and row.detail.get(SETS_LOOKS_ASIDE):
            pasts[row.experiment] = replace(pasts[row.experiment], looks=())
    return pasts


def replay_reviews(rows: Iterable[JournalRow]) -> list[Review]:
    """Return every review, the oldest first."""
    return [_read_review(row) for row in rows if row.action == "review"]


def _read_review(row: JournalRow) -> Review:
    until = row.detail.get("until")
    return Review(
        creative_id=row.detail["creative_id"],
        decision=row.detail["decision"],
        at=row.at,
        who=row.who,
        reason=row.detail.get("reason"),
        note=row.detail.get("note"),
        channels=tuple(row.detail.get("channels", ())),
        countries=tuple(row.detail.get("countries", ())),
        until=None if until is None else datetime.fromisoformat(until),
    )


def replay_halted(rows: Iterable[JournalRow]) -> bool:
    """Tell whether all experiments are switched off."""
    switches = [row.action for row in rows if row.action in {"halt", "unhalt"}]
    return bool(switches) and switches[-1] == "halt"


def _after_withdrawal(pasts: Mapping[str, Past], row: JournalRow) -> dict[str, Past]:
    """The experiments that show other pictures from then on, with the same allocation."""
    return {
        key: replace(
            pasts[key],
            changed_at=row.at,
            phases=(*_close(pasts[key], row.at), _phase(facts, row.at)),
        )
        for key, facts in row.detail["phases"].items()
    }


def _close(past: Past, at: datetime) -> tuple[Phase, ...]:
    if not past.phases or past.phases[-1].ends_at is not None:
        return past.phases
    return (*past.phases[:-1], replace(past.phases[-1], ends_at=at))


def _open(past: Past, row: JournalRow) -> tuple[Phase, ...]:
    return (*_close(past, row.at), _phase(row.detail["phase"], row.at))


def _start(past: Past, row: JournalRow) -> Past:
    return replace(
        past,
        state=State.RUNNING,
        started_at=row.at,
        compared_since=row.at,
        phases=_open(past, row),
        layer=row.detail["layer"],
        spec_sha256=row.detail["spec_sha256"],
        spec_file=row.detail["spec_file"],
        resolved=row.detail["resolved"],
        plan=row.detail.get("plan", {}),
        calendar=read_calendar(row.detail["calendar"]) if "calendar" in row.detail else None,
        holdout=row.detail.get("holdout"),
    )


def _run(past: Past, row: JournalRow) -> Past:
    return replace(past, state=State.RUNNING, phases=_open(past, row))


def _reopen(past: Past, row: JournalRow) -> Past:
    spec, resolved = row.detail["spec_sha256"], row.detail["resolved"]
    opened = replace(_run(past, row), spec_sha256=spec, resolved=resolved)
    if "plan" not in row.detail:
        return opened
    return replace(
        opened,
        compared_since=row.at,
        plan=row.detail["plan"],
        calendar=read_calendar(row.detail["calendar"]),
        looks=(),
    )


def _pause(past: Past, row: JournalRow) -> Past:
    return replace(past, state=State.PAUSED, phases=_close(past, row.at))


def _stop(past: Past, row: JournalRow) -> Past:
    return replace(
        past,
        state=State.STOPPED,
        phases=_close(past, row.at),
        ended_at=row.at,
        edited_sha256=row.detail.get("edited_sha256", ""),
    )


def _decide(past: Past, row: JournalRow) -> Past:
    return replace(past, state=State.DECIDED, verdict=Verdict(row.detail["verdict"]))


_APPLY = {
    "start": _start,
    "resume": _run,
    "ramp": _run,
    "apply": _reopen,
    "pause": _pause,
    "stop": _stop,
    "decide": _decide,
}
