"""Bytes in, events or one exact reason out, with bounded memory.

Lines are read in blocks; one that is longer than 1 MB is never held whole. Nothing here looks at
what has been loaded before: whether a line is accepted depends on the line, the experiments and the
moment at which it landed, so any order and any batching give the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from abplatform.domain.catalog import Category
from abplatform.domain.events import (
    Aggregate,
    Click,
    Conversion,
    Cost,
    Decision,
    Event,
    EventRejected,
    Impression,
    convert_event,
    decode_event,
)

__all__ = [
    "BATCH_LINES",
    "EARLIEST",
    "RAW_BYTES",
    "Door",
    "Events",
    "Reject",
    "name_currency",
    "name_experiment",
    "name_variant",
    "validate_fields",
    "validate_line",
]

RAW_BYTES: Final = 4096
"""How much of a quarantined line is kept."""

BATCH_LINES: Final = 100_000

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""What claims to be older is quarantined."""

_AHEAD: Final = timedelta(hours=24)
_NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that is no event.

    Args:
        line: Counted from 1 in its segment.
        raw: Its bytes, capped.
        reason: A word of :data:`abplatform.domain.events.REASONS`.
        detail: What exactly is wrong.
    """

    line: int
    raw: bytes
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Events:
    """What came out of a stretch of lines that were decoded one by one.

    Args:
        events: The valid ones.
        lines: The line of each.
        rejects: The others.
    """

    events: list[Event] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def __len__(self) -> int:
        """How many events were received: good and bad ones."""
        return len(self.events) + len(self.rejects)

    def accept(self, line: int, event: Event) -> None:
        """Add a valid event."""
        self.events.append(event)
        self.lines.append(line)

    def reject(self, line: int, raw: bytes, error: EventRejected) -> None:
        """Add a line that is no event."""
        self.rejects.append(Reject(line, raw[:RAW_BYTES], error.reason, error.detail))


@dataclass(frozen=True, slots=True)
class Door:
    """What a line must fit to get in.

    Args:
        variants: Experiment to its variants.
        landed_at: When the segment was sealed; ``ts`` may be 24 h later at most.
        currencies: Those that can be converted into the workspace's.
        declared: Experiments among them that no YAML describes, only mapping files.
        is_open: Whether these, and experiments that nobody knows, are taken as they come, since the
            segment's mapping declares them.
    """

    variants: Mapping[str, frozenset[str]]
    landed_at: datetime
    currencies: frozenset[str]
    declared: frozenset[str] = frozenset()
    is_open: bool = False
    latest: datetime = field(init=False)
    _categories: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Reckon once what every event is compared with."""
        object.__setattr__(self, "latest", self.landed_at + _AHEAD)

    def check(self, event: Event) -> None:
        """Refuse an event that is well formed but cannot be right here.

        Raises:
            EventRejected: With the first reason that applies.
        """
        if event.ts < EARLIEST:
            raise EventRejected("before_2000", f"ts is {event.ts.isoformat()}")
        if event.ts > self.latest:
            now = self.landed_at.isoformat()
            raise EventRejected("from_the_future", f"ts is {event.ts.isoformat()}, landed {now}")
        kind = type(event)
        # Impressions come a hundred times as often as all others together.
        if kind is Impression or kind is Decision:
            self._check_exposure(event)  # type: ignore[arg-type]  # its type was just compared
        elif kind is not Click:
            self._check_other(event)

    def _check_exposure(self, event: Impression | Decision) -> None:
        if event.assignments is None:
            if event.variant not in self.variants.get(event.experiment or "", _NONE):
                self._check_variant(event.experiment or "", event.variant or "")
        else:
            for assigned in event.assignments:
                if assigned.variant not in self.variants.get(assigned.experiment, _NONE):
                    self._check_variant(assigned.experiment, assigned.variant)
        if event.category not in self._categories and event.category is not None:
            self._check_category(event.category)

    def _check_other(self, event: Event) -> None:
        if isinstance(event, Conversion | Cost):
            if event.currency not in self.currencies:
                raise EventRejected("unknown_currency", name_currency(event.currency))
            if isinstance(event, Cost) and event.experiment and event.variant:
                self._check_variant(event.experiment, event.variant)
        elif isinstance(event, Aggregate):
            self._check_variant(event.experiment, event.variant)
            self._check_category(event.category)

    def _check_variant(self, experiment: str, variant: str) -> None:
        known = self.variants.get(experiment)
        if self.is_open and (known is None or experiment in self.declared):
            return
        if known is None:
            raise EventRejected("unknown_experiment", name_experiment(experiment))
        if variant not in known:
            raise EventRejected("unknown_variant", name_variant(experiment, variant))

    def is_category(self, path: str) -> bool:
        """Whether a category is a path."""
        try:
            self._check_category(path)
        except EventRejected:
            return False
        return True

    def _check_category(self, path: str) -> None:
        try:
            Category(path)
        except ValueError as error:
            raise EventRejected("wrong_value", f"`category`: {error}") from None
        if len(self._categories) < BATCH_LINES:
            self._categories.add(path)


def name_experiment(experiment: str) -> str:
    """Return the detail with which an unknown experiment is quarantined."""
    return f"`experiment` is {experiment!r}"


def name_currency(currency: str) -> str:
    """Return the detail with which a currency without a rate is quarantined."""
    return f"`currency` is {currency}; set rates: {{{currency}: …}} in abp.yaml"


def name_variant(experiment: str, variant: str) -> str:
    """Return the detail with which an unknown variant is quarantined."""
    return f"`variant` is {variant!r}, which {experiment!r} does not have"


def validate_line(line: bytes, door: Door) -> Event:
    """Make an event of a line.

    Raises:
        EventRejected: It is none, or it cannot be right here.
    """
    event = decode_event(line)
    door.check(event)
    return event


def validate_fields(fields: Mapping[str, Any], door: Door) -> Event:
    """Make an event of a mapped row's fields.

    Raises:
        EventRejected: They are no event, or it cannot be right here.
    """
    event = convert_event(fields)
    door.check(event)
    return event
