"""The steps from events to what is known of exposures, in the order in which they run.

Each is a query of ``store/queries/portable`` whose rows become the table of its name; it may read
events, experiments (``experiments``, ``running``, ``rates``), :data:`KEPT` tables and the steps
before it. The first twenty find out which exposures are touched by what came after a segment; the
others compute those, and only those. From an empty beginning everything is touched, so the same
text serves a refresh, a question about the past and another engine.
"""

from __future__ import annotations

from typing import Final

from abplatform.logs.facts import FOREVER_MICROS
from abplatform.logs.store.answering import Store
from abplatform.logs.store.warehouse import Warehouse

__all__ = [
    "CLICK_STEPS",
    "EARLY_MICROS",
    "FEWEST_QUICK",
    "FLAGGED",
    "KEPT",
    "MOST_AN_HOUR",
    "MOST_A_DAY",
    "MOST_A_MINUTE",
    "QUICK_MICROS",
    "STEPS",
    "attribute_anew",
    "attribute_since",
]

EARLY_MICROS: Final = 5_000_000
"""How much earlier than its impression a click may be."""

MOST_A_MINUTE: Final = 60
MOST_AN_HOUR: Final = 500
MOST_A_DAY: Final = 2000

QUICK_MICROS: Final = 1_000_000
"""A click sooner after its impression than this is quicker than people see, choose and reach."""

FEWEST_QUICK: Final = 5
"""How many quick clicks flag a unit, if they are most of its clicks by then."""

_EARLY: Final[dict[str, int | str]] = {"early_micros": EARLY_MICROS}
_MINUTE: Final[dict[str, int | str]] = {"most_a_minute": MOST_A_MINUTE}
_PACE: Final[dict[str, int | str]] = _MINUTE | {
    "most_an_hour": MOST_AN_HOUR,
    "most_a_day": MOST_A_DAY,
}
_QUICK: Final[dict[str, int | str]] = {"quick_micros": QUICK_MICROS}
_CHANGED: Final[dict[str, int | str]] = {"since": -1}

KEPT: Final = ("exposure_outcomes", "kept_bots", "kept_mixed")
"""Tables that say what an earlier refresh found; empty for a computation from the beginning."""

STEPS: Final[tuple[tuple[str, dict[str, int | str], bool], ...]] = (
    ("exposed", {}, False),
    ("changed_names", _CHANGED, False),
    ("touched_conversions", {}, False),
    ("named", _CHANGED, False),
    ("touched_decisions", _CHANGED, False),
    ("named_places", _CHANGED, False),
    ("touched_cells", _CHANGED, False),
    ("busy_units", _CHANGED | _MINUTE, True),
    ("bot_candidates", _CHANGED | _QUICK, False),
    ("busy_minutes", {}, True),
    ("hasty_units", _PACE, False),
    ("quick_clicks", _QUICK | _EARLY, True),
    ("bot_units", _PACE | {"fewest_quick": FEWEST_QUICK}, True),
    ("mixed_candidates", _CHANGED, False),
    ("mixed_units", {}, True),
    ("moved_bots", {}, False),
    ("moved_mixed", {}, False),
    ("reached", _CHANGED, False),
    ("touched_converters", _CHANGED, False),
    ("touched_places", {}, False),
    ("stood", {"experiment": ""}, True),
    ("clicked_decisions", {}, False),
    ("decided_clicks", _EARLY, True),
    ("first_clicks", _EARLY, True),
    ("first_exposures", {}, False),
    ("placed_conversions", _EARLY, True),
    ("reversals", {}, True),
    ("outcomes", {}, False),
    ("day_shares", {}, True),
    ("impression_costs", {}, True),
    ("scores", {}, True),
    ("exposure_outcomes", {}, False),
    ("unmarked", {}, True),
)
"""Query, its constants, and whether it is bounded.

Bounded ones take ``known_until``, the last segment that counts, and ``until_micros``, the last
moment: an event after it has not happened yet. ``since`` is the segment after which something
changed, ``experiment`` the only one that is computed, or empty for all. After the last of them,
``portable/exposure_rows`` says everything of every exposure.
"""

FLAGGED: Final = (("kept_bots", "bot_units"), ("kept_mixed", "mixed_units"))
"""Kept table and the step that tells what it keeps."""

CLICK_STEPS: Final[tuple[tuple[str, str, dict[str, int | str], bool], ...]] = (
    ("clicked_decisions", "portable/all_clicked_decisions", {}, False),
    ("decided_clicks", "portable/decided_clicks", _EARLY, True),
    ("click_targets", "portable/click_targets", {}, True),
)
"""Table, query, constants and whether it is bounded: to which impression every click belongs."""

_VIEWS: Final = frozenset({"exposed", "unmarked"})
"""Steps that a warehouse has as views, with bounds in their text."""


def attribute_anew(store: Store, *, known_until: int, until_micros: int) -> None:
    """Compute the :data:`KEPT` tables from the beginning, as temporary tables of those names.

    The view ``exposed`` is there already; afterwards ``portable/unmarked``, with the same bounds,
    gives the other exposures.

    Args:
        store: Where the queries run.
        known_until: The last segment that counts.
        until_micros: The last moment that has happened.
    """
    for table in KEPT:
        store.materialise(table, f"portable/no_{table}")
    bounds = {"known_until": known_until, "until_micros": until_micros}
    for name, constants, bounded in STEPS:
        if name not in _VIEWS:
            store.materialise(
                name, f"portable/{name}", **({**constants, **bounds} if bounded else constants)
            )
    for kept, told in FLAGGED:
        store.materialise(kept, "refresh/all_of", told)


def attribute_since(
    warehouse: Warehouse, *, known_until: int, since: int, experiment: str = ""
) -> None:
    """Compute what of ``exposure_outcomes`` may have changed, as the table ``fresh_outcomes``.

    Args:
        warehouse: The open warehouse, with the :data:`KEPT` tables as they were.
        known_until: The last segment that counts.
        since: The segment after which something changed.
        experiment: The only one to compute; empty for all.
    """
    bounds = {"known_until": known_until, "until_micros": FOREVER_MICROS}
    scope: dict[str, int | str] = {"since": since, "experiment": experiment}
    for name, constants, bounded in STEPS:
        if name not in _VIEWS:
            table = "fresh_outcomes" if name == "exposure_outcomes" else name
            told = {key: scope.get(key, value) for key, value in constants.items()}
            values = {**told, **bounds} if bounded else told
            warehouse.materialise(table, f"portable/{name}", **values)
