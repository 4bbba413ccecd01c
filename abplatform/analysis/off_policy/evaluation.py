"""A log and a target policy put together: gates first, then what the policy would have earned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from abplatform.analysis.off_policy.gates import Gate, judge_weights
from abplatform.analysis.off_policy.logged import LoggedChoices
from abplatform.analysis.off_policy.places import Places
from abplatform.analysis.off_policy.replay import replay_gate
from abplatform.analysis.off_policy.reward_model import FOLDS, fit_clicks
from abplatform.analysis.off_policy.targets import Target
from abplatform.logs.decided import Situation
from abplatform.stats.off_policy import (
    ESTIMATORS,
    LoggedRows,
    PolicyValue,
    diagnose_weights,
    estimate_values,
)
from abplatform.stats.undetermined import Undetermined
from abplatform.traffic.policies import Policy

__all__ = ["OUTSIDE_AT_MOST", "Evaluation", "evaluate"]

Vector = npt.NDArray[np.float64]

OUTSIDE_AT_MOST = 1e-9
"""The target's mass that the log need not support: what quadrature leaves."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the log says about the target policy.

    Args:
        policy: The target's name.
        rows: Impressions.
        units: Units; None where every impression stands alone.
        logged_rate: Clicked impressions over impressions of the log itself.
        gates: Every condition.
        values: One an estimator; empty when a gate refuses.
    """

    policy: str
    rows: int
    units: int | None
    logged_rate: float
    gates: tuple[Gate, ...]
    values: tuple[PolicyValue | Undetermined, ...]

    @property
    def refused(self) -> tuple[Gate, ...]:
        """The gates that refuse; none when all is well."""
        return tuple(gate for gate in self.gates if gate.passed is False)

    def to_json(self) -> dict[str, Any]:
        """Return plain data; numbers that cannot be computed are null with their reason."""
        return {
            "policy": self.policy,
            "rows": self.rows,
            "units": self.units,
            "logged_rate": self.logged_rate,
            "refused": [gate.name for gate in self.refused],
            "gates": [gate.to_json() for gate in self.gates],
            "values": [
                _value_to_json(name, value)
                for name, value in zip(ESTIMATORS, self.values, strict=False)
            ],
        }


def evaluate(
    logged: LoggedChoices,
    target: Target,
    *,
    rng: np.random.Generator,
    runs: int = 2000,
    as_it_was: Callable[[Situation], Policy | None] | None = None,
) -> Evaluation:
    """Say what the target policy would have earned per impression, or why that cannot be said.

    Args:
        logged: The impressions of the policy that ran.
        target: The policy that is asked about.
        rng: Deals folds and draws the bootstrap.
        runs: The bootstrap's runs.
        as_it_was: Gives the policy behind a decision record, None where that is gone; without it
            no record is asked again.

    Raises:
        AnalysisError: The target cannot choose among the log's creatives.
    """
    units = logged.units
    known = _gate_of_probabilities(logged.propensities)
    gates: tuple[Gate, ...] = (known,)
    values: tuple[PolicyValue | Undetermined, ...] = ()
    if known.passed:
        places = Places.of(logged, target)
        weights = places.chances / logged.propensities
        gates += judge_weights(diagnose_weights(weights, units))
        gates += (_gate_of_support(places.outside), _gate_of_replay(logged, as_it_was))
        if all(gate.passed is not False for gate in gates):
            rows = _rows(logged, places, weights, rng)
            values = estimate_values(rows, rng=rng, runs=runs)
    return Evaluation(
        target.name,
        logged.size,
        None if units is None else len(np.unique(units)),
        float(logged.rewards.mean()),
        gates,
        values,
    )


def _rows(
    logged: LoggedChoices, places: Places, weights: Vector, rng: np.random.Generator
) -> LoggedRows:
    rewards = logged.rewards
    model = fit_clicks(rewards, places.cells, places.creatives, units=logged.units, rng=rng)
    means = np.empty((len(places.distributions), FOLDS))
    mass, often = np.zeros(len(places.creatives)), np.bincount(places.which)
    for number, (start, chances) in enumerate(places.distributions):
        mass[start : start + len(chances)] += often[number] * chances
        means[number] = model.rates[:, start : start + len(chances)] @ chances
    return LoggedRows(
        rewards,
        weights,
        predicted=model.rates[model.folds, places.cells],
        expected=means[places.which, model.folds],
        units=logged.units,
        leverage=partial(model.leverage, mass),
    )


def _gate_of_probabilities(propensities: Vector) -> Gate:
    right = (propensities > 0) & (propensities <= 1)
    missing = int((~right).sum())
    return Gate(
        "propensity",
        missing == 0,
        float(missing),
        0.0,
        f"{missing:,} of {len(propensities):,} rows lack the probability with which they were "
        "chosen; all need one",
    )


def _gate_of_support(outside: float) -> Gate:
    return Gate(
        "support",
        outside <= OUTSIDE_AT_MOST,
        outside,
        OUTSIDE_AT_MOST,
        f"{outside:.2%} of what the policy would show had no chance in that place",
    )


def _gate_of_replay(
    logged: LoggedChoices, as_it_was: Callable[[Situation], Policy | None] | None
) -> Gate:
    if logged.decided is None or as_it_was is None:
        return replay_gate((), (), lambda _: None)
    told = logged.told_by_records
    right = told.filter(pl.col("propensity").eq_missing(pl.col("recorded")))
    led_to = dict(right["situation"].value_counts().iter_rows())
    situations = logged.decided.situations
    often = [led_to.get(number, 0) for number in range(len(situations))]
    return replay_gate(situations, often, as_it_was, otherwise=told.height - right.height)


def _value_to_json(name: str, value: PolicyValue | Undetermined) -> dict[str, Any]:
    if isinstance(value, Undetermined):
        return {"estimator": name, "value": None, "undetermined": value.reason}
    cut = value.cut
    return {
        "estimator": name,
        "value": value.value,
        "low": value.interval.low,
        "high": value.interval.high,
        "se": value.se,
        "gain_low": value.gain.low,
        "gain_high": value.gain.high,
        "cut": cut if cut is not None and np.isfinite(cut) else None,
    }
