"""What a scope's rows amount to before anything is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from abplatform.analysis.scorecard.looks import slowest_conversion
from abplatform.analysis.scorecard.scope import Scope, Stored
from abplatform.logs.store.answering import Store

__all__ = ["Survey", "read_survey"]


@dataclass(frozen=True, slots=True)
class Survey:
    """Counts and ends of the rows that count, and of those that are left out.

    Args:
        row: Every count by its name; see ``portable/exposure_overview``.
        first_at: First exposure that counts.
        last_at: Last exposure that counts.
        known_until: Up to when all sources are known; None without rows.
        newest: Up to when some source is known; None without rows.
    """

    row: Mapping[str, Any]
    first_at: datetime | None
    last_at: datetime | None
    known_until: datetime | None
    newest: datetime | None

    @property
    def provisional(self) -> bool:
        """Whether some rows may still receive late events."""
        return bool(self.row["rows_provisional"])

    @property
    def bots(self) -> bool:
        """Whether units are flagged as bots."""
        return bool(self.row["bot_units"])

    @property
    def rows(self) -> int:
        """How many exposures there are, whether they count or not."""
        return int(self.row["rows_seen"])

    @property
    def stored(self) -> Stored | None:
        """What totals hold that are made of these rows; None without rows or watermark."""
        ends = [_aware(self.row[name]) for name in ("newest_at", "newest_final_at")]
        watermark = _aware(self.row["watermark_low"])
        if ends[0] is None or ends[1] is None or watermark is None:
            return None
        return Stored(ends[0], ends[1], watermark)

    @property
    def flagged(self) -> bool:
        """Whether units have flags of any kind, which may differ from look to look."""
        return self.bots or bool(self.row["mixed_units"])


def read_survey(warehouse: Store, scope: Scope) -> Survey:
    """Survey a scope in one query.

    Args:
        warehouse: The open store.
        scope: Which rows count.
    """
    values = {name: value for name, value in scope.values().items() if name != "final"}
    frame = warehouse.query(
        "portable/exposure_overview", **values, extra=slowest_conversion(scope.experiment)
    )
    row = frame.row(0, named=True)
    watermark = _aware(row["watermark_low"])
    return Survey(
        row=row,
        first_at=_aware(row["first_at"]),
        last_at=_aware(row["last_at"]),
        known_until=min(watermark, scope.known) if watermark else None,
        newest=_aware(row["watermark_high"]),
    )


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
