"""Workspaces of real data sets: made once from the files that come with the package."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from abplatform.durable import replace_durably
from abplatform.errors import WorkspaceError
from abplatform.workspace import SETTINGS_FILE, Workspace, open_workspace

__all__ = ["open_example"]


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


def _copy(source: Traversable, target: Path) -> None:
    for entry in source.iterdir():
        if entry.is_dir():
            _copy(entry, target / entry.name)
        else:
            replace_durably(target / entry.name, entry.read_bytes())
