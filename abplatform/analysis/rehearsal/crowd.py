"""The units of a log, ready to be assigned anew thousands of times.

An experiment that changes nothing is the log itself, cut into variants by a fresh salt. One that
changes something needs what units would have done under treatment: clicks are planted. Every
impression without a click gets one with probability

    c·r_i/(1 - r_i),   r_i = (K_i + r·s)/(N_i + s)

where r_i is unit i's own rate drawn towards the log's rate r by the s impressions that the spread
of rates between units is worth (method of moments of the beta-binomial), and c makes the expected
rate exactly (1 + lift)·r. So those click more who click anyhow, as a better picture makes them, and
no more clicks arise than there are impressions. A loss thins clicks: each is kept with probability
1 + lift. Sums of money are scaled instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["FEATURES", "MOST_CELLS", "Crowd", "gather_crowd", "plant", "running_totals"]

Floats = npt.NDArray[np.float64]

FEATURES = ("units", "k_units", "n", "k", "nn", "kk", "kn")
"""What is summed over units for the end of each day."""

MOST_CELLS = 4_000_000
"""Units times days that fit into memory (half a gigabyte); more are sampled."""


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """Units with what they did on each day.

    Args:
        ids: U unit ids.
        shown: Denominators, shape (U, D).
        clicks: Numerators, same shape.
        present: Whether the unit had a row that day, same shape.
        known: Units that the log holds; more than U where only a sample is rehearsed.
    """

    ids: pl.Series
    shown: Floats
    clicks: Floats
    present: npt.NDArray[np.bool_]
    known: int

    @property
    def days(self) -> int:
        """How many days there are."""
        return int(self.shown.shape[1])


def gather_crowd(
    unit_days: pl.DataFrame, *, days: int, seed: int, most_cells: int = MOST_CELLS
) -> Crowd:
    """Return the units of a log's first days.

    Args:
        unit_days: ``unit``, ``day`` from 0, ``n``, ``k``; one row a unit and day.
        days: How many days count.
        seed: Chooses the units where there are too many.
        most_cells: Units times days, at most.
    """
    rows = unit_days.filter(pl.col("day") < days)
    ids = rows["unit"].unique().sort()
    known, most = len(ids), max(1, most_cells // days)
    if known > most:
        chosen = np.random.default_rng(seed).choice(known, most, replace=False)
        ids = ids.gather(np.sort(chosen))
    places = pl.DataFrame({"unit": ids}).with_row_index("at")
    rows = rows.join(places, on="unit", how="inner")
    at, day = rows["at"].to_numpy(), rows["day"].to_numpy()
    shown, clicks = np.zeros((len(ids), days)), np.zeros((len(ids), days))
    present = np.zeros((len(ids), days), dtype=bool)
    shown[at, day], clicks[at, day], present[at, day] = rows["n"], rows["k"], True
    return Crowd(ids, shown, clicks, present, known)


def plant(crowd: Crowd, lift: float, rng: np.random.Generator, *, share: bool) -> Floats:
    """Return the numerators that units would have under a treatment with this lift.

    Args:
        crowd: The units as they were.
        lift: Relative lift of the rate, above -1.
        rng: Draws the clicks.
        share: Whether numerators count trials of the denominator; else they are scaled.

    Returns:
        Shape (U, D).
    """
    if not share:
        return np.asarray(np.rint(crowd.clicks * (1 + lift)))
    if lift < 0:
        return rng.binomial(crowd.clicks.astype(np.int64), 1 + lift).astype(float)
    free = crowd.shown - crowd.clicks
    rates = _own_rates(crowd.shown.sum(axis=1), crowd.clicks.sum(axis=1))
    odds = (rates / (1 - rates))[:, None]
    room = float((free * odds).sum())
    scale = lift * crowd.clicks.sum() / room if room > 0 else 0.0
    chance = np.clip(scale * odds, 0.0, 1.0)
    more = rng.binomial(free.astype(np.int64), np.broadcast_to(chance, free.shape))
    return np.asarray(crowd.clicks + more)


def running_totals(crowd: Crowd, clicks: Floats) -> Floats:
    """Return each unit's part in the sums by the end of each day, shape (U, 7·D), by FEATURES.

    Args:
        crowd: The units.
        clicks: Their numerators, shape (U, D): as they were, or planted.
    """
    n, k = np.cumsum(crowd.shown, axis=1), np.cumsum(clicks, axis=1)
    seen = np.logical_or.accumulate(crowd.present, axis=1).astype(float)
    return np.concatenate([seen, (k != 0).astype(float), n, k, n * n, k * k, k * n], axis=1)


def _own_rates(shown: Floats, clicks: Floats) -> Floats:
    """Return r_i, drawn towards the common rate by what rates really differ."""
    rate = clicks.sum() / shown.sum()
    spread = float(((clicks - rate * shown) ** 2).sum())
    alone = rate * (1 - rate) * shown.sum()
    pairs = rate * (1 - rate) * (shown * (shown - 1)).sum()
    # Correlation of two impressions of one unit; one in a thousand where none is seen.
    correlation = min(max((spread - alone) / pairs if pairs > 0 else 0.0, 1e-3), 0.5)
    worth = 1 / correlation - 1
    return np.asarray((clicks + rate * worth) / (shown + worth))
