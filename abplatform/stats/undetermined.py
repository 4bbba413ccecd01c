"""A number that cannot be computed: never NaN, never a silent zero or p = 1, always a reason."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Undetermined"]


@dataclass(frozen=True, slots=True)
class Undetermined:
    """A number that cannot be computed, and why.

    Args:
        reason: ``code: sentence``, such as ``no_traffic: control has no units``.
    """

    reason: str

    @property
    def code(self) -> str:
        """The stable word before the colon."""
        return self.reason.partition(":")[0]
