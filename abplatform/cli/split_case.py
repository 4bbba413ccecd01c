"""What ``abp srm`` knows of an experiment's split, and what it can do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from abplatform.cli.cases import OpenStore
from abplatform.errors import RegistryError
from abplatform.yaml_text import nearest

if TYPE_CHECKING:
    from abplatform.analysis.diagnosis import Diagnosis, Remedy, SplitView
    from abplatform.analysis.scorecard import Run
    from abplatform.domain.experiment import Experiment
    from abplatform.logs.store.warehouse import Warehouse
    from abplatform.traffic.registry import Registry
    from abplatform.traffic.registry.remedies import Remedies

__all__ = [
    "Act",
    "Decided",
    "SplitCase",
    "acknowledge",
    "begin_again",
    "exclude",
    "give_up",
]


@dataclass(frozen=True, slots=True)
class Decided:
    """What the journal is told of a decision."""

    at: datetime
    who: str
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class SplitCase:
    """One experiment with what questions about its split need.

    Args:
        store: Open.
        experiment: The experiment.
        registry: Of the workspace.
        run: How it ran.
        remedies: What was done about its split so far.
    """

    store: OpenStore[Warehouse]
    experiment: Experiment
    registry: Registry
    run: Run
    remedies: Remedies

    @classmethod
    def of(cls, store: OpenStore[Warehouse], key: str) -> SplitCase:
        """Find an experiment in the open store.

        Raises:
            RegistryError: Nobody knows the key.
        """
        from abplatform.traffic.registry import Registry

        experiment = store.find(key)
        registry = Registry(store.workspace)
        return cls(store, experiment, registry, store.run(key), registry.remedies(key))

    def again(self) -> SplitCase:
        """Read the journal anew."""
        return SplitCase.of(self.store, self.key)

    @property
    def key(self) -> str:
        """The experiment's key."""
        return self.experiment.key

    @property
    def zone(self) -> ZoneInfo:
        """Where a workspace day ends."""
        return self.store.workspace.settings.time_zone

    @property
    def may_restart(self) -> bool:
        """Whether the platform dealt its units, and nobody has begun it again yet."""
        return self.run.started_at is not None and self.remedies.successor is None

    def look(self, as_of: datetime | None = None) -> SplitView:
        """Check the split as of a moment, or as of now."""
        from abplatform.analysis.diagnosis import view_split
        from abplatform.analysis.scorecard import Question

        return view_split(
            self.store.warehouse,
            self.experiment,
            run=self.run,
            question=Question(as_of=as_of),
            zone=self.zone,
        )

    def diagnose(self, view: SplitView) -> Diagnosis:
        """Name what most likely broke the split."""
        from abplatform.analysis.diagnosis import Diagnosis, diagnose

        if view.check.verdict == "unavailable":
            return Diagnosis(None, "No unit has come yet; there is nothing to diagnose.")
        if view.split is None:
            text = "Reports count no units, so nothing tells where an imbalance comes from."
            remedy: Remedy | None = "do_not_use" if view.check.verdict == "alarm" else None
            return Diagnosis(None, text, remedy)
        return diagnose(
            view.split,
            view.check,
            mismatches=view.mismatches,
            may_restart=self.may_restart,
            keeps_bots=self.experiment.events.bots == "include",
        )


Act = Callable[[SplitCase, Decided], str]
"""Changes something and says what, in a sentence."""


def acknowledge(case: SplitCase, decided: Decided) -> str:
    """Write that a person has seen the alarm; say what that changes."""
    from abplatform.traffic.registry.remedies import acknowledge_split

    view = case.look()
    check = view.check
    if view.split is None or check.verdict != "alarm":
        if check.acknowledged_at is not None:
            return "the alarm was acknowledged before; nothing was changed"
        raise RegistryError(
            f"{case.key} has reports only; their check does not remember alarms"
            if check.verdict == "alarm"
            else f"{case.key} has no alarm that could be acknowledged",
            remedy=f"see `abp srm {case.key}`",
        )
    last = check.acknowledged_at
    if (
        last is not None
        and last.astimezone(case.zone).date() >= decided.at.astimezone(case.zone).date()
    ):
        return "the alarm was acknowledged today; the imbalance itself is still there"
    acknowledge_split(
        case.registry.journal,
        case.key,
        at=decided.at,
        who=decided.who,
        why=decided.why,
        e_value=check.e_value,
    )
    after = case.again().look().check
    if after.verdict == "alarm":
        return "acknowledged; but the imbalance is still there, so the alarm stays"
    return "acknowledged; later days can raise it again"


def exclude(source: str) -> Act:
    """Return what leaves a source out of every number, from now on and for any moment."""

    def act(case: SplitCase, decided: Decided) -> str:
        from abplatform.traffic.registry.remedies import exclude_source

        _check_source(case, source)
        new = exclude_source(
            case.registry.journal,
            case.key,
            source,
            at=decided.at,
            who=decided.who,
            why=decided.why,
            mends=case.look().check.verdict == "alarm",
        )
        if not new:
            return f"source {source} was excluded before; nothing was changed"
        return f"source {source} is excluded from every number of {case.key}"

    return act


def _check_source(case: SplitCase, source: str) -> None:
    """Refuse a source that is unknown, or the last one."""
    frame = case.store.warehouse.query("portable/exposure_sources", experiment=case.key)
    known = frame["source"].to_list()
    if not known:
        raise RegistryError(
            f"{case.key} has no exposures whose source could be excluded",
            remedy=f"see `abp srm {case.key}`",
        )
    if source not in known:
        near = nearest(source, known)
        raise RegistryError(
            f"{case.key} has no exposure from a source {source!r}",
            remedy=f"the nearest is {near!r}" if near else f"it has {', '.join(known)}",
        )
    if not set(known) - {source, *case.remedies.excluded_sources}:
        raise RegistryError(
            f"{source} is the only source of {case.key} that is left",
            remedy=f"to give the whole experiment up, use `abp srm {case.key} --do-not-use`",
        )


def begin_again(case: SplitCase, decided: Decided) -> str:
    """Stop it and write its successor; say where."""
    from abplatform.traffic.registry.successors import restart

    before = case.remedies.successor
    path = restart(case.registry, case.key, at=decided.at, who=decided.who, why=decided.why)
    if before is not None:
        return f"{case.key} was begun again as {before} before; nothing was changed"
    return (
        f"{case.key} is stopped; {path} begins it again with a fresh salt\n"
        f"once the fault is mended: abp start {case.again().remedies.successor}"
    )


def give_up(case: SplitCase, decided: Decided) -> str:
    """Stop it and write that its results are not to be used."""
    from abplatform.domain.experiment import State
    from abplatform.traffic.registry.remedies import refuse

    registry, found = case.registry, case.store.registered.get(case.key)
    if found is not None and found.state is State.DRAFT:
        raise RegistryError(
            f"{case.key} is a draft; it has no results that could be used",
            path=found.path,
            remedy=f"start it with `abp start {case.key}`, or delete its YAML",
        )
    if found is not None and found.started_at and found.state in {State.RUNNING, State.PAUSED}:
        reason = f"not to be used: {decided.why}"
        registry.stop(case.key, at=decided.at, who=decided.who, reason=reason)
    if not refuse(registry.journal, case.key, at=decided.at, who=decided.who, why=decided.why):
        return "it was said before that its results are not to be used; nothing was changed"
    return f"the verdict of {case.key} is invalid for good, and it yields no pairs"
