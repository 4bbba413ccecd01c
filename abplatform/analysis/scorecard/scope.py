"""Which rows of an experiment count, and how queries are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from abplatform.domain.experiment import Experiment
from abplatform.domain.metrics import Metric, Total

__all__ = [
    "BEGINNING",
    "COLUMNS",
    "FOREVER",
    "Scope",
    "Stored",
    "conversion_delay",
    "naive",
    "path_pattern",
]

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Earlier than every event."""

FOREVER = datetime(2262, 1, 1, tzinfo=UTC)
"""Later than every event."""

COLUMNS: Mapping[Total, str] = {
    "impressions": "impressions",
    "clicked_impressions": "clicked",
    "conversions": "conversions",
    "net_value_micros": "value",
    "cost_micros": "cost",
    "profit_micros": "profit",
    "shown": "shown",
    "decisions": "decisions",
    "score_micros": "score",
    "feedbacks": "feedbacks",
    "matched_impressions": "matched",
}
"""The columns in which queries give totals."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Up to when the store's totals of an experiment reach.

    Args:
        last_at: The last row or flag in them.
        last_final_at: When the last row becomes final, conversions aside.
        watermark: Up to when every source is known.
        answers: What was asked of the totals already. Within one job they do not change, and a
            look at final rows asks what the shown rows ask once all are final.
    """

    last_at: datetime
    last_final_at: datetime
    watermark: datetime
    answers: dict[tuple[object, ...], pl.DataFrame] = field(
        default_factory=dict, compare=False, repr=False
    )


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows of an experiment count.

    Args:
        experiment: The experiment.
        until: Event time up to which rows count, excluded.
        known: The moment to which watermarks are lowered.
        final: Whether rows that may still change are left out.
        bots: Whether flagged units count.
        matched: Creatives whose picture matches their product; None if no lineage says so.
        excluded_sources: Sources that a person has excluded; none of their rows count.
        flagged_until: A unit is a bot, or mixed, if an event before this moment shows it;
            None for ``until``, so that no later event changes what a look said.
        stored: What the store's totals hold of the experiment; None to read rows only.
        parts: In how many parts units are read one after another, so that memory stays flat.
        approximate: Whether slices of units stand for units: for monitoring, never for verdicts.
    """

    experiment: Experiment
    until: datetime = FOREVER
    known: datetime = FOREVER
    final: bool = False
    bots: bool = False
    matched: frozenset[str] | None = None
    excluded_sources: tuple[str, ...] = ()
    flagged_until: datetime | None = None
    stored: Stored | None = None
    parts: int = 1
    approximate: bool = False

    def values(self) -> dict[str, Any]:
        """Return what every query over exposures binds."""
        return {
            "experiment": self.experiment.key,
            "until": naive(self.until),
            "known": naive(self.known),
            "final": self.final,
            "bots": self.bots,
            "flagged_until": naive(self.flagged_until or self.until),
            # A list without an entry has no type.
            "excluded_sources": sorted(self.excluded_sources) or [""],
        }

    def metric_values(self, metric: Metric) -> dict[str, Any]:
        """Return what queries over one metric's numerator and denominator bind besides."""
        return {
            **self.values(),
            "extra": conversion_delay(self.experiment, metric),
            "by_event": self.by_event,
            "numerator": COLUMNS[metric.numerator],
            "denominator": COLUMNS[metric.denominator],
            "matched": self.matched_creatives,
        }

    @property
    def matched_creatives(self) -> list[str]:
        """``matched`` as queries bind it: a list without an entry has no type."""
        return sorted(self.matched or ()) or [""]

    @property
    def by_event(self) -> bool:
        """Whether each impression stands alone instead of each unit."""
        return self.experiment.unit == "request_id"

    def is_stored(self, metric: Metric) -> bool:
        """Whether the store's totals hold exactly the rows that count, neither more nor fewer."""
        if self.stored is None or self.excluded_sources or self.by_event:
            return False
        if "matched_impressions" in (metric.numerator, metric.denominator):
            return False
        everything = min(self.until, self.flagged_until or self.until) > self.stored.last_at
        settled_at = self.stored.last_final_at + conversion_delay(self.experiment, metric)
        settled = settled_at <= min(self.known, self.stored.watermark)
        return everything and (settled or not self.final)


def conversion_delay(experiment: Experiment, metric: Metric) -> timedelta:
    """Return how much longer than a click a metric's last event may take."""
    if not metric.needs_conversions:
        return timedelta(0)
    return experiment.events.conversion_window + experiment.events.refund_window


def naive(moment: datetime) -> datetime:
    """Return a moment as queries bind it: in UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def path_pattern(level: int) -> str:
    """Return the regular expression that cuts a category path at a depth."""
    return rf"^[^/]+(/[^/]+){{0,{level - 1}}}"
