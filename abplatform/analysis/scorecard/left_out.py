"""What a scorecard leaves out and why, counted; and rows that count under no known category."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from abplatform.analysis.scorecard.record import Excluded, Warned
from abplatform.analysis.scorecard.scope import FOREVER, Scope, naive
from abplatform.domain.catalog import UNKNOWN
from abplatform.logs.store.answering import Store

__all__ = [
    "CAUSES",
    "note_excluded",
    "note_unknown",
    "read_excluded",
    "read_unknown",
    "reports_outside",
    "unknown_in_reports",
]

CAUSES: Mapping[str, str] = {
    "bots": "of {units} flagged as bots",
    "mixed_units": "of {units} seen in two variants",
    "forced": "that were forced, of {units},",
    "fallback": "that fell back to the baseline, of {units},",
    "holdout": "of the holdout, of {units},",
    "earlier_weights": "that earlier weights dealt, of {units},",
    "outside_phase": "outside the experiment's running time, of {units},",
    "excluded_source": "of excluded sources, of {units},",
}
"""Cause to what it says of the exposures."""

_VALUES = ("experiment", "until", "flagged_until", "bots", "excluded_sources")
_SHOWN = 3


def read_excluded(
    warehouse: Store, scope: Scope, *, earlier: tuple[datetime, datetime] = (FOREVER, FOREVER)
) -> dict[str, Excluded]:
    """Count what is left out of a scope, each exposure under one cause.

    Args:
        warehouse: The open store.
        scope: Which rows count.
        earlier: From when until when variants had other weights than now.

    Returns:
        Every cause that there is, in the order of :data:`CAUSES`; zeros where none applies.
    """
    began, reweighted = map(naive, earlier)
    values = {**_values(scope), "began": began, "reweighted": reweighted}
    rows = warehouse.query("portable/excluded_exposures", **values).to_dicts()
    found = {
        row["cause"]: Excluded(
            units=int(row["units"]),
            impressions=int(row["impressions"]),
            exposures=int(row["exposures"]),
        )
        for row in rows
    }
    return {cause: found.get(cause, Excluded(0, 0, 0)) for cause in CAUSES}


def note_excluded(excluded: Mapping[str, Excluded]) -> list[Warned]:
    """Say what is left out, one sentence a cause."""
    return [
        Warned(
            cause,
            f"{_count(one.exposures, 'exposure')} "
            f"{CAUSES[cause].format(units=_count(one.units or 0, 'unit'))} "
            f"{'is' if one.exposures == 1 else 'are'} left out of the scorecard",
        )
        for cause, one in excluded.items()
        if one.exposures
    ]


def reports_outside(impressions: int) -> dict[str, Excluded]:
    """Return what is left out of reports: impressions of days in which nothing ran."""
    return {"outside_phase": Excluded(None, impressions, None)}


def read_unknown(warehouse: Store, scope: Scope) -> dict[str, int]:
    """Return the categories that nobody knows, with the exposures of a scope that count there."""
    names = warehouse.query("load/category_names")["category"]
    # Nearly always there is none, and then no row is read.
    if not names.str.starts_with(UNKNOWN).any():
        return {}
    return dict(warehouse.query("portable/unknown_exposures", **_values(scope)).iter_rows())


def unknown_in_reports(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the categories that nobody knows in reports, with their impressions."""
    found: dict[str, int] = {}
    for row in rows:
        if row["category"].startswith(UNKNOWN):
            found[row["category"]] = found.get(row["category"], 0) + int(row["impressions"])
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def note_unknown(categories: Mapping[str, int]) -> list[Warned]:
    """Warn of rows that count under a category that nobody knows."""
    if not categories:
        return []
    names = [path.removeprefix(UNKNOWN) for path in categories]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    text = (
        f"{_count(sum(categories.values()), 'exposure')} of categories that nobody knows "
        f"({', '.join(names[:_SHOWN])}{more}) count under {UNKNOWN}…; write them into `known` or "
        "`renames` of catalog/categories.yaml"
    )
    return [Warned("unknown_category", text)]


def _values(scope: Scope) -> dict[str, Any]:
    return {name: value for name, value in scope.values().items() if name in _VALUES}


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
