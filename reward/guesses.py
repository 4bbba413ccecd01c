"""Pairs without labels, labelled by a model that has learned from pairs with labels.

Lee 2013 ("Pseudo-Label"), but soft: a guess is a probability. Guesses only ever teach; they decide
neither when to stop nor the temperature.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from reward.dataset import Item, PairTable, table_from_frame

__all__ = ["add_guesses", "join_pictures"]

_SHARE = 0.5
_COUNTS = ("impressions_chosen", "clicks_chosen", "impressions_rejected", "clicks_rejected")


def add_guesses(
    table: PairTable, unlabelled: PairTable, p_chosen: NDArray[np.float64]
) -> PairTable:
    """Put pairs with guessed labels beside pairs with real ones.

    Args:
        table: P pairs with labels.
        unlabelled: Q pairs whose labels and clicks are not looked at; those that ``table`` has
            are left out.
        p_chosen: What a model says: the probability that each of the Q chosen creatives is better.

    Returns:
        At most P + Q pairs; a guess counts half of what a log as sure as it would.
    """
    guesses = unlabelled.frame.with_columns(
        pl.Series("p_win", p_chosen),
        pl.Series("weight", _SHARE * (2 * p_chosen - 1) ** 2),
        *(pl.lit(0, dtype=pl.Int64).alias(name) for name in _COUNTS),
        guessed=pl.lit(value=True),
    ).join(table.frame, on="pair_id", how="anti")
    return table_from_frame(pl.concat([table.frame, guesses]))


def join_pictures(
    joined: PairTable, parts: Iterable[tuple[PairTable, NDArray[np.uint8] | None]]
) -> NDArray[np.uint8] | None:
    """Return the pictures of a table's items from those of the tables it was made of.

    Args:
        joined: Pairs over M items.
        parts: Tables, and their items' pictures.

    Returns:
        M x H x W x 3; None if a part has none.
    """
    found: dict[Item, NDArray[np.uint8]] = {}
    for table, pictures in parts:
        if pictures is None:
            return None
        found |= dict(zip(table.items, pictures, strict=True))
    return np.stack([found[item] for item in joined.items])
