"""Foreign logs → wire events, as a mapping file says."""

from __future__ import annotations

from abplatform.logs.mapping.draft import draft_mapping
from abplatform.logs.mapping.files import check_columns, read_rows
from abplatform.logs.mapping.rows import Mapped, MappedRow, RowMapper, Wire, map_row
from abplatform.logs.mapping.spec import Mapping, parse_mapping

__all__ = [
    "Mapped",
    "MappedRow",
    "Mapping",
    "RowMapper",
    "Wire",
    "check_columns",
    "draft_mapping",
    "map_row",
    "parse_mapping",
    "read_rows",
]
