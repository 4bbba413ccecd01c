"""Workspaces of real data sets: made once from the files that come with the package."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from abplatform.durable import replace_durably
from abplatform.errors import WorkspaceError
from abplatform.logs.facts import ExperimentFacts
from abplatform.traffic.registry import Registry
from abplatform.workspace import SETTINGS_FILE, Workspace, open_workspace

__all__ = ["facts_of", "open_example"]


def open_example(name: str, folder: Path) -> Workspace:
    """Open an example's workspace; make it first where there is none.

    Args:
        name: The folder within ``example_files``.
        folder: Where the workspace is, or shall be.

    Raises:
        WorkspaceError: The folder holds something else.
    """
    if not (folder / SETTINGS_FILE).is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise WorkspaceError(
                "the folder is not empty and is no workspace",
                path=folder,
                remedy="name a new or empty folder with --out DIR",
            )
        _copy(resources.files("abplatform.cli") / "example_files" / name, folder)
    return open_workspace(folder)


def facts_of(registry: Registry) -> dict[str, ExperimentFacts]:
    """Return what the logs have to know about the registry's experiments."""
    return {
        key: ExperimentFacts.of(
            found.experiment,
            started_at=found.started_at,
            ended_at=found.ended_at,
            phases=found.phases,
        )
        for key, found in registry.experiments().items()
    }


def _copy(source: Traversable, target: Path) -> None:
    for entry in source.iterdir():
        if entry.is_dir():
            _copy(entry, target / entry.name)
        else:
            replace_durably(target / entry.name, entry.read_bytes())
