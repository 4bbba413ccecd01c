"""The middle of a turn: what was landed becomes scorecards, verdicts and preference pairs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from abplatform.analysis.pairs import PAIR_SCHEMA, keep_pairs, preference_pairs
from abplatform.analysis.publish import open_shelf, publish
from abplatform.analysis.scorecard import (
    Run,
    Scorecard,
    decision_moment,
    keep_scorecard_looks,
)
from abplatform.analysis.verdict import analyze
from abplatform.creatives import read_lineage
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import State, Verdict
from abplatform.durable import replace_durably
from abplatform.logs.landing import sealed_segments
from abplatform.logs.load import ingest, is_lost
from abplatform.logs.sources import silent_sources
from abplatform.logs.store.warehouse import Warehouse
from abplatform.loop.hands import Brief
from abplatform.loop.steps import Json, digest, file_digest
from abplatform.traffic.registry import RegisteredExperiment, Registry
from abplatform.traffic.registry.lookbook import read_looks
from abplatform.workspace import Workspace

__all__ = [
    "analyse_week",
    "decide_week",
    "ingest_week",
    "judge_experiment",
    "landed_digest",
    "open_store",
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
    known = Registry(brief.workspace).experiments()
    facts = {key: registered.facts for key, registered in known.items()}
    receipt = ingest(brief.workspace, facts, advance=brief.advance)
    return dict(receipt.to_json())


def analyse_week(brief: Brief) -> Json:
    """Compute every scorecard of the week and keep it beside the turn."""
    workspace = brief.workspace
    lineage = read_lineage(workspace.creatives)
    rows: dict[str, Any] = {}
    with open_store(workspace, f"weekly {brief.week}: analyse") as warehouse:
        for done, (key, registered) in enumerate(brief.experiments.items(), start=1):
            judged = judge_experiment(workspace, warehouse, registered, lineage=lineage)
            scorecard = judged.to_json()
            text = json.dumps(scorecard, ensure_ascii=False, allow_nan=False, indent=1).encode()
            path = scorecard_path(workspace, str(brief.week), key)
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
        over = registered.started_at is not None and at == _longest(brief, registered)
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
    workspace, week = brief.workspace, str(brief.week)
    shelf = open_shelf(workspace)
    verdicts: Any = brief.results["decide"]["verdicts"]
    path = workspace.pairs / f"{week}.parquet"
    count = 0
    with open_store(workspace, f"weekly {week}: pairs") as warehouse:
        for key, registered in brief.experiments.items():
            pairs = PAIR_SCHEMA.to_frame()
            if _teaches(registered) and verdicts[key]["verdict"] != Verdict.INVALID:
                pairs = preference_pairs(
                    warehouse,
                    registered.experiment,
                    week=week,
                    shelf=shelf,
                    run=Run.of(registered, now=workspace.clock()),
                    zone=workspace.settings.time_zone,
                )
            count += len(pairs)
            keep_pairs(path, pairs, experiment=key)
    return {"pairs": count, "sha256": file_digest(path)}


def publish_week(brief: Brief) -> Json:
    """Publish what dashboards read; experiments of other weeks stay as they were published."""
    workspace = brief.workspace
    lineage = read_lineage(workspace.creatives)
    predicted: Any = brief.results.get("gate", {}).get("predicted", {})
    with open_store(workspace, f"weekly {brief.week}: publish") as warehouse:
        judged = [
            (
                registered.experiment,
                judge_experiment(workspace, warehouse, registered, lineage=lineage),
            )
            for registered in brief.experiments.values()
        ]
        version = publish(workspace, warehouse, scorecards=judged, predicted=predicted)
    return {"version": version}


def judge_experiment(
    workspace: Workspace,
    warehouse: Warehouse,
    registered: RegisteredExperiment,
    *,
    lineage: Mapping[str, Lineage],
) -> Scorecard:
    """Return one experiment's judged scorecard as of now, and keep the looks that it took."""
    registry = Registry(workspace)
    # Somebody may have looked since the step began.
    looks = read_looks(registry.journal, registered.key)
    scorecard = analyze(
        warehouse,
        registered.experiment,
        run=replace(
            Run.of(registered, now=workspace.clock()),
            looks=looks,
            silent_sources=silent_sources(workspace),
        ),
        lineage=lineage,
        zone=workspace.settings.time_zone,
    )
    keep_scorecard_looks(registry, registered, scorecard, who=WHO)
    return scorecard


@contextmanager
def open_store(workspace: Workspace, job: str) -> Iterator[Warehouse]:
    """Open the warehouse for one job, alone; one that was lost since the ingest is made anew."""
    if is_lost(workspace, job):
        known = Registry(workspace).experiments()
        facts = {key: registered.facts for key, registered in known.items()}
        ingest(workspace, facts, read_sources=False)
    with workspace.lock(job), Warehouse.open(workspace) as warehouse:
        yield warehouse


def _teaches(registered: RegisteredExperiment) -> bool:
    ended = registered.state in {State.STOPPED, State.DECIDED}
    return ended and registered.experiment.learning.retrain == "weekly"


def _longest(brief: Brief, registered: RegisteredExperiment) -> datetime | None:
    """When the plan decides at the latest; days are the workspace's, also where clocks change."""
    run = Run.of(registered, now=brief.workspace.clock())
    return decision_moment(registered.experiment, run, brief.workspace.settings.time_zone)


def _end_of_run(brief: Brief, registered: RegisteredExperiment) -> datetime:
    """The week's end or the longest runtime, but never before the last change of phase."""
    end = brief.week.ends_at(brief.workspace.settings.time_zone)
    longest = _longest(brief, registered)
    moments = [min(end, longest) if longest else end]
    if registered.phases:
        last = registered.phases[-1]
        moments += [last.starts_at, last.ends_at or last.starts_at]
    return max(moments)
