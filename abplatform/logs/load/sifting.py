"""Two tiers: columns that are obviously good are taken at once, all other rows one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from abplatform.domain.events import EVENT_TYPES
from abplatform.logs.load.batch import Batch, frame_of_rejects
from abplatform.logs.load.cells import check_cells
from abplatform.logs.load.columns import COVARIATES, Place, table_of, texts_of
from abplatform.logs.load.doorway import pass_door
from abplatform.logs.load.structs import Columns, columns_of
from abplatform.logs.mapping.columns import ROW
from abplatform.logs.validate import Door, Events, Reject

__all__ = ["Harvest", "Sifted", "sift", "sort_by_kind"]

_ROWS = 250_000

Cells = tuple[str, pl.DataFrame]
"""An event type and its cells: a column a wire field, besides LINE and ROW."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """What became of a stretch of rows.

    Args:
        events: Checked columns, of the rows that are good.
        others: The numbers of the rows that must be read one by one.
    """

    events: Columns
    others: npt.NDArray[np.int64]


def sort_by_kind(cells: pl.DataFrame) -> list[Cells]:
    """Tell wire rows apart by their event type; those of no known type are left out."""
    if "event_type" not in cells.columns:
        return []
    kinds = cells["event_type"]
    if isinstance(kinds.dtype, pl.Categorical | pl.Enum):
        kinds = kinds.cast(pl.String)
    if kinds.dtype != pl.String:
        return []
    names = kinds.unique().drop_nulls().to_list()
    if len(names) == 1 and not kinds.null_count():
        return [(names[0], cells)] if names[0] in EVENT_TYPES else []
    return [(name, cells.filter(kinds == name)) for name in names if name in EVENT_TYPES]


def sift(kinds: Iterable[Cells], rows: int, door: Door) -> Sifted:
    """Check cells by columns.

    Args:
        kinds: Event types and their cells; a row may stand in several, and is good only if it is
            good in each.
        rows: How many rows the stretch has; one that stands nowhere is not good.
        door: What events must fit.
    """
    seen = np.zeros(rows, dtype=np.bool_)
    is_bad = np.zeros(rows, dtype=np.bool_)
    found: list[Cells] = []
    for kind, cells in kinds:
        places = cells[ROW].to_numpy()
        seen[places] = True
        checked = check_cells(kind, cells)
        events = checked.rows
        if checked.good is not None:
            is_bad[places[~checked.good.to_numpy()]] = True
            events = events.filter(checked.good)
        if len(events):
            passes = pass_door(kind, events, door)
            if passes is not None:
                is_bad[events["row"].to_numpy()[~passes.to_numpy()]] = True
            found.append((kind, events))
    is_bad |= ~seen
    others = np.flatnonzero(is_bad)
    if len(others):
        found = [(kind, events.filter(~is_bad[events["row"].to_numpy()])) for kind, events in found]
    good = [(kind, events) for kind, events in found if len(events)]
    return Sifted(Columns(good, pl.DataFrame(schema=dict(COVARIATES))), others)


class Harvest:
    """Gathers what was read until there is enough for a batch.

    Args:
        place: Where the events stand.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._parts: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self._rejects: list[Reject] = []
        self._rows = 0

    @property
    def is_full(self) -> bool:
        """Whether a batch should be taken."""
        return self._rows >= _ROWS

    def add_columns(self, columns: Columns) -> None:
        """Add checked columns."""
        if len(columns.covariates):
            self._parts["covariates"].append(columns.covariates)
        for kind, rows in columns.events:
            table, frame = table_of(kind, rows, self._place)
            self._parts[table].append(frame)
            self._rows += len(frame)
            texts = texts_of(rows)
            if texts is not None:
                self._parts["creative_texts"].append(texts)

    def add_events(self, found: Events) -> None:
        """Add what was read one by one."""
        self._rejects += found.rejects
        self._rows += len(found.rejects)
        if found.events:
            self.add_columns(columns_of(found.events, found.lines))

    def take(self, bytes_read: int) -> Batch:
        """Return what was gathered, and begin anew.

        Args:
            bytes_read: Of the segment since the last time.
        """
        parts, self._parts = self._parts, defaultdict(list)
        rejects, self._rejects, self._rows = self._rejects, [], 0
        return Batch(
            tables={table: pl.concat(frames) for table, frames in parts.items()},
            rejects=frame_of_rejects(rejects),
            bytes_read=bytes_read,
        )
