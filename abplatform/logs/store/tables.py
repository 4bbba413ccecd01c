"""Which tables there are, and the texts of the queries that read them.

SQL lives in ``queries/**.sql``. A table's name takes the place of ``{table}`` only if it is one of
:data:`TABLES`.
"""

from __future__ import annotations

from typing import Final

from abplatform.errors import StoreError
from abplatform.logs.store.opening import read_text

__all__ = [
    "EVENT_TABLES",
    "KEPT_TABLES",
    "STEP_TABLES",
    "TABLES",
    "THEN_VIEWS",
    "allowed",
    "query_text",
    "read_query",
]

EVENT_TABLES: Final = (
    "impressions",
    "decisions",
    "clicks",
    "conversions",
    "costs",
    "feedback",
    "behaviour",
    "aggregates",
)
STEP_TABLES: Final = (
    "changed_names",
    "touched_conversions",
    "named",
    "touched_decisions",
    "named_places",
    "touched_cells",
    "busy_units",
    "bot_candidates",
    "busy_minutes",
    "hasty_units",
    "quick_clicks",
    "bot_units",
    "mixed_candidates",
    "mixed_units",
    "moved_bots",
    "moved_mixed",
    "reached",
    "touched_converters",
    "touched_places",
    "stood",
    "clicked_decisions",
    "decided_clicks",
    "click_targets",
    "first_clicks",
    "first_exposures",
    "placed_conversions",
    "reversals",
    "outcomes",
    "day_shares",
    "impression_costs",
    "scores",
    "fresh_outcomes",
    "gone",
    "come",
    "touched_rows",
)
KEPT_TABLES: Final = ("exposure_outcomes", "kept_bots", "kept_mixed")
THEN_VIEWS: Final = (
    ("unmarked", "portable/unmarked"),
    ("exposure_rows", "portable/exposure_rows"),
    ("exposures", "portable/exposures"),
)
"""Views of exposures in the order in which one reads the other, for a question about the past."""

TABLES: Final = frozenset(
    {
        *EVENT_TABLES,
        *STEP_TABLES,
        *KEPT_TABLES,
        "touched_units",
        "late_events",
        "left_over",
        "quarantine",
        "experiments",
        "variants",
        "running",
        "rates",
        "categories_seen",
        "category_names",
        "declared_experiments",
        "covariates",
        "declared_variants",
        "segments",
        "ledger",
        "corrections",
        "sources",
        "creative_texts",
        "unit_sums",
        "creative_sums",
        "unit_category_totals",
        "bucket_sums",
        "exposures",
        "touched_exposures",
        "totals_delta",
        "totals_merged",
        "touched_cells",
        "cell_exposures",
    }
)
"""Names that may take the place of ``{table}``."""


def read_query(name: str) -> str:
    """Return the text of ``queries/<name>.sql``.

    Raises:
        StoreError: There is no such query.
    """
    return read_text(f"queries/{name}")


def query_text(name: str, table: str | None = None) -> str:
    """Return the text of ``queries/<name>.sql`` with a table in the place that it leaves for one.

    Args:
        name: The query.
        table: Takes the place of ``{table}``; one of :data:`TABLES`.

    Raises:
        StoreError: There is no such query, or no such table.
    """
    text = read_query(name)
    return text if table is None else text.replace("{table}", allowed(table))


def allowed(table: str) -> str:
    """Return a table's name if it is one of :data:`TABLES`.

    Raises:
        StoreError: It is not.
    """
    if table not in TABLES:
        raise StoreError(f"{table!r} is not a table that queries may name")
    return table
