"""The middle of a turn: what was landed becomes scorecards, verdicts and preference pairs."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from abplatform.analysis.pairs import PAIR_SCHEMA, Shelf, preference_pairs
from abplatform.analysis.scorecard import Run
from abplatform.analysis.verdict import analyze
from abplatform.creatives import read_catalogue, read_lineage
from abplatform.domain.catalog import Product
from abplatform.domain.experiment import State, Verdict
from abplatform.durable import replace_durably
from abplatform.errors import CatalogueError
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import sealed_segments
from abplatform.logs.load import ingest
from abplatform.logs.store.warehouse import Warehouse
from abplatform.loop.hands import Brief
from abplatform.loop.steps import Json, digest
from abplatform.traffic.registry import RegisteredExperiment, Registry
from abplatform.workspace import Workspace

__all__ = [
    "analyse_week",
    "decide_week",
    "ingest_week",
    "landed_digest",
    "pair_week",
    "publish_week",
    "scorecard_path",
]

WHO = "weekly"


def landed_digest(workspace: Workspace) -> str:
    """Return a hash of everything that is sealed, so that new segments make ingest run again."""
    return digest(sorted(segment.sha256 for segment in sealed_segments(workspace)))


def scorecard_path(workspace: Workspace, week: str, key: str) -> Path:
    """Return where a turn keeps an experiment's scorecard."""
    return workspace.runs / week / "analyse" / f"{key}.json"


def ingest_week(brief: Brief) -> Json:
    """Load what has landed; the receipt is the result."""
    facts = {
        key: ExperimentFacts.of(
            registered.experiment,
            started_at=registered.started_at,
            ended_at=registered.ended_at,
            phases=registered.phases,
        )
        for key, registered in Registry(brief.workspace).experiments().items()
    }
    receipt = ingest(brief.workspace, facts, advance=brief.advance)
    return dict(receipt.to_json())


def analyse_week(brief: Brief) -> Json:
    """Compute every scorecard of the week and keep it beside the turn."""
    lineage = read_lineage(brief.workspace.creatives)
    rows: dict[str, Any] = {}
    with _store(brief, "analyse") as warehouse:
        for done, (key, registered) in enumerate(brief.experiments.items(), start=1):
            scorecard = analyze(
                warehouse,
                registered.experiment,
                run=_run(registered, brief.workspace.clock()),
                lineage=lineage,
                zone=brief.workspace.settings.time_zone,
            ).to_json()
            text = json.dumps(scorecard, ensure_ascii=False, allow_nan=False, indent=1).encode()
            path = scorecard_path(brief.workspace, str(brief.week), key)
            replace_durably(path, text)
            rows[key] = {
                "sha256": hashlib.sha256(text).hexdigest(),
                "verdict": scorecard["verdict"]["verdict"],
                "status": scorecard["status"],
            }
            brief.advance(done, len(brief.experiments))
    return {"scorecards": rows}


def decide_week(brief: Brief) -> Json:
    """Write verdicts into the journal; stop what has reached its longest runtime.

    An experiment that a person decided before keeps that verdict.
    """
    registry = Registry(brief.workspace)
    rows: dict[str, Any] = {}
    for key, registered in brief.experiments.items():
        path = scorecard_path(brief.workspace, str(brief.week), key)
        found = json.loads(path.read_bytes())["verdict"]
        verdict = Verdict(found["verdict"])
        at = _end_of_run(brief, registered)
        over = registered.started_at is not None and at == _longest(registered)
        if registered.state in {State.RUNNING, State.PAUSED} and (
            over or verdict is not Verdict.CONTINUE
        ):
            registry.stop(key, at=at, who=WHO, reason=f"end of {brief.week}: {verdict}")
        if registered.state is State.DECIDED:
            verdict = registered.verdict or verdict
        elif verdict is not Verdict.CONTINUE:
            detail = {"reasons": found["reasons"], "week": str(brief.week)}
            registry.decide(key, verdict, at=brief.workspace.clock(), who=WHO, detail=detail)
        rows[key] = {"verdict": verdict.value, "reasons": found["reasons"]}
    return {"verdicts": rows}


def pair_week(brief: Brief) -> Json:
    """Write the week's preference pairs from every experiment that has ended and may teach."""
    shelf = Shelf(_products(brief.workspace), read_lineage(brief.workspace.creatives))
    verdicts: Any = brief.results["decide"]["verdicts"]
    frames = [PAIR_SCHEMA.to_frame()]
    with _store(brief, "pairs") as warehouse:
        for key, registered in brief.experiments.items():
            ended = registered.state in {State.STOPPED, State.DECIDED}
            wants = registered.experiment.learning.retrain == "weekly"
            if ended and wants and verdicts[key]["verdict"] != Verdict.INVALID:
                frames.append(
                    preference_pairs(
                        warehouse,
                        registered.experiment,
                        week=str(brief.week),
                        shelf=shelf,
                        zone=brief.workspace.settings.time_zone,
                    )
                )
    pairs = pl.concat(frames)
    file = io.BytesIO()
    pairs.write_parquet(file)
    path = brief.workspace.pairs / f"{brief.week}.parquet"
    replace_durably(path, file.getvalue())
    return {"pairs": len(pairs), "sha256": hashlib.sha256(file.getvalue()).hexdigest()}


def publish_week(brief: Brief) -> Json:
    """Publish what dashboards read."""
    from abplatform.analysis.publish import publish

    with _store(brief, "publish") as warehouse:
        return {"version": publish(brief.workspace, warehouse)}


@contextmanager
def _store(brief: Brief, step: str) -> Iterator[Warehouse]:
    """Open the warehouse for one step, alone."""
    with (
        brief.workspace.lock(f"weekly {brief.week}: {step}"),
        Warehouse.open(brief.workspace) as warehouse,
    ):
        yield warehouse


def _run(registered: RegisteredExperiment, now: datetime) -> Run:
    return Run(
        now=now,
        started_at=registered.started_at,
        ended_at=registered.ended_at,
        phases=registered.phases,
    )


def _longest(registered: RegisteredExperiment) -> datetime | None:
    since = registered.started_at
    return since + registered.experiment.analysis.max_runtime if since else None


def _end_of_run(brief: Brief, registered: RegisteredExperiment) -> datetime:
    """The week's end or the longest runtime, but never before the last change of phase."""
    end = brief.week.ends_at(brief.workspace.settings.time_zone)
    longest = _longest(registered)
    moments = [min(end, longest) if longest else end]
    if registered.phases:
        last = registered.phases[-1]
        moments += [last.starts_at, last.ends_at or last.starts_at]
    return max(moments)


def _products(workspace: Workspace) -> dict[str, Product]:
    """The catalogue by product id; empty where the team keeps none here."""
    try:
        found = read_catalogue(workspace.catalog).products
    except CatalogueError:
        return {}
    return {product.product_id: product for product in found}
