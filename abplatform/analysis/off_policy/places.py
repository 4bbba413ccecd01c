"""Where the log's rows stand, and what the target policy does there."""

from __future__ import annotations

from collections.abc import Mapping
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
        possible: For each distribution, which of its creatives had a chance: those to which the
            record of the decision gave one, or without a record, those that the place ever showed.
    """

    cells: Labels
    creatives: Labels
    chances: Vector
    distributions: tuple[tuple[int, Vector], ...]
    which: Labels
    possible: tuple[npt.NDArray[np.bool_], ...]

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
        names = {
            str(shelf): tuple(part["creative_id"])
            for (shelf,), part in shelves.group_by("shelf", maintain_order=True)
        }
        found = _distributions(asked, names, logged, target)
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
        shown = np.bincount(cells, minlength=len(all_cells)) > 0
        possible = _possible(asked, names, logged, shown)
        chances = flat[firsts[which] + on_shelf]
        return cls(cells, all_cells["creative"].to_numpy(), chances, found, which, possible)

    @property
    def outside(self) -> float:
        """The target's mean mass on what was not possible in that place."""
        outside = [
            float(chances[~possible].sum())
            for (_, chances), possible in zip(self.distributions, self.possible, strict=True)
        ]
        return float(np.array(outside)[self.which].mean())


def _shelves(rows: pl.DataFrame, logged: LoggedChoices, target: Target) -> pl.DataFrame:
    """Return ``shelf``, ``creative_id``, its ``number`` there, and ``creative``, one over all.

    On a shelf is what the log shows of it, or what a record says was eligible. What the target adds
    is there where only one shelf is.
    """
    seen = rows.select("shelf", "creative_id").unique()
    if seen["shelf"].n_unique() == 1:
        shelf = seen["shelf"][0]
        more = [(shelf, name) for name in target.creatives]
        seen = pl.concat([seen, pl.DataFrame(more, schema=seen.schema, orient="row")])
    if logged.decided is not None:
        known = [
            (set_name(one.eligible), name)
            for one in map(logged.decided.situations.__getitem__, _situations(rows))
            for name in one.eligible
        ]
        seen = pl.concat([seen, pl.DataFrame(known, schema=seen.schema, orient="row")])
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    names = seen.unique().sort("shelf", "creative_id")
    # Items of different categories may share a name; creatives of decisions are content hashes.
    same = pl.col("creative_id").rank("dense").cast(pl.Int64) - 1
    return names.with_columns(
        number=number.over("shelf"), creative=number if logged.decided is None else same
    )


def _situations(rows: pl.DataFrame) -> list[int]:
    """Return the situations that led to rows, each once."""
    return [int(one) for one in rows["situation"].drop_nulls().unique().sort()]


def _distributions(
    asked: pl.DataFrame,
    names: Mapping[str, tuple[str, ...]],
    logged: LoggedChoices,
    target: Target,
) -> tuple[tuple[int, Vector], ...]:
    """Return where each place's cells begin, and the target's probabilities of all of them."""
    contexts = contexts_of(asked)
    for row, situation in enumerate(asked["situation"]):
        if situation is not None and logged.decided is not None:
            contexts[row] = logged.decided.situations[situation].context
    rows = zip(asked["shelf"], asked["position"], asked["start"], contexts, strict=True)
    return tuple(
        (int(start), np.array(target.distribution(context, names[shelf], position)))
        for shelf, position, start, context in rows
    )


def _possible(
    asked: pl.DataFrame,
    names: Mapping[str, tuple[str, ...]],
    logged: LoggedChoices,
    shown: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], ...]:
    """Return which creatives had a chance where each question was asked.

    What was possible in another context, or by another snapshot, says nothing of this one.
    """
    found = []
    for shelf, start, situation in asked.select("shelf", "start", "situation").iter_rows():
        if situation is None or logged.decided is None:
            found.append(shown[start : start + len(names[shelf])])
            continue
        known = logged.decided.situations[situation]
        chances = dict(zip(known.eligible, known.probabilities, strict=True))
        found.append(np.array([chances.get(name, 0.0) > 0 for name in names[shelf]]))
    return tuple(found)
