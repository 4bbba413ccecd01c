"""Every eligible creative with the same probability."""

from __future__ import annotations

from dataclasses import dataclass

from abplatform.domain.targeting import Context

__all__ = ["Uniform"]


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every eligible creative is equally likely; it rests on no snapshot."""

    name: str = "uniform"
    snapshot: str | None = None

    def distribution(self, context: Context, eligible: tuple[str, ...]) -> tuple[float, ...]:
        """Return 1/K for each of K creatives."""
        return (1.0 / len(eligible),) * len(eligible)
