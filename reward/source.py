"""What a workspace has to learn from: pairs by week, pictures and scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abplatform.errors import TrainingError
from reward.dataset import PairTable, join_tables, read_pairs
from reward.pictures import pictures_of

__all__ = ["Source", "drop_seen", "read_weeks", "training_weeks", "week_pictures"]


@dataclass(frozen=True, slots=True)
class Source:
    """What there is to learn from.

    Args:
        pairs: ISO week to its Parquet file.
        images: Folder of ``<sha256>.<extension>``; None to learn from texts.
        thumbnails: Cache of small pictures; None keeps none.
        scenes: creative id to its scene description, for the scene baseline.
        week_shares: Weeks that are unlike others, and how much their pairs count in training.
    """

    pairs: Mapping[str, Path]
    images: Path | None
    thumbnails: Path | None = None
    scenes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    week_shares: Mapping[str, float] = field(default_factory=dict)


def training_weeks(source: Source, week: str) -> list[str]:
    """Return what to learn from if ``week`` is to be judged on: all before it, else itself.

    Raises:
        TrainingError: There are no pairs up to that week.
    """
    earlier = sorted(one for one in source.pairs if one < week)
    if not earlier and week not in source.pairs:
        raise TrainingError(
            f"there are no pairs up to {week}", remedy=f"run `abp weekly {week}` first"
        )
    return earlier or [week]


def read_weeks(source: Source, weeks: Sequence[str]) -> PairTable:
    """Read the pairs of several weeks as one table.

    Raises:
        TrainingError: A week's file is gone or cannot be used.
    """
    missing = [week for week in weeks if week not in source.pairs]
    if missing:
        raise TrainingError(
            f"the pairs of {', '.join(missing)} are gone", remedy="write them with `abp pairs`"
        )
    return join_tables([read_pairs(source.pairs[week]) for week in weeks])


def week_pictures(source: Source, table: PairTable, *, size: int) -> NDArray[np.uint8] | None:
    """Return the picture of each of a table's M items, M x size x size x 3; None without any.

    Raises:
        TrainingError: Pictures are missing, changed or unreadable.
    """
    return pictures_of(table, source.images, size=size, thumbnails=source.thumbnails)


def drop_seen(held: PairTable, learned: PairTable) -> PairTable:
    """Leave out pairs whose two creatives were compared in the training weeks already."""

    def contents(table: PairTable) -> list[frozenset[tuple[str, str]]]:
        names = [(item.image or item.creative, item.text) for item in table.items]
        both = zip(table.chosen, table.rejected, strict=True)
        return [frozenset((names[first], names[second])) for first, second in both]

    seen = set(contents(learned))
    return held.keep(np.array([pair not in seen for pair in contents(held)], dtype=np.bool_))
