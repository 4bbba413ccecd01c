"""Whether a file was delivered before: by its bytes, its mapping and the hours that it replaces.

A log that replaces hours may be replaced in its turn. Delivered once more after that, it is no
repetition: whoever brings it goes back to it, and it lands anew.
"""

from __future__ import annotations

from abplatform.logs.landing.segments import (
    FORMS,
    Hours,
    MappingText,
    Segment,
    identity_of,
    revision_of,
    sealed_paths,
)
from abplatform.workspace import Workspace

__all__ = ["find_segment", "find_standing"]


def find_segment(
    workspace: Workspace,
    sha256: str,
    mapping: MappingText | None,
    supersedes: Hours | None = None,
) -> Segment | None:
    """Return the sealed segment delivered with these bytes, mapping and hours, or None.

    Of several that renew one another it is the last.
    """
    wanted = identity_of(sha256, mapping, supersedes)
    paths = workspace.landing.glob(f"sealed/*/*/*-{sha256[:12]}.*")
    ordered = sorted(paths, key=lambda path: (-revision_of(path), path.name))
    found = (Segment.read(workspace, path) for path in ordered if path.name.endswith(FORMS))
    same = [
        one
        for one in found
        if identity_of(one.delivered_sha256, one.mapping, one.supersedes) == wanted
    ]
    return max(same, key=lambda one: one.renews or 0, default=None)


def find_standing(
    workspace: Workspace,
    sha256: str,
    mapping: MappingText | None,
    supersedes: Hours | None = None,
) -> Segment | None:
    """Return the segment of which such a delivery is a repetition, or None: then it lands."""
    found = find_segment(workspace, sha256, mapping, supersedes)
    return None if found is None or _is_replaced(workspace, found) else found


def _is_replaced(workspace: Workspace, segment: Segment) -> bool:
    """Whether a later log replaces hours that a segment replaces."""
    hours = segment.supersedes
    if hours is None:
        return False
    later = [path for path in sealed_paths(workspace) if int(path.name[:9]) > segment.number]
    others = (Segment.read(workspace, path).supersedes for path in later)
    return any(other is not None and other.overlaps(hours) for other in others)
