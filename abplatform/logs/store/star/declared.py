"""The star for BI tools: every exported table, column, type, unit, meaning and join, said once.

``docs/tables.md`` is made from it, and what ``abp export tables`` writes has exactly these columns.
Keys are the words that people use (an experiment's key, a category's path, a day); there are no
surrogate numbers, so a key means the same in every export.
"""

from __future__ import annotations

from typing import Final

from abplatform.logs.store.star.columns import Table
from abplatform.logs.store.star.dimensions import DIMENSIONS
from abplatform.logs.store.star.facts import FACTS

__all__ = ["STAR"]

STAR: Final[dict[str, Table]] = {table.name: table for table in (*DIMENSIONS, *FACTS)}
"""Every exported table by its name, dimensions first."""
