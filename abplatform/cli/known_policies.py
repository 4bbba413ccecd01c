"""Policies made of what a workspace knows: by name, from a file, or as a record says they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from abplatform.workspace import Workspace

if TYPE_CHECKING:
    from abplatform.analysis.off_policy import BelievedRates, PolicyTarget, Target
    from abplatform.domain import experiment as words
    from abplatform.domain.catalog import Lineage
    from abplatform.logs.decided import Situation
    from abplatform.traffic.policies import Policy
    from abplatform.traffic.policies.snapshots import Snapshot

__all__ = ["KnownPolicies"]


@dataclass(frozen=True, slots=True)
class KnownPolicies:
    """Makes policies out of what the workspace knows.

    Args:
        snapshots: Where snapshots are.
        current: The one in force and its sha256, or None before the first one.
        lineage: Creative to how it was made.
    """

    snapshots: Path
    current: tuple[str, Snapshot] | None
    lineage: Mapping[str, Lineage]
    _made: dict[tuple[str, str | None], Policy | None] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """Read what there is."""
        from abplatform.creatives import read_lineage
        from abplatform.traffic.policies.snapshots import read_current

        folder = workspace.snapshots
        return cls(folder, read_current(folder), read_lineage(workspace.creatives))

    def target(self, asked: str, draws: int | None, seed: int) -> Target:
        """Return the policy of a name or of a file."""
        from abplatform.analysis.off_policy import BelievedRates, PolicyTarget, read_target
        from abplatform.domain.experiment import LEARNING_POLICIES, Policy

        target: PolicyTarget | BelievedRates
        named: dict[str, words.PolicyName] = {
            name: name for name in ("uniform", *sorted(LEARNING_POLICIES))
        }
        if asked in named:
            target = PolicyTarget(self.make(Policy(choose=named[asked])))
        elif not Path(asked).is_file():
            raise click.BadParameter(
                f"{asked!r} is neither uniform, thompson, contextual, reward nor a file",
                param_hint="--policy",
            )
        else:
            target = read_target(Path(asked), self.make, draws=draws, seed=seed)
        if draws is not None and not isinstance(target, BelievedRates):
            raise click.UsageError("--draws is for a file of beliefs; this policy is known exactly")
        return target

    def make(self, asked: words.Policy) -> Policy:
        """Return what the YAML's words mean, by the snapshot in force.

        Raises:
            AnalysisError: It rests on a snapshot, and there is none.
        """
        from abplatform.domain.experiment import LEARNING_POLICIES
        from abplatform.errors import AnalysisError
        from abplatform.traffic.policies import make_policy

        if asked.choose in LEARNING_POLICIES and self.current is None:
            raise AnalysisError(
                f"{asked.choose} rests on a snapshot, and there is none yet",
                path=self.snapshots,
                remedy="`abp ingest` makes one while an experiment with such a policy runs; or "
                "state beliefs in a file",
            )
        return make_policy(asked, self.current, self.lineage)

    def as_it_was(self, situation: Situation, stated: words.Policy) -> Policy | None:
        """Return the policy behind a decision record; None where what it rested on is gone."""
        if situation.policy == "rules":  # rules stand in the YAML, not in the record
            return self._ruling(stated)
        rests_on = situation.policy, situation.snapshot
        if rests_on not in self._made:
            self._made[rests_on] = self._remade(*rests_on)
        return self._made[rests_on]

    def _ruling(self, stated: words.Policy) -> Policy | None:
        from abplatform.traffic.policies import make_policy

        return make_policy(stated, None, self.lineage) if stated.choose == "rules" else None

    def _remade(self, asked: str, snapshot: str | None) -> Policy | None:
        from abplatform.domain.experiment import LEARNING_POLICIES
        from abplatform.domain.experiment import Policy as Stated
        from abplatform.errors import StoreError
        from abplatform.traffic.policies import make_policy
        from abplatform.traffic.policies.snapshots import read_snapshot

        known = None
        if snapshot is not None:
            try:
                known = snapshot, read_snapshot(self.snapshots, snapshot)
            except StoreError:
                return None
        for name in ("uniform", *LEARNING_POLICIES):
            if name == asked:
                return make_policy(Stated(choose=name), known, self.lineage)
        return None
