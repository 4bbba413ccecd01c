"""Verdicts before and after a correction, for receipts: where the logs' job meets the analysis."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from abplatform.logs.load import Judge
    from abplatform.logs.store.warehouse import Warehouse
    from abplatform.workspace import Workspace

__all__ = ["judge_of"]


def judge_of(workspace: Workspace) -> Judge:
    """Return what says experiments' verdicts at a data version of the workspace's store.

    Nothing is loaded or read until it is asked, and no look is spent.
    """

    def judge(
        warehouse: Warehouse, experiments: Collection[str], data_version: str | None
    ) -> Mapping[str, str]:
        from abplatform.analysis.publish import open_shelf
        from abplatform.analysis.scorecard import Question
        from abplatform.analysis.verdict import analyze
        from abplatform.cli.cases import OpenStore
        from abplatform.logs.load import declared_experiments
        from abplatform.traffic.registry import Registry

        registered, problems = Registry(workspace).usable()
        declared = declared_experiments(warehouse)
        store = OpenStore(workspace, warehouse, registered, declared, tuple(problems))
        lineage = open_shelf(workspace).lineage
        found = {}
        for key in sorted({*registered, *declared} & set(experiments)):
            scorecard = analyze(
                warehouse,
                store.find(key),
                run=store.run(key),
                question=Question(data_version=data_version),
                lineage=lineage,
                zone=workspace.settings.time_zone,
            )
            decision = scorecard.decision
            found[key] = decision.verdict.value if decision else "continue"
        return found

    return judge
