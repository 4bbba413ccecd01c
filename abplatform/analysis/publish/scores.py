"""Scorecards, lifts and daily counts as published tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC

import polars as pl

from abplatform.analysis.publish.shop import Shop
from abplatform.analysis.report import headline
from abplatform.analysis.scorecard import Question, Scorecard, have_unit_rows, scope_of
from abplatform.analysis.scorecard.scope import Scope
from abplatform.domain.experiment import Experiment
from abplatform.logs.store.published import TABLES

__all__ = ["Judged", "daily_rows", "lift_rows", "scope_as_judged", "scorecard_rows"]

Judged = Sequence[tuple[Experiment, Scorecard]]


def scorecard_rows(judged: Judged) -> pl.DataFrame:
    """Return one row per judged scorecard."""
    rows = [
        {
            "experiment": scorecard.experiment,
            "as_of": scorecard.as_of.astimezone(UTC),
            "data_version": scorecard.data_version,
            "status": scorecard.status,
            "units": scorecard.units,
            "verdict": scorecard.decision.verdict.value if scorecard.decision else None,
            "sentence": headline(scorecard, experiment),
            "reasons": list(scorecard.decision.reasons) if scorecard.decision else [],
            "srm_verdict": scorecard.srm.verdict,
            "srm_p_value": scorecard.srm.p_value,
            "warnings": [f"{note.code}: {note.message}" for note in scorecard.warnings],
            "scorecard": json.dumps(scorecard.to_json(), ensure_ascii=False, allow_nan=False),
        }
        for experiment, scorecard in judged
    ]
    return pl.DataFrame(rows, schema=TABLES["scorecards"])


def lift_rows(judged: Judged) -> pl.DataFrame:
    """Return one row per lift."""
    rows = [
        {
            "experiment": scorecard.experiment,
            **lift.to_json(),
            "decided_at": lift.decided_at,
            "low_shown": lift.interval_shown[0],
            "high_shown": lift.interval_shown[1],
            "p_shown": lift.p_shown,
        }
        for _, scorecard in judged
        for lift in scorecard.lifts
    ]
    return pl.DataFrame(rows, schema=TABLES["lifts"])


def scope_as_judged(experiment: Experiment, scorecard: Scorecard) -> Scope:
    """Return the rows that a scorecard is about."""
    question, excluded = Question(as_of=scorecard.as_of), scorecard.excluded_sources
    return scope_of(experiment, question, {}, excluded_sources=excluded)


def daily_rows(shop: Shop, judged: Judged) -> pl.DataFrame:
    """Return counts per variant, day and category, and per day over all categories."""
    by_unit = have_unit_rows(shop.warehouse, (experiment.key for experiment, _ in judged))
    reported = [experiment.key for experiment, _ in judged if experiment.key not in by_unit]
    frames = [shop.warehouse.query("portable/aggregate_daily", experiments=reported or [""])]
    for experiment, scorecard in judged:
        if experiment.key in by_unit:
            scope = scope_as_judged(experiment, scorecard)
            values = {k: v for k, v in scope.values().items() if k not in {"known", "final"}}
            frame = shop.warehouse.query("portable/daily_totals", **values)
            frames.append(frame.with_columns(experiment=pl.lit(experiment.key)))
    schema = TABLES["daily"]
    return pl.concat([frame.select(list(schema)).cast(schema) for frame in frames])
