"""Ids by which further events of somebody are found, kept while forgetting is under way.

Once an impression is erased, nothing tells any more that a click on it must go as well. So the ids
are written down before the first row goes, and removed when the last one is gone; they name events,
never a unit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path

from abplatform.durable import replace_durably, sync_folder
from abplatform.workspace import Workspace

__all__ = ["Links", "drop_links", "keep_links", "read_links"]


@dataclass(frozen=True, slots=True)
class Links:
    """What further events name.

    Args:
        impressions: Events that were shown to the units.
        decisions: What was decided for them.
        conversions: Events and orders of theirs, which refunds name.
        experiments: In which they were; no event is found by these.
    """

    impressions: set[str] = field(default_factory=set)
    decisions: set[str] = field(default_factory=set)
    conversions: set[str] = field(default_factory=set)
    experiments: set[str] = field(default_factory=set)

    @property
    def ids(self) -> set[str]:
        """Every id by which an event may be found."""
        return {*self.impressions, *self.decisions, *self.conversions}


def keep_links(workspace: Workspace, links: Links) -> None:
    """Write down what was gathered; it is on the disk when this returns."""
    told = {each.name: sorted(getattr(links, each.name)) for each in fields(links)}
    replace_durably(_path(workspace), json.dumps(told).encode())


def read_links(workspace: Workspace) -> Links | None:
    """Return what a killed run had gathered; None where none was killed."""
    try:
        told = json.loads(_path(workspace).read_bytes())
    except FileNotFoundError:
        return None
    return Links(**{name: set(values) for name, values in told.items()})


def drop_links(workspace: Workspace) -> None:
    """Forget what was gathered."""
    _path(workspace).unlink(missing_ok=True)
    sync_folder(workspace.landing)


def _path(workspace: Workspace) -> Path:
    return workspace.landing / "forgetting.json"
