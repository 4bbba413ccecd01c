"""What Prometheus reads; every service has a registry of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

_BUCKETS: Final = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """Counts and times."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "abp_decisions", "Decisions by reason.", ["reason"], registry=self._registry
        )
        self._requests = Counter(
            "abp_requests",
            "Calls by route and status.",
            ["route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "abp_request_seconds",
            "Time from the whole request to the answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._events = Counter(
            "abp_events", "Events by what became of them.", ["outcome"], registry=self._registry
        )

        # Finding a label's counter takes longer than counting.
        self._decision_of = cache(self._decisions.labels)
        self._request_of = cache(self._requests.labels)
        self._seconds_of = cache(self._seconds.labels)

    def gauge(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Show a number that is read when somebody asks.

        Args:
            name: Begins with ``abp_``.
            about: One sentence.
            read: Returns the number.
        """
        Gauge(name, about, registry=self._registry).set_function(read)

    def decided(self, reason: str) -> None:
        """Count a decision."""
        self._decision_of(reason).inc()

    def event(self, outcome: str, count: int = 1) -> None:
        """Count events: ``acknowledged``, ``rejected``, ``spooled``, ``refused``."""
        self._events.labels(outcome).inc(count)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a call and its time."""
        self._request_of(route, status).inc()
        self._seconds_of(route).observe(seconds)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)
