"""Which categories there are, and what the store calls those of its log today.

``catalog/categories.yaml`` names categories and former names of them; the products of the catalogue
are known too. Segments and event tables keep what the log said; a small table says what it is
called today, so that a changed list changes every scorecard without loading anything again.
"""

from __future__ import annotations

from abplatform.logs.taxonomy.file import (
    CATEGORIES_FILE,
    check_taxonomy,
    keep_taxonomy,
    read_taxonomy,
)
from abplatform.logs.taxonomy.names import (
    refresh_categories,
    unknown_by_source,
    unknown_categories,
)

__all__ = [
    "CATEGORIES_FILE",
    "check_taxonomy",
    "keep_taxonomy",
    "read_taxonomy",
    "refresh_categories",
    "unknown_by_source",
    "unknown_categories",
]
