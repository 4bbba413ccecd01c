"""What dashboards and BI tools read: one new version of every published table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from abplatform.analysis.publish.creatives import creative_rows, pair_rows
from abplatform.analysis.publish.facts import (
    audit_rows,
    experiment_rows,
    health_rows,
    model_rows,
)
from abplatform.analysis.publish.scores import daily_rows, lift_rows, scorecard_rows
from abplatform.analysis.publish.shop import Shop, open_shelf, open_shop
from abplatform.analysis.scorecard import Run, Scorecard
from abplatform.analysis.verdict import analyze
from abplatform.domain.experiment import Experiment, State
from abplatform.errors import StoreError
from abplatform.logs.sources import silent_sources
from abplatform.logs.store.answering import Store
from abplatform.logs.store.published import TABLES, publish_tables, read_published
from abplatform.workspace import Workspace

__all__ = ["open_shelf", "publish"]

_BY_EXPERIMENT = ("scorecards", "lifts", "daily", "creatives", "pairs")


def publish(
    workspace: Workspace,
    warehouse: Store,
    *,
    scorecards: Iterable[tuple[Experiment, Scorecard]] | None = None,
    predicted: Mapping[str, float] | None = None,
) -> int:
    """Publish a new version of every table; the caller holds the workspace lock.

    Args:
        workspace: Whose tables.
        warehouse: The open store.
        scorecards: Judged scorecards to publish; what other experiments last published stays.
            None analyses every experiment that the registry knows and that has begun.
        predicted: Creative to the reward model's score before it ran.

    Returns:
        The number of the new version.
    """
    shop = open_shop(workspace, warehouse, predicted=predicted or {})
    judged = list(scorecards) if scorecards is not None else _analyse_all(shop)
    fresh = {
        "scorecards": scorecard_rows(judged),
        "lifts": lift_rows(judged),
        "daily": daily_rows(shop, judged),
        "creatives": creative_rows(shop, judged),
        "pairs": pair_rows(shop, judged),
    }
    before = _last_published(workspace.published)
    replaced = {experiment.key for experiment, _ in judged}
    tables = {
        name: _renew(name, before.get(name), fresh[name], replaced) for name in _BY_EXPERIMENT
    }
    tables["experiments"] = experiment_rows(shop, judged, before.get("experiments"))
    tables["health"] = health_rows(warehouse, silent_sources(workspace))
    tables["models"] = model_rows(workspace.checkpoints)
    tables["audit"] = audit_rows(shop.registry)
    return publish_tables(workspace.published, tables, clock=workspace.clock)


def _analyse_all(shop: Shop) -> list[tuple[Experiment, Scorecard]]:
    workspace = shop.workspace
    return [
        (
            registered.experiment,
            analyze(
                shop.warehouse,
                registered.experiment,
                run=replace(
                    Run.of(registered, now=workspace.clock()),
                    silent_sources=silent_sources(workspace),
                ),
                lineage=shop.shelf.lineage,
                zone=workspace.settings.time_zone,
            ),
        )
        for registered in shop.registered.values()
        if registered.state is not State.DRAFT
    ]


def _last_published(root: Path) -> Mapping[str, pl.DataFrame]:
    try:
        return read_published(root).tables
    except StoreError:
        # Nothing yet, or damaged, or of another version's columns: it is made anew.
        return {}


def _renew(
    name: str, before: pl.DataFrame | None, fresh: pl.DataFrame, replaced: set[str]
) -> pl.DataFrame:
    if before is None:
        return fresh
    kept = before.filter(~pl.col("experiment").is_in(sorted(replaced)))
    return pl.concat([kept, fresh.cast(TABLES[name])])
