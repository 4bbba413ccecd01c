"""Replacing a sealed segment: only what must be forgotten is ever rewritten.

The new file gets the old one's number and a revision in its name, and takes its place by a rename;
from then on the old one no longer counts, and is removed. A kill in between leaves both, and the
newer one counts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from abplatform.durable import reach, sync_file, sync_folder, write_durably
from abplatform.logs.landing.segments import FORMS, Segment, file_sha256, revision_of, sealed_paths
from abplatform.workspace import Workspace

__all__ = ["remove_replaced", "replace_segment"]


def replace_segment(segment: Segment, file: Path, forgotten: Mapping[str, int]) -> Segment:
    """Put another file in a sealed segment's place.

    Args:
        segment: The segment.
        file: The new content; it is moved.
        forgotten: How many events of each source were erased from it, in this step.

    Returns:
        The segment as it is now; its side file names the sha256s that it had before.
    """
    sync_file(file)
    name = (
        f"{segment.number:09d}-r{revision_of(segment.path) + 1}-"
        f"{segment.delivered_sha256[:12]}.{segment.form}"
    )
    new = replace(
        segment,
        path=segment.path.with_name(name),
        sha256=file_sha256(file),
        delivered_as=segment.delivered_sha256,
        forgotten=dict(Counter(segment.forgotten) + Counter(forgotten)),
        earlier=(*segment.earlier, segment.sha256),
    )
    write_durably(_side(new.path, ".json"), json.dumps(new.to_json()).encode())
    write_durably(_side(new.path, ".sha256"), f"{new.sha256}  {name}\n".encode())
    reach("forget.rewrite")
    file.rename(new.path)
    sync_folder(new.path.parent)
    reach("forget.remove")
    _remove(segment.path)
    return new


def remove_replaced(workspace: Workspace) -> None:
    """Remove what killed jobs left of segments that were rewritten."""
    newest = {path.name[:9]: path for path in sealed_paths(workspace)}
    for path in workspace.landing.glob("sealed/*/*/*"):
        current = newest.get(path.name[:9])
        if current is not None and revision_of(path) < revision_of(current):
            if path.name.endswith(FORMS):
                _remove(path)
            else:
                path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    # The data first: a segment without side files could not be read.
    for name in (path, _side(path, ".sha256"), _side(path, ".json")):
        name.unlink(missing_ok=True)
    sync_folder(path.parent)


def _side(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
