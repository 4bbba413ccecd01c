"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from abplatform.errors import AbplatformError

__all__ = ["Finding", "fail", "ok", "warn"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Args:
        check: What was looked at, as a stable word such as ``segments``.
        status: ``ok``, ``warn`` (all is safe, but look at it) or ``fail``.
        message: What was found, as a sentence without a full stop.
        remedy: What to do, or None.
    """

    check: str
    status: Literal["ok", "warn", "fail"]
    message: str
    remedy: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        told = {"check": self.check, "status": self.status, "message": self.message}
        return told | {"remedy": self.remedy}


def ok(check: str, message: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, "ok", message)


def warn(check: str, message: str, remedy: str) -> Finding:
    """Return a finding that nothing is lost by, but that somebody should look at."""
    return Finding(check, "warn", message, remedy)


def fail(check: str, message: str | AbplatformError, remedy: str | None = None) -> Finding:
    """Return a finding of damage; an error brings its own place and remedy."""
    if isinstance(message, AbplatformError):
        place = f"{message.place}: " if message.place else ""
        return Finding(check, "fail", f"{place}{message.message}", message.remedy or remedy)
    return Finding(check, "fail", message, remedy)
