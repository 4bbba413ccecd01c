"""Sums that analysis reads in place of rows, kept in step with the exposures.

Two kinds, both of the rows that are assigned and within their experiment's running time:

* ``unit_category_totals`` is exact: one row per experiment, variant, unit and category. A refresh
  reads only what touches the units of the new rows. Units that only got rows since are added to;
  units whose earlier rows changed (a late click, a withdrawal, a flag) are summed up again.
* ``bucket_sums`` is for monitoring: sums by day, category, variant and slice of units, additive
  over days, shards and engines. Taking each of the 4096 slices for a unit gives standard errors
  that are right to about 1 % (a variance of 4095 degrees of freedom), so what is shown of them is
  called approximate and no verdict rests on it. Only touched slices and days are summed up again.

Either way the tables equal those of a full rebuild, row for row; all are integers, so that no order
of addition matters. What the refresh of exposures touched stands in the temporary table
``touched_units``. Where that is missing, says that everything changed, or follows another state
than the totals have, they are made anew, a range of slices at a time, so that memory stays flat.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from typing import Any, Final

from abplatform.durable import reach
from abplatform.logs.store.answering import Store
from abplatform.logs.store.tables import read_query
from abplatform.logs.store.warehouse import Warehouse

__all__ = ["SLICES", "are_current", "compute_totals", "refresh_totals"]

SLICES: Final = 4096
"""``unit_slice`` is below this."""

_PART_ROWS: Final = 8_000_000
_UNITS: Final = "portable/unit_category_totals"
_BUCKETS: Final = "portable/bucket_sums"


def refresh_totals(warehouse: Warehouse) -> bool:
    """Bring the totals to the state of the exposures, in one transaction.

    Call it after ``refresh_exposures``, over the same connection.

    Returns:
        Whether anything was done.
    """
    known = dict(warehouse.query("load/meta").iter_rows())
    state = _state(known.get("exposures", ""))
    if known.get("totals") == state:
        return False
    follows = known.get("totals") == _state(known.get("exposures_before", ""))
    touched = _what_changed(warehouse) if follows else None
    with warehouse.transaction():
        if touched is None:
            _rebuild(warehouse)
        elif touched["something"]:
            _refresh_buckets(warehouse, touched["since_day"])
            _refresh_units(warehouse, touched["after_segment"])
        warehouse.execute("load/set_meta", name="totals", value=state)
        reach("totals.commit")
    return True


def compute_totals(warehouse: Store) -> dict[str, str]:
    """Compute both totals from all exposures, as temporary tables.

    Returns:
        What ``meta`` must say for :func:`are_current` to know them.
    """
    warehouse.materialise(
        "unit_category_totals", _UNITS, "exposures", from_slice=0, until_slice=SLICES
    )
    warehouse.materialise("bucket_sums", _BUCKETS, "exposures")
    return {"exposures": "", "totals": _state("")}


def are_current(warehouse: Store) -> bool:
    """Whether the totals are those of the exposures as they are."""
    known = dict(warehouse.query("load/meta").iter_rows())
    return "totals" in known and known["totals"] == _state(known.get("exposures", ""))


def _state(exposures: str) -> str:
    """What the totals follow from: the exposures' state, and how they are summed up."""
    texts = [read_query(name) for name in (_UNITS, _BUCKETS)]
    return hashlib.sha256("\0".join([*texts, exposures]).encode()).hexdigest()


def _what_changed(warehouse: Warehouse) -> Mapping[str, Any] | None:
    """Return what the exposures' refresh touched; None where that is everything or not told."""
    if not warehouse.query("totals/has_table", name="touched_units")["found"][0]:
        return None
    touched = warehouse.query("totals/touched").row(0, named=True)
    return None if touched["everything"] else touched


def _rebuild(warehouse: Warehouse) -> None:
    for table in ("unit_category_totals", "bucket_sums"):
        warehouse.execute("load/clear", table=table)
    _rebuild_units(warehouse)
    _rebuild_buckets(warehouse)


def _rebuild_units(warehouse: Warehouse) -> None:
    rows = int(warehouse.query("totals/exposures_counted")["exposures"][0])
    parts = max(1, -(-rows // _PART_ROWS))
    ends = [SLICES * part // parts for part in range(parts + 1)]
    for low, high in pairwise(ends):
        bounds = {"from_slice": low, "until_slice": high}
        warehouse.fill_from("unit_category_totals", _UNITS, "exposures", **bounds)


def _rebuild_buckets(warehouse: Warehouse) -> None:
    warehouse.fill_from("bucket_sums", _BUCKETS, "exposures")


def _refresh_units(warehouse: Warehouse, after_segment: int) -> None:
    """Add new rows to units that only got some, and sum up changed units again."""
    warehouse.materialise(
        "touched_exposures", "totals/touched_exposures", after_segment=after_segment
    )
    warehouse.materialise(
        "totals_delta", _UNITS, "touched_exposures", from_slice=0, until_slice=SLICES
    )
    warehouse.drop("touched_exposures")
    warehouse.materialise("totals_merged", "totals/merged_totals")
    warehouse.drop("totals_delta")
    warehouse.execute("totals/drop_stale")
    warehouse.execute("totals/drop_changed")
    warehouse.fill_from("unit_category_totals", "totals/merged")
    warehouse.drop("totals_merged")


def _refresh_buckets(warehouse: Warehouse, since: date) -> None:
    warehouse.materialise("touched_cells", "totals/touched_cells")
    warehouse.execute("totals/drop_cells")
    warehouse.materialise("cell_exposures", "totals/cell_exposures", since=since)
    warehouse.fill_from("bucket_sums", _BUCKETS, "cell_exposures")
    for table in ("touched_cells", "cell_exposures"):
        warehouse.drop(table)
