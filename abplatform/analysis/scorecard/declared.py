"""Experiments that no YAML describes: a mapping file declares them as it reads a log."""

from __future__ import annotations

from abplatform.domain.experiment import Experiment, PrimaryMetric, Variant
from abplatform.logs.store.warehouse import Warehouse

__all__ = ["declared_experiments"]


def declared_experiments(warehouse: Warehouse) -> dict[str, Experiment]:
    """Return the experiments that mapping files declare, with equal weights and defaults.

    The control is the variant that the mapping names, or the first that appeared.
    """
    frame = warehouse.query("load/declared")
    found = {}
    for (key, control, unit), part in frame.group_by(
        "experiment", "control", "unit", maintain_order=True
    ):
        names = part["variant"].to_list()
        chosen = control if control in names else names[0]
        found[str(key)] = Experiment(
            key=str(key),
            variants=tuple(
                Variant(name, 100 / len(names), control=name == chosen) for name in names
            ),
            primary=PrimaryMetric("ctr"),
            unit=unit or "user_id",
            assignment="external",
        )
    return found
