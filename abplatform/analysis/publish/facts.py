"""Experiments, data health, model versions and the journal as published tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from abplatform.analysis.publish.scores import Judged
from abplatform.analysis.publish.shop import Shop
from abplatform.checkpoints import Checkpoint, aliases, list_checkpoints
from abplatform.domain.experiment import Experiment, State
from abplatform.logs.store.answering import Store
from abplatform.logs.store.published import TABLES
from abplatform.logs.taxonomy import unknown_by_source
from abplatform.traffic.registry import Registry

__all__ = ["audit_rows", "experiment_rows", "health_rows", "model_rows"]

_COUNTS = ("received", "accepted", "quarantined", "duplicate", "superseded", "forgotten")


def experiment_rows(shop: Shop, judged: Judged, before: pl.DataFrame | None) -> pl.DataFrame:
    """Return one row per experiment: those the registry knows, and those only a log declares."""
    rows = [
        {
            **_about(registered.experiment),
            "state": registered.state.value,
            "started_at": registered.started_at,
            "ended_at": registered.ended_at,
            "spec_sha256": registered.spec_sha256,
            "verdict": registered.verdict.value if registered.verdict else None,
        }
        for registered in shop.registered.values()
    ]
    rows += [
        {**_about(experiment), "state": State.RUNNING.value}
        for experiment, _ in judged
        if experiment.key not in shop.registered
    ]
    fresh = pl.DataFrame(rows, schema=TABLES["experiments"])
    if before is None:
        return fresh
    external = before.filter(
        (pl.col("assignment") == "external")
        & pl.col("spec_sha256").is_null()
        & ~pl.col("key").is_in(fresh["key"].to_list())
    )
    return pl.concat([fresh, external])


def health_rows(warehouse: Store, silent: Mapping[str, str]) -> pl.DataFrame:
    """Return one row per source: its watermark and what became of its events.

    Args:
        warehouse: The open store.
        silent: Source to the sentence that says since when it is silent; some never told anything.
    """
    ledger = warehouse.query("load/ledger")
    segments = warehouse.query("load/segments")
    reasons = warehouse.query("load/reasons")
    unknown = unknown_by_source(warehouse)
    watermarks = dict(warehouse.query("load/watermarks").iter_rows())
    counts = ledger.group_by("source").agg(pl.col(name).sum() for name in _COUNTS)
    rows = [
        {
            **row,
            "watermark": _instant(watermarks.get(row["source"])),
            "segments": segments.filter(source=row["source"]).height,
            "reasons": json.dumps(_reasons(reasons, row["source"])),
            "silent": silent.get(row["source"]),
            "unknown_categories": json.dumps(unknown.get(row["source"], {}), ensure_ascii=False),
        }
        for row in counts.sort("source").iter_rows(named=True)
    ]
    unheard = sorted(silent.keys() - set(counts["source"]))
    rows += [
        {
            "source": source,
            "segments": 0,
            "reasons": "{}",
            "silent": silent[source],
            "unknown_categories": "{}",
        }
        | dict.fromkeys(_COUNTS, 0)
        for source in unheard
    ]
    return pl.DataFrame(rows, schema=TABLES["health"])


def model_rows(root: Path) -> pl.DataFrame:
    """Return one row per model version, oldest first."""
    named = aliases(root)
    rows = [_model_row(one, named.get(one.kind, {})) for one in list_checkpoints(root)]
    return pl.DataFrame(rows, schema=TABLES["models"])


def audit_rows(registry: Registry) -> pl.DataFrame:
    """Return the journal, row by row."""
    rows = [
        {
            "sequence": row.sequence,
            "at": row.at,
            "who": row.who,
            "action": row.action,
            "experiment": row.experiment,
            "detail": json.dumps(dict(row.detail), ensure_ascii=False, sort_keys=True),
        }
        for row in registry.rows()
    ]
    return pl.DataFrame(rows, schema=TABLES["audit"])


def _about(experiment: Experiment) -> dict[str, Any]:
    return {
        "key": experiment.key,
        "owner": experiment.owner,
        "hypothesis": experiment.hypothesis,
        "layer": experiment.own_layer.name if experiment.assignment == "platform" else None,
        "unit": experiment.unit,
        "assignment": experiment.assignment,
        "primary_metric": experiment.primary.metric,
        "primary_direction": experiment.primary.direction,
        "variants": [variant.name for variant in experiment.variants],
        "control": experiment.control.name,
    }


def _reasons(reasons: pl.DataFrame, source: str) -> dict[str, int]:
    mine = reasons.filter(source=source).group_by("reason").agg(pl.col("events").sum())
    return {row["reason"]: int(row["events"]) for row in mine.sort("reason").to_dicts()}


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else datetime.fromtimestamp(micros / 1e6, UTC)


def _model_row(one: Checkpoint, named: Mapping[str, str]) -> dict[str, Any]:
    mine = sorted(alias for alias, sha256 in named.items() if sha256 == one.sha256)
    facts = one.metadata
    reasons = facts.get("reasons")
    return {
        "kind": one.kind,
        "sha256": one.sha256,
        "aliases": mine,
        "created_at": datetime.fromisoformat(one.created_at),
        "week": facts.get("week"),
        "metrics": json.dumps(facts.get("metrics", {}), ensure_ascii=False),
        "decision": facts.get("decision") or ("promoted" if "champion" in mine else "kept"),
        "reasons": [str(reason) for reason in reasons] if isinstance(reasons, list) else [],
    }
