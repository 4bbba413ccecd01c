"""What the warehouse is told about experiments."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from abplatform.logs.facts import ExperimentFacts, micros
from abplatform.logs.store.warehouse import Warehouse

__all__ = ["tell_experiments"]


def tell_experiments(warehouse: Warehouse, experiments: Iterable[ExperimentFacts]) -> None:
    """Write what the experiments are into the warehouse, in place of what it said before."""
    facts = sorted(experiments, key=lambda one: one.key)
    for table in ("experiments", "variants", "running", "rates"):
        warehouse.execute("load/clear", table=table)
    warehouse.fill("experiments", _experiment_rows(facts))
    variants = [
        (one.key, variant, ordinal, float(weight))
        for one in facts
        for ordinal, (variant, weight) in enumerate(one.weights.items())
    ]
    names = ["experiment", "variant", "ordinal", "weight"]
    warehouse.fill("variants", pl.DataFrame(variants, schema=names, orient="row"))
    running = [(one.key, low, high) for one in facts for low, high in one.running_micros]
    names = ["experiment", "starts_micros", "ends_micros"]
    warehouse.fill("running", pl.DataFrame(running, schema=names, orient="row"))
    rates = [
        (one.key, currency, float(worth))
        for one in facts
        if one.rates is not None
        for currency, worth in sorted(one.rates.worth.items())
    ]
    names = ["experiment", "currency", "rate"]
    warehouse.fill("rates", pl.DataFrame(rates, schema=names, orient="row"))


def _experiment_rows(facts: Iterable[ExperimentFacts]) -> pl.DataFrame:
    rows = [
        (
            one.key,
            one.unit,
            one.assignment,
            one.control,
            micros(one.windows.attribution_window),
            micros(one.windows.conversion_window),
            micros(one.windows.refund_window),
            micros(one.windows.late_data),
        )
        for one in facts
    ]
    names = ["experiment", "unit", "assignment", "control"]
    windows = ["attribution_micros", "conversion_micros", "refund_micros", "late_micros"]
    return pl.DataFrame(rows, schema=[*names, *windows], orient="row")
