"""Renderers by name: what a command line or a workspace's settings call them."""

from __future__ import annotations

from difflib import get_close_matches

from abplatform.errors import CatalogueError
from generators.renderers.baseline import Baseline
from generators.renderers.placing import Renderer
from generators.renderers.studio import Studio

__all__ = ["RENDERERS", "find_renderer"]

RENDERERS = ("studio", "baseline")
"""The first word of a renderer's name; what follows a colon is handed to it."""


def find_renderer(words: str) -> Renderer:
    """Return the renderer that is called so.

    Args:
        words: ``studio`` or ``baseline``.

    Raises:
        CatalogueError: No renderer is called so.
    """
    kind, _, _rest = words.partition(":")
    if kind == "studio":
        return Studio()
    if kind == "baseline":
        return Baseline()
    near = get_close_matches(kind, RENDERERS, n=1)
    hint = f"did you mean {near[0]!r}? The renderers" if near else "the renderers"
    raise CatalogueError(
        f"there is no renderer {words!r}", remedy=f"{hint} are {', '.join(RENDERERS)}"
    )
