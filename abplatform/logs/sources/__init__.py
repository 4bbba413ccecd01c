"""Logs that are pulled: which are due, what was pulled, and which have fallen silent."""

from __future__ import annotations

from abplatform.logs.sources.due import silent_sources
from abplatform.logs.sources.pull import Pull, pull_due

__all__ = ["Pull", "pull_due", "silent_sources"]
