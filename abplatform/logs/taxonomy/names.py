"""What the store calls the categories of its log today: the table ``category_names``."""

from __future__ import annotations

from collections import Counter

import polars as pl

from abplatform.domain.catalog import UNKNOWN, Taxonomy
from abplatform.logs.store.answering import Store
from abplatform.logs.store.warehouse import Warehouse

__all__ = ["refresh_categories", "unknown_by_source", "unknown_categories"]

_SEEN = "categories_until"


def refresh_categories(warehouse: Warehouse, taxonomy: Taxonomy) -> None:
    """Name every category that segments brought since the last time, and all when the list changed.

    Only new segments are read, not the events before them. Totals by category are marked as out of
    date where one that was there already is called otherwise, ranks of reports where any name is
    new or another than before.

    Args:
        warehouse: The open warehouse.
        taxonomy: What is known, and what is called otherwise.
    """
    with warehouse.transaction():
        facts = dict(warehouse.query("load/meta").iter_rows())
        seen = set(warehouse.query("load/categories_seen")["raw"])
        since = int(facts.get(_SEEN, 0))
        found = warehouse.query("load/new_categories", since=since)
        new = set(found["category"].drop_nulls()) - seen
        before = dict(warehouse.query("load/category_names").iter_rows())
        names = {raw: taxonomy.name(raw) for raw in sorted(seen | new)}
        _write(warehouse, new, before, names)
        last = max(warehouse.query("load/segments")["segment_number"], default=0)
        if last != since:
            warehouse.execute("load/set_meta", name=_SEEN, value=str(last))
        if any(names[raw] != before.get(raw, raw) for raw in seen):
            warehouse.execute("load/set_meta", name="totals", value="")


def unknown_by_source(warehouse: Store) -> dict[str, dict[str, int]]:
    """Return the categories that nobody knows, the commonest first: source to path to events.

    Events are impressions, decisions and rows of reports; paths are as the log names them.

    Args:
        warehouse: The open warehouse, refreshed.
    """
    names = warehouse.query("load/category_names")
    # Nearly always there is none, and then the events are not read at all.
    if not names["category"].str.starts_with(UNKNOWN).any():
        return {}
    found: dict[str, dict[str, int]] = {}
    for source, path, events in warehouse.query("load/unknown_categories").iter_rows():
        found.setdefault(source, {})[path] = events
    return found


def unknown_categories(warehouse: Store) -> dict[str, int]:
    """Return the categories that nobody knows, the commonest first: path to events of all sources.

    Args:
        warehouse: The open warehouse, refreshed.
    """
    total: Counter[str] = Counter()
    for found in unknown_by_source(warehouse).values():
        total.update(found)
    return dict(total.most_common())


def _write(
    warehouse: Warehouse, new: set[str], before: dict[str, str], names: dict[str, str]
) -> None:
    warehouse.fill("categories_seen", pl.DataFrame({"raw": sorted(new)}))
    otherwise = {raw: name for raw, name in names.items() if raw != name}
    if otherwise != before:
        warehouse.execute("load/clear", table="category_names")
        rows = {"raw": list(otherwise), "category": list(otherwise.values())}
        warehouse.fill("category_names", pl.DataFrame(rows))
        warehouse.execute("load/set_meta", name="reports", value="")
