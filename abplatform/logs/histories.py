"""What units did before an experiment: the covariates that take noise out of its rates.

They come from the unit's own impressions and clicks in the store, in a window of time that ends
where the experiment starts, or from attributes that its first exposure carries. Nothing in them can
be an effect of the experiment: impressions, and clicks on them, lie strictly before its start and
so before every unit's first exposure, and the experiment's own impressions never count.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from abplatform.domain.experiment import Cuped, Experiment
from abplatform.logs.attribution import CLICK_STEPS, EARLY_MICROS, segment_of
from abplatform.logs.facts import micros, to_micros
from abplatform.logs.store.answering import Store

__all__ = ["HISTORY_SCHEMA", "read_histories"]

HISTORY_SCHEMA = pl.Schema({"unit_id": pl.String(), "x1": pl.Int64(), "x2": pl.Int64()})
"""A unit's pre-period totals: of the numerator (x1) and the denominator (x2); 0 where unknown."""


def read_histories(
    warehouse: Store, experiment: Experiment, cuped: Cuped, *, version: str, before: datetime
) -> pl.DataFrame:
    """Return what each of the experiment's units did before it; a unit that did nothing is missing.

    Args:
        warehouse: The open store.
        experiment: Whose units.
        cuped: A window of own logs, or the names of attributes (then in millionths).
        version: The data version up to which events are known.
        before: When the experiment started; events from then on do not count.

    Returns:
        The columns of :data:`HISTORY_SCHEMA`.

    Raises:
        StoreError: The store never had that version.
    """
    known_until = segment_of(warehouse, version)
    if cuped.window is None:
        rows = warehouse.query(
            "portable/unit_attributes",
            experiment=experiment.key,
            known_until=known_until,
            numerator=cuped.numerator or "",
            denominator=cuped.denominator or "",
        )
        return _as_histories(rows)
    end = to_micros(before)
    bounds: dict[str, Any] = {"known_until": known_until, "until_micros": end - 1}
    for table, query, constants, bounded in CLICK_STEPS:
        warehouse.materialise(table, query, **({**constants, **bounds} if bounded else constants))
    rows = warehouse.query(
        "portable/unit_histories",
        experiment=experiment.key,
        early_micros=EARLY_MICROS,
        attribution_micros=micros(experiment.events.attribution_window),
        from_micros=end - micros(cuped.window),
        **bounds,
    )
    warehouse.drop_steps()
    return _as_histories(rows)


def _as_histories(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        "unit_id",
        pl.col("numerator").fill_null(0).alias("x1"),
        pl.col("denominator").fill_null(0).alias("x2"),
    ).cast(HISTORY_SCHEMA)
