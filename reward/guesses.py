"""Pairs without labels, labelled by a model that has learned from pairs with labels.

Lee 2013 ("Pseudo-Label"), but soft: a guess is a probability. Guesses only ever teach; they decide
neither when to stop nor the temperature.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abplatform.errors import TrainingError
from reward.dataset import Item, PairTable, table_from_frame

__all__ = ["add_guesses", "check_kinds", "join_pictures", "shares_nothing"]

_SHARE = 0.5
_COUNTS = ("impressions_chosen", "clicks_chosen", "impressions_rejected", "clicks_rejected")
_CONTENTS = ("chosen_image", "rejected_image", "chosen_text", "rejected_text")


def check_kinds(table: PairTable, unlabelled: PairTable, *, images: bool) -> None:
    """Check that pairs without labels have what those with labels are read by.

    Args:
        table: Pairs with labels.
        unlabelled: Pairs without.
        images: Whether pictures are read.

    Raises:
        TrainingError: They lack texts or pictures.
    """
    kinds = {"ad text": (table.has_texts, unlabelled.has_texts)}
    if images:
        kinds["image"] = (table.has_images, unlabelled.has_images)
    for kind, (needed, there) in kinds.items():
        if needed and not there:
            raise TrainingError(
                f"some of the unlabelled creatives have no {kind}, while all labelled ones have",
                remedy="take more pairs of the same kind, or leave --unlabelled out",
            )


def shares_nothing(unlabelled: PairTable, held: PairTable) -> NDArray[np.bool_]:
    """Say which unlabelled pairs share nothing with pairs that are held out, Q.

    Args:
        unlabelled: Q pairs.
        held: Pairs whose ids, products, pictures and texts must not teach.
    """
    theirs = held.frame
    contents = pl.concat([theirs[name] for name in _CONTENTS]).unique()
    seen = contents.filter(contents != "")
    shares = pl.any_horizontal(
        pl.col("pair_id").is_in(theirs["pair_id"].implode()),
        pl.col("product_id").is_in(theirs["product_id"].implode()),
        *(pl.col(name).is_in(seen.implode()) for name in _CONTENTS),
    )
    fresh: NDArray[np.bool_] = unlabelled.frame.select(~shares).to_series().to_numpy()
    return fresh


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
