"""One weekly turn: generate → … → promote → publish, each step resumable.

Killed at any moment and called again, a turn ends with the same scorecards and the same
checkpoint: a finished step answers from its marker, and one that was cut short gives the same when
part of it was done before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from abplatform import checkpoints
from abplatform.domain.experiment import State
from abplatform.durable import replace_durably
from abplatform.errors import RegistryError
from abplatform.loop.hands import Advance, Brief, Hands
from abplatform.loop.measure import (
    analyse_week,
    decide_week,
    ingest_week,
    landed_digest,
    pair_week,
    publish_week,
)
from abplatform.loop.steps import Finished, Json, digest, hold_turn, run_step
from abplatform.loop.weeks import IsoWeek, final_at, parse_week
from abplatform.traffic.registry import RegisteredExperiment, Registry
from abplatform.workspace import Workspace

__all__ = ["STEPS", "Turn", "Watch", "experiments_of_week", "run_week"]

STEPS = (
    "generate",
    "register",
    "serve",
    "ingest",
    "analyse",
    "decide",
    "pairs",
    "retrain",
    "gate",
    "promote",
    "publish",
)
"""Every step of a turn, in order."""

WHO = "weekly"


class Watch(Protocol):
    """Follows a turn."""

    def __call__(self, step: str, finished: Finished | None) -> None:
        """Take note that a step begins (None) or is done."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How far a turn has come.

    Args:
        week: Which week it is about.
        steps: Those that are done, in order.
        final_at: When the week's rows can change no more.
        waiting: Whether it stopped before the verdict because that moment has not come.
    """

    week: IsoWeek
    steps: tuple[Finished, ...]
    final_at: datetime
    waiting: bool

    @property
    def results(self) -> dict[str, Json]:
        """Step to what it gave."""
        return {finished.step: finished.result for finished in self.steps}

    def to_json(self) -> dict[str, object]:
        """Return the turn as plain data."""
        return {
            "week": str(self.week),
            "status": "waiting" if self.waiting else "done",
            "final_at": self.final_at.isoformat(),
            "steps": [
                {
                    "step": finished.step,
                    "resumed": finished.resumed,
                    "seconds": finished.seconds,
                    "result": finished.result,
                }
                for finished in self.steps
            ],
        }


def run_week(
    workspace: Workspace,
    week: IsoWeek | str,
    hands: Hands,
    *,
    advance: Advance | None = None,
    watch: Watch | None = None,
) -> Turn:
    """Run one weekly turn, or what is left of it.

    Args:
        workspace: Where; one turn at a time runs in it.
        week: Such as ``2026-W48``.
        hands: What is done differently from place to place.
        advance: Told how far long work has come.
        watch: Told of every step's begin and end.

    Raises:
        WorkspaceError: That is no week.
        WorkspaceLocked: Another turn is under way, or another job does not end.
        RegistryError: No experiment runs in that week, or the week was
            served with other simulated traffic.
    """
    parsed = parse_week(week) if isinstance(week, str) else week
    with hold_turn(workspace.runs, str(parsed)):
        return _Run(workspace, parsed, hands, advance, watch).go()


def experiments_of_week(workspace: Workspace, week: IsoWeek) -> dict[str, RegisteredExperiment]:
    """Return the experiments that a week is about.

    These are all that ran in it, and the drafts whose key names it, such as
    ``beauty-generated-2026w48``.

    Raises:
        RegistryError: There is none.
    """
    zone = workspace.settings.time_zone
    begins, ends = week.starts_at(zone), week.ends_at(zone)
    found = {}
    for key, registered in Registry(workspace).experiments().items():
        since, until = registered.started_at, registered.ended_at
        ran = since is not None and since < ends and (until is None or until > begins)
        if ran or (registered.state is State.DRAFT and week.key_part in key):
            found[key] = registered
    if found:
        return found
    raise RegistryError(
        f"no experiment runs in {week}",
        path=workspace.experiments,
        remedy=f"write one whose key ends in {week.key_part}, or start one with `abp start`",
    )


class _Run:
    """A turn under way."""

    def __init__(
        self,
        workspace: Workspace,
        week: IsoWeek,
        hands: Hands,
        advance: Advance | None,
        watch: Watch | None,
    ) -> None:
        self.workspace = workspace
        self.week = week
        self.hands = hands
        self.advance = advance or _ignore
        self.watch = watch or _look_away
        self.folder = workspace.runs / str(week)
        self.done: list[Finished] = []
        self.champions = self._pinned_champions()

    def go(self) -> Turn:
        """Do every step that is not done yet."""
        specs = {
            key: registered.spec_sha256
            for key, registered in experiments_of_week(self.workspace, self.week).items()
        }
        self.step("generate", self.hands.generate, specs=specs, champions=self.champions)
        self.step("register", self.register, specs=specs)
        self.step("serve", self.hands.serve or _landed, once=self.hands.serve is not None)
        ends = final_at(
            self.week,
            (registered.experiment for registered in self.brief().experiments.values()),
            self.workspace.settings.time_zone,
        )
        waiting = self.workspace.clock() < ends
        landed = landed_digest(self.workspace) if waiting else None
        self.step("ingest", ingest_week, final=not waiting, landed=landed)
        self.step("analyse", analyse_week, final=not waiting)
        if not waiting:
            self.step("decide", decide_week)
            self.step("pairs", pair_week)
            self.step("retrain", self.hands.retrain)
            self.step("gate", self.hands.gate)
            self.step("promote", self.promote)
        self.step("publish", publish_week)
        return Turn(self.week, tuple(self.done), ends, waiting)

    def brief(self) -> Brief:
        """Return what the next step may know."""
        return Brief(
            workspace=self.workspace,
            week=self.week,
            experiments=experiments_of_week(self.workspace, self.week),
            champions=self.champions,
            results={finished.step: finished.result for finished in self.done},
            advance=self.advance,
        )

    def step(
        self, name: str, work: Callable[[Brief], Json], *, once: bool = False, **inputs: object
    ) -> None:
        """Do one step unless it is done, and keep what it gave."""
        depends = {
            "earlier": {finished.step: digest(finished.result) for finished in self.done},
            "hand": self.hands.inputs.get(name, {}),
            **inputs,
        }
        self.watch(name, None)
        finished = run_step(
            self.folder,
            name,
            depends,
            lambda: work(self.brief()),
            now=self.workspace.clock(),
            once=once,
        )
        self.done.append(finished)
        self.watch(name, finished)

    def register(self, brief: Brief) -> Json:
        """Start the week's drafts at its first moment; tell which edits do not take effect."""
        registry = Registry(self.workspace)
        starts = self.week.starts_at(self.workspace.settings.time_zone)
        for key, registered in brief.experiments.items():
            if registered.state is State.DRAFT:
                alias = self.champions.get(self.hands.kind)
                champion = f"{self.hands.kind}/{checkpoints.CHAMPION}"
                resolved = {champion: alias} if alias else {}
                registry.start(key, at=starts, who=WHO, resolved=resolved)
        unapplied = registry.unapplied()
        return {
            "running": sorted(brief.experiments),
            "unapplied": [str(unapplied[key]) for key in brief.experiments if key in unapplied],
        }

    def promote(self, brief: Brief) -> Json:
        """Make the challenger the champion where the gate lets it through, else keep it by."""
        root, kind = self.workspace.checkpoints, self.hands.kind
        challenger = brief.results["retrain"]["checkpoint_sha256"]
        champion = _champion(self.workspace, kind)
        promoted = bool(brief.results["gate"]["promote"]) and challenger is not None
        if promoted:
            checkpoints.promote(root, kind, str(challenger), at=self.workspace.clock())
            champion = str(challenger)
        elif challenger is not None and challenger != champion:
            checkpoints.nominate(root, kind, str(challenger))
        return {"promoted": promoted, "challenger": challenger, "champion": champion}

    def _pinned_champions(self) -> Mapping[str, str]:
        """Return the champions of the turn's first call, so that a resumed turn uses the same."""
        pins = self.folder / "champions.json"
        if not pins.is_file():
            named = checkpoints.aliases(self.workspace.checkpoints)
            now = {
                kind: aliases[checkpoints.CHAMPION]
                for kind, aliases in named.items()
                if checkpoints.CHAMPION in aliases
            }
            replace_durably(pins, json.dumps(now, sort_keys=True).encode())
        pinned: dict[str, str] = json.loads(pins.read_bytes())
        return pinned


def _champion(workspace: Workspace, kind: str) -> str | None:
    return checkpoints.aliases(workspace.checkpoints).get(kind, {}).get(checkpoints.CHAMPION)


def _landed(brief: Brief) -> Json:
    return {"traffic": "landed", "week": str(brief.week)}


def _ignore(done: int, total: int) -> None:
    """Show no progress."""


def _look_away(step: str, finished: Finished | None) -> None:
    """Follow nothing."""
