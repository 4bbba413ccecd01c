"""Which clicks have been taken already, also before a restart."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from abplatform.logs.landing.sealing import hour_of
from abplatform.workspace import Workspace

__all__ = ["ClicksTaken"]

_ID: Final = re.compile(rb'"event_id":"([0-9a-f-]{36})-c"')


class ClicksTaken:
    """Remembers clicks for as long as their URLs are good; by the hour of landing.

    Args:
        workspace: Whose landing is read at the start.
        source: Under which clicks land.
        window: How long a click's URL is good, as the settings at the start say.
    """

    def __init__(self, workspace: Workspace, source: str, window: timedelta) -> None:
        self._window = window
        self._by_hour: dict[str, set[bytes]] = {}
        # A segment may hold what came a while after its folder's hour.
        earliest = hour_of(workspace.clock() - window - timedelta(hours=1))
        for path in workspace.landing.glob(f"*/{source}/*/*.jsonl"):
            hour = path.parent.name
            if hour >= earliest:
                self._by_hour.setdefault(hour, set()).update(_ID.findall(path.read_bytes()))

    def take(self, decision_id: bytes, at: datetime, window: timedelta) -> bool:
        """Take a click; False when it was taken before.

        Args:
            decision_id: The decision whose creative was clicked.
            at: Now.
            window: How long a click's URL is good now.
        """
        self._window = max(self._window, window)  # one that shrank was signed into URLs before
        if any(decision_id in taken for taken in self._by_hour.values()):
            return False
        hour = hour_of(at)
        if hour not in self._by_hour:
            earliest = hour_of(at - self._window)
            self._by_hour = {one: ids for one, ids in self._by_hour.items() if one >= earliest}
        self._by_hour.setdefault(hour, set()).add(decision_id)
        return True
