"""What the permanent holdout saw and did, and what everyone else did in the same days.

Units of the holdout are in no experiment, so they are not among the exposures; their impressions
are read from the events themselves.
"""

from __future__ import annotations

import polars as pl

from abplatform.domain.experiment import EventWindows
from abplatform.logs.attribution import CLICK_STEPS, EARLY_MICROS
from abplatform.logs.facts import FOREVER_MICROS, micros
from abplatform.logs.store.answering import Store

__all__ = ["read_holdout"]


def read_holdout(warehouse: Store) -> pl.DataFrame | None:
    """Return the sums over units of the holdout and of everyone else.

    Args:
        warehouse: The open store.

    Returns:
        The rows of ``portable/holdout_totals``; None where nobody was ever held out.
    """
    if not warehouse.query("portable/held_out")["impressions"][0]:
        return None
    # Units of the holdout are in no experiment: windows are those of a YAML that names none.
    windows = EventWindows()
    bounds = {"known_until": FOREVER_MICROS, "until_micros": FOREVER_MICROS}
    for table, query, constants, bounded in CLICK_STEPS:
        warehouse.materialise(table, query, **({**constants, **bounds} if bounded else constants))
    frame = warehouse.query(
        "portable/holdout_totals",
        attribution_micros=micros(windows.attribution_window),
        late_micros=micros(windows.late_data),
        early_micros=EARLY_MICROS,
    )
    warehouse.drop_steps()
    return frame
