"""What the logs are told about experiments: their variants, windows and running time.

The logs never ask the registry; whoever calls them hands these facts in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from abplatform.domain.experiment import (
    Assigned,
    EventWindows,
    Experiment,
    Phase,
    Unit,
)

__all__ = ["FOREVER_MICROS", "ExperimentFacts", "Rates", "micros", "to_micros"]

FOREVER_MICROS = 2**62
"""Stands for no end, in microseconds since 1970; its negative for no beginning."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Return a moment as whole microseconds since 1970 in UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def micros(duration: timedelta) -> int:
    """Return a duration in whole microseconds."""
    return duration // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Rates:
    """What money is worth in one currency.

    Args:
        currency: The one in which amounts are counted.
        worth: Currency to what one unit of it is worth in ``currency``, which is in it as 1.
    """

    currency: str
    worth: Mapping[str, float]

    @classmethod
    def of(cls, currency: str, others: Mapping[str, float]) -> Rates:
        """Take the rates of a currency, as abp.yaml gives them."""
        return cls(currency, {**others, currency: 1.0})

    def completed(self, later: Rates) -> Rates:
        """Add the currencies that only a later table knows; what is here stays as it is."""
        factor = self._worth_of(later)
        if factor is None:
            return self
        added = {name: worth * factor for name, worth in later.worth.items()}
        return Rates(self.currency, {**added, **self.worth})

    def _worth_of(self, later: Rates) -> float | None:
        """What one unit of the later table's currency is worth here; None if nobody knows."""
        if later.currency in self.worth:
            return self.worth[later.currency]
        back = later.worth.get(self.currency)
        return 1 / back if back else None


@dataclass(frozen=True, slots=True)
class ExperimentFacts:
    """One experiment as the logs see it.

    Args:
        key: The experiment.
        weights: Variant to percent, in the YAML's order.
        control: The variant that the others are compared with.
        unit: What is randomised.
        assignment: ``external`` when units were assigned elsewhere: it then has no beginning and
            no end, unless they are given.
        windows: Until when events count.
        running: Stretches of time (from, to) in which it runs; ``to`` is None while one lasts.
        rates: What money is worth in it, fixed when it started; None while nothing is fixed.
    """

    key: str
    weights: Mapping[str, float]
    control: str
    unit: Unit = "user_id"
    assignment: Assigned = "platform"
    windows: EventWindows = field(default_factory=EventWindows)
    running: tuple[tuple[datetime, datetime | None], ...] = ()
    rates: Rates | None = None

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        *,
        started_at: datetime | None = None,
        ended_at: datetime | None = None,
        phases: Sequence[Phase] = (),
        rates: Rates | None = None,
    ) -> ExperimentFacts:
        """Take the facts from an experiment and from what the journal holds of it.

        Args:
            experiment: As its YAML says.
            started_at: When it began; None for a draft, or for one that was assigned elsewhere.
            ended_at: When it was stopped, or None.
            phases: Its phases; the time between two of them counts as a pause.
            rates: What money is worth in it, if that is fixed.
        """
        stretches: list[tuple[datetime, datetime | None]] = [
            (phase.starts_at, phase.ends_at) for phase in phases
        ]
        if not stretches and started_at is not None:
            stretches = [(started_at, None)]
        if ended_at is not None:
            stretches = [
                (begin, ended_at if end is None else min(end, ended_at))
                for begin, end in stretches
                if begin < ended_at
            ]
        return cls(
            key=experiment.key,
            weights=experiment.weights,
            control=experiment.control.name,
            unit=experiment.unit,
            assignment=experiment.assignment,
            windows=experiment.events,
            running=tuple(stretches),
            rates=rates,
        )

    def priced(self, now: Rates) -> ExperimentFacts:
        """Count money by the rates fixed for it, and by those of now where none are."""
        return replace(self, rates=self.rates.completed(now) if self.rates else now)

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants in the YAML's order."""
        return tuple(self.weights)

    @property
    def running_micros(self) -> list[tuple[int, int]]:
        """The stretches in microseconds, without overlaps, from (included) to (excluded)."""
        if not self.running and self.assignment == "external":
            return [(-FOREVER_MICROS, FOREVER_MICROS)]
        merged: list[tuple[int, int]] = []
        for begin, end in sorted(self.running, key=lambda stretch: stretch[0]):
            low = to_micros(begin)
            high = FOREVER_MICROS if end is None else to_micros(end)
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            elif high > low:
                merged.append((low, high))
        return merged
