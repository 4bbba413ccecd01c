"""The gates of a ramp: what must be in order before an experiment gets more traffic."""

from __future__ import annotations

from abplatform.analysis.scorecard import Run, Scorecard, measure
from abplatform.cli.logs import experiment_facts
from abplatform.domain.experiment import Gate
from abplatform.errors import RegistryError
from abplatform.logs.load import ingest
from abplatform.logs.store.warehouse import Warehouse
from abplatform.traffic.registry import Registry

__all__ = ["find_closed_gate", "pass_gates"]


def pass_gates(registry: Registry, key: str, gates: tuple[Gate, ...]) -> None:
    """Load what is sealed, measure the experiment and refuse if a gate is closed.

    Args:
        registry: Of the workspace.
        key: A running experiment.
        gates: Those of its present step; without any, nothing is measured.

    Raises:
        RegistryError: A gate is closed, or nothing came in by which it could be judged.
    """
    if not gates:
        return
    workspace, found = registry.workspace, registry.find(key)
    ingest(workspace, experiment_facts(workspace))
    run = Run.of(found, now=workspace.clock())
    with workspace.lock(f"ramp {key}"), Warehouse.open(workspace) as warehouse:
        scorecard = measure(warehouse, found.experiment, run=run, zone=workspace.settings.time_zone)
    closed = find_closed_gate(scorecard, gates)
    if closed:
        raise RegistryError(
            f"{key} may not ramp: {closed}",
            path=found.path,
            remedy=f"look at `abp analyze {key}`; without a `gate` in the YAML it ramps unchecked",
        )


def find_closed_gate(scorecard: Scorecard, gates: tuple[Gate, ...]) -> str | None:
    """Return why a gate is closed, or None when all are open.

    ``srm`` opens when the sample ratio check says ok. ``guardrails`` opens unless one is proven to
    be harmed, by a bound that holds however often one looks.

    Args:
        scorecard: Measured.
        gates: What to check.
    """
    if "srm" in gates and scorecard.srm.verdict != "ok":
        return (
            "the units did not come in the planned shares (SRM alarm)"
            if scorecard.srm.verdict == "alarm"
            else "no unit has come in by which the split could be checked"
        )
    if "guardrails" in gates:
        for treatment, harmed in scorecard.harmed.items():
            return f"a guardrail is harmed in {treatment}: {'; '.join(harmed.values())}"
    return None
