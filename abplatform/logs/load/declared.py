"""Experiments that no YAML describes: mapping files declare them, the log tells their variants.

Which variant a log named first is kept in the landing, too: the row that named it may be forgotten,
and the control stays the control.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import polars as pl

from abplatform.domain.experiment import Experiment, PrimaryMetric, Unit, Variant
from abplatform.durable import replace_durably
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.mapping.spec import Declares
from abplatform.logs.store.answering import Store
from abplatform.logs.store.warehouse import Warehouse
from abplatform.workspace import Workspace

__all__ = [
    "declare_kept",
    "declare_seen",
    "declared_experiments",
    "declared_facts",
    "keep_declared",
    "kept_experiments",
]

_FILE = "declared.json"


def declared_experiments(warehouse: Store) -> dict[str, Experiment]:
    """Return the experiments that mapping files declare, by key.

    Variants stand in the order in which the logs named them, with equal weights; the control is the
    first one, or the one that the mapping names. One with a single variant so far is left out,
    since there is nothing to compare.
    """
    return _experiments(warehouse.query("load/declared"))


def kept_experiments(workspace: Workspace) -> dict[str, Experiment]:
    """Return the experiments of :func:`declared_experiments` by the landing, without a store."""
    path = workspace.landing / _FILE
    return _experiments(pl.read_ndjson(path)) if path.is_file() else {}


def _experiments(rows: pl.DataFrame) -> dict[str, Experiment]:
    found = {}
    for (key,), part in rows.group_by("experiment", maintain_order=True):
        names = part["variant"].to_list()
        rule = part["control"][0]
        control = rule if rule in names else names[0]
        if len(names) > 1:
            found[str(key)] = _experiment(str(key), names, control, unit=part["unit"][0])
    return found


def declared_facts(warehouse: Store) -> dict[str, ExperimentFacts]:
    """Return the facts of every declared experiment, also of those with one variant so far."""
    rows = warehouse.query("load/declared")
    facts = {}
    for (key,), part in rows.group_by("experiment", maintain_order=True):
        names = part["variant"].to_list()
        weight = 100 / len(names)
        facts[str(key)] = ExperimentFacts(
            key=str(key),
            weights=dict.fromkeys(names, weight),
            control=part["control"][0] if part["control"][0] in names else names[0],
            unit=part["unit"][0],
            assignment="external",
        )
    return facts


def declare_seen(
    warehouse: Warehouse,
    tables: Mapping[str, pl.DataFrame],
    declares: Declares,
    *,
    described: AbstractSet[str],
) -> None:
    """Note the experiments and variants that a mapped log declares, in order of appearance.

    Args:
        warehouse: The open warehouse.
        tables: A batch's rows by table.
        declares: How the log's mapping declares them.
        described: Experiments that YAML describes, so that no log may declare them.
    """
    parts = [
        rows.select("line", "experiment", "variant")
        for table, rows in tables.items()
        if table in {"impressions", "decisions", "aggregates"}
    ]
    if not parts:
        return
    pairs = (
        pl.concat(parts)
        .filter(~pl.col("experiment").is_in(list(described)))
        .sort("line")
        .unique(["experiment", "variant"], keep="first", maintain_order=True)
        .select("experiment", "variant")
        .with_row_index("appeared")
    )
    _add(warehouse, pairs, control=declares.control, unit=declares.unit)


def keep_declared(workspace: Workspace, warehouse: Warehouse) -> None:
    """Keep in the landing what mapping files declared so far; writes only what is new."""
    rows = warehouse.query("load/declared").to_dicts()
    told = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
    path = workspace.landing / _FILE
    if rows and (not path.is_file() or path.read_bytes() != told):
        replace_durably(path, told)


def declare_kept(workspace: Workspace, warehouse: Warehouse) -> None:
    """Note what :func:`keep_declared` kept, in a store that is made anew before it reads logs."""
    path = workspace.landing / _FILE
    if not path.is_file() or len(warehouse.query("load/declared")):
        return
    kept = pl.read_ndjson(path).rename({"ordinal": "appeared"})
    with warehouse.transaction():
        for (control, unit), part in kept.group_by("control", "unit"):
            pairs = part.select("appeared", "experiment", "variant")
            _add(warehouse, pairs, control=str(control), unit=str(unit))


def _add(warehouse: Warehouse, pairs: pl.DataFrame, *, control: str, unit: str) -> None:
    with warehouse.stage("declared", pairs):
        warehouse.execute("load/declare_experiments", control=control, unit=unit)
        warehouse.execute("load/add_declared")


def _experiment(key: str, names: list[str], control: str, *, unit: Unit) -> Experiment:
    return Experiment(
        key=key,
        variants=tuple(
            Variant(name=name, weight=100 / len(names), control=name == control) for name in names
        ),
        primary=PrimaryMetric("ctr"),
        unit=unit,
        assignment="external",
    )
