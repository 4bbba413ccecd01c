"""Where the log's rows stand, and what the target policy does there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from abplatform.analysis.off_policy.logged import CONTEXT, LoggedChoices, contexts_of, set_name
from abplatform.analysis.off_policy.targets import Target

__all__ = ["Places"]

Vector = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_PLACE: Final = ["shelf", "position"]
_ASKED: Final = [*_PLACE, *CONTEXT, "situation"]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The log's rows by place (a shelf and a position) and what the target does there.

    Args:
        cells: Each row's place and creative, 0 … C - 1.
        creatives: Each cell's creative on its shelf, shape (C,).
        chances: The target's probability of what each row shows.
        distributions: Where the place's cells begin, and the probabilities of all of them; each
            once.
        which: Each row's distribution.
        possible: Whether the log shows the cell's creative there, or a record gave it a chance.
    """

    cells: Labels
    creatives: Labels
    chances: Vector
    distributions: tuple[tuple[int, Vector], ...]
    which: Labels
    possible: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, logged: LoggedChoices, target: Target) -> Places:
        """Ask the target about every place and context of the log."""
        rows = logged.placed
        shelves = _shelves(rows, logged, target)
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
        all_cells = places.join(shelves, on="shelf", maintain_order="left_right")
        asked = rows.select(_ASKED).unique(maintain_order=True)
        asked = asked.join(places, on=_PLACE, nulls_equal=True, maintain_order="left")
        asked = asked.with_row_index("which")
        found = _distributions(asked, shelves, logged, target)
        rows = rows.join(
            asked.select("which", "start", *_ASKED),
            on=_ASKED,
            nulls_equal=True,
            maintain_order="left",
        ).join(shelves, on=["shelf", "creative_id"], maintain_order="left")
        which = rows["which"].cast(pl.Int64).to_numpy()
        on_shelf = rows["number"].to_numpy()
        firsts = np.cumsum([0, *(len(chances) for _, chances in found)])
        flat = np.concatenate([chances for _, chances in found])
        cells = rows["start"].cast(pl.Int64).to_numpy() + on_shelf
        possible = all_cells["possible"].to_numpy() | (
            np.bincount(cells, minlength=len(all_cells)) > 0
        )
        chances = flat[firsts[which] + on_shelf]
        return cls(cells, all_cells["creative"].to_numpy(), chances, found, which, possible)

    @property
    def outside(self) -> float:
        """The target's mean mass on what was not possible in that place."""
        outside = [
            float(chances[~self.possible[start : start + len(chances)]].sum())
            for start, chances in self.distributions
        ]
        return float(np.array(outside)[self.which].mean())


def _shelves(rows: pl.DataFrame, logged: LoggedChoices, target: Target) -> pl.DataFrame:
    """Return ``shelf``, ``creative_id``, its ``number`` there, and ``creative``, one over all.

    On a shelf is what the log shows of it, or what a record says was eligible; ``possible`` is what
    the record gave a chance. What the target adds is there where only one shelf is.
    """
    seen = rows.select("shelf", "creative_id", possible=pl.lit(value=False)).unique()
    if seen["shelf"].n_unique() == 1:
        shelf = seen["shelf"][0]
        more = [(shelf, name, False) for name in target.creatives]
        seen = pl.concat([seen, pl.DataFrame(more, schema=seen.schema, orient="row")])
    if logged.decided is not None:
        known = [
            (set_name(one.eligible), name, chance > 0)
            for one in map(logged.decided.situations.__getitem__, _situations(rows))
            for name, chance in zip(one.eligible, one.probabilities, strict=True)
        ]
        seen = pl.concat([seen, pl.DataFrame(known, schema=seen.schema, orient="row")])
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    names = seen.group_by("shelf", "creative_id").agg(pl.col("possible").any())
    names = names.sort("shelf", "creative_id")
    # Items of different categories may share a name; creatives of decisions are content hashes.
    same = pl.col("creative_id").rank("dense").cast(pl.Int64) - 1
    return names.with_columns(
        number=number.over("shelf"), creative=number if logged.decided is None else same
    )


def _situations(rows: pl.DataFrame) -> list[int]:
    """Return the situations that led to rows, each once."""
    return [int(one) for one in rows["situation"].drop_nulls().unique().sort()]


def _distributions(
    asked: pl.DataFrame, shelves: pl.DataFrame, logged: LoggedChoices, target: Target
) -> tuple[tuple[int, Vector], ...]:
    """Return where each place's cells begin, and the target's probabilities of all of them."""
    names = {
        str(shelf): tuple(part["creative_id"])
        for (shelf,), part in shelves.group_by("shelf", maintain_order=True)
    }
    contexts = contexts_of(asked)
    for row, situation in enumerate(asked["situation"]):
        if situation is not None and logged.decided is not None:
            contexts[row] = logged.decided.situations[situation].context
    rows = zip(asked["shelf"], asked["position"], asked["start"], contexts, strict=True)
    return tuple(
        (int(start), np.array(target.distribution(context, names[shelf], position)))
        for shelf, position, start, context in rows
    )
