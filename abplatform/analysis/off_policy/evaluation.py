"""A log and a target policy put together: gates first, then what the policy would have earned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from abplatform.analysis.off_policy.gates import Gate, judge_weights
from abplatform.analysis.off_policy.logged import CONTEXT, LoggedChoices, contexts_of
from abplatform.analysis.off_policy.reward_model import FOLDS, fit_clicks
from abplatform.analysis.off_policy.targets import Target
from abplatform.stats.off_policy import (
    LoggedRows,
    PolicyValue,
    diagnose_weights,
    estimate_values,
)
from abplatform.stats.undetermined import Undetermined

__all__ = ["OUTSIDE_AT_MOST", "Evaluation", "evaluate"]

Vector = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

OUTSIDE_AT_MOST = 1e-9
"""The target's mass that the log need not support: what quadrature leaves."""

_PLACE: Final = ["shelf", "position"]


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
            "values": [_value_to_json(value) for value in self.values],
        }


def evaluate(
    logged: LoggedChoices, target: Target, *, rng: np.random.Generator, runs: int = 2000
) -> Evaluation:
    """Say what the target policy would have earned per impression, or why that cannot be said.

    Args:
        logged: The impressions of the policy that ran.
        target: The policy that is asked about.
        rng: Deals folds and draws the bootstrap.
        runs: The bootstrap's runs.

    Raises:
        AnalysisError: The target cannot choose among the log's creatives.
    """
    units = logged.units
    known = _gate_of_probabilities(logged.propensities)
    gates: tuple[Gate, ...] = (known,)
    values: tuple[PolicyValue | Undetermined, ...] = ()
    if known.passed:
        places = _Places.of(logged, target)
        weights = places.chances / logged.propensities
        gates += judge_weights(diagnose_weights(weights, units))
        gates += (_gate_of_support(places.outside),)
        if all(gate.passed for gate in gates):
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


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """The log's rows by place (a shelf and a position) and what the target does there.

    Args:
        cells: Each row's place and creative, 0 … C - 1.
        creatives: Each cell's creative on its shelf, shape (C,).
        chances: The target's probability of what each row shows.
        distributions: Where the place's cells begin, and the probabilities of all of them; each
            once.
        which: Each row's distribution.
    """

    cells: Labels
    creatives: Labels
    chances: Vector
    distributions: tuple[tuple[int, Vector], ...]
    which: Labels

    @classmethod
    def of(cls, logged: LoggedChoices, target: Target) -> _Places:
        """Ask the target about every place and context of the log."""
        rows = logged.placed
        shelves = _shelves(rows, target)
        places = (
            rows.select(_PLACE)
            .unique(maintain_order=True)
            .join(
                shelves.group_by("shelf").agg(pl.len().alias("size")),
                on="shelf",
                maintain_order="left",
            )
        )
        places = places.with_columns(start=pl.col("size").cum_sum() - pl.col("size"))
        # A creative keeps its number over the places of its shelf.
        creatives = places.join(shelves, on="shelf", maintain_order="left_right")["creative"]
        asked = rows.select(*_PLACE, *CONTEXT).unique(maintain_order=True)
        asked = asked.join(places, on=_PLACE, nulls_equal=True, maintain_order="left")
        asked = asked.with_row_index("which")
        found = _distributions(asked, shelves, target)
        rows = rows.join(
            asked.select("which", "start", *_PLACE, *CONTEXT),
            on=[*_PLACE, *CONTEXT],
            nulls_equal=True,
            maintain_order="left",
        ).join(shelves, on=["shelf", "creative_id"], maintain_order="left")
        which = rows["which"].cast(pl.Int64).to_numpy()
        on_shelf = rows["number"].to_numpy()
        firsts = np.cumsum([0, *(len(chances) for _, chances in found)])
        flat = np.concatenate([chances for _, chances in found])
        cells = rows["start"].cast(pl.Int64).to_numpy() + on_shelf
        return cls(cells, creatives.to_numpy(), flat[firsts[which] + on_shelf], found, which)

    @property
    def outside(self) -> float:
        """The target's mean mass on what the log never shows in that place."""
        seen = np.bincount(self.cells, minlength=len(self.creatives)) > 0
        outside = [
            float(chances[~seen[start : start + len(chances)]].sum())
            for start, chances in self.distributions
        ]
        return float(np.array(outside)[self.which].mean())


def _shelves(rows: pl.DataFrame, target: Target) -> pl.DataFrame:
    """Return ``shelf``, ``creative_id``, its ``number`` there, and ``creative``, one over all.

    On a shelf is what the log shows of it. What the target adds is there where only one shelf is.
    """
    seen = rows.select("shelf", "creative_id").unique()
    if seen["shelf"].n_unique() == 1:
        shelf = seen["shelf"][0]
        more = [{"shelf": shelf, "creative_id": name} for name in target.creatives]
        seen = pl.concat([seen, pl.DataFrame(more, schema=seen.schema)]).unique()
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    return seen.sort("shelf", "creative_id").with_columns(
        number=number.over("shelf"), creative=number
    )


def _distributions(
    asked: pl.DataFrame, shelves: pl.DataFrame, target: Target
) -> tuple[tuple[int, Vector], ...]:
    """Return where each place's cells begin, and the target's probabilities of all of them."""
    names = {
        str(shelf): tuple(part["creative_id"])
        for (shelf,), part in shelves.group_by("shelf", maintain_order=True)
    }
    rows = zip(asked["shelf"], asked["position"], asked["start"], contexts_of(asked), strict=True)
    return tuple(
        (int(start), np.array(target.distribution(context, names[shelf], position)))
        for shelf, position, start, context in rows
    )


def _rows(
    logged: LoggedChoices, places: _Places, weights: Vector, rng: np.random.Generator
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
        f"{outside:.2%} of what the policy would show was never shown in that place",
    )


def _value_to_json(value: PolicyValue | Undetermined) -> dict[str, Any]:
    if isinstance(value, Undetermined):
        return {"value": None, "undetermined": value.reason}
    cut = value.cut
    return {
        "estimator": value.estimator,
        "value": value.value,
        "low": value.interval.low,
        "high": value.interval.high,
        "se": value.se,
        "gain_low": value.gain.low,
        "gain_high": value.gain.high,
        "cut": cut if cut is not None and np.isfinite(cut) else None,
    }
