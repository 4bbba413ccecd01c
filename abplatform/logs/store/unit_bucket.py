"""The SQL function ``unit_bucket(unit_id, salt)``, which every engine registers."""

from __future__ import annotations

from typing import Any

import polars as pl

from abplatform.domain.assignment import buckets

__all__ = ["unit_buckets"]


def unit_buckets(unit_ids: Any, salts: Any) -> Any:
    """Answer ``unit_bucket(unit_id, salt)`` for Arrow vectors; one hash pass a distinct salt."""
    frame = pl.DataFrame({"unit": pl.Series(unit_ids), "salt": pl.Series(salts)}).with_row_index()
    parts = [
        pl.DataFrame({"index": part["index"], "bucket": buckets(part["unit"], str(salt))})
        for (salt,), part in frame.group_by("salt")
    ]
    return pl.concat(parts).sort("index")["bucket"].cast(pl.Int64).to_arrow()
