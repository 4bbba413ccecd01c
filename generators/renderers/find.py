"""Renderers by name: what a command line or a workspace's settings call them."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from abplatform.errors import CatalogueError, NotInstalled
from generators.renderers.baseline import Baseline
from generators.renderers.photos import open_photos
from generators.renderers.placing import Renderer
from generators.renderers.studio import Studio

__all__ = ["RENDERERS", "find_renderer"]

RENDERERS = ("studio", "baseline", "photos", "diffusion")
"""The first word of a renderer's name; what follows a colon is handed to it."""


def find_renderer(words: str) -> Renderer:
    """Return the renderer that is called so.

    Args:
        words: ``studio``, ``baseline``, ``photos:FOLDER`` with a folder of backgrounds,
            ``diffusion`` for the embedded model, or ``diffusion:MODEL`` for one by folder or hub
            id, with its ControlNet as ``diffusion:MODEL+CONTROLNET``.

    Raises:
        CatalogueError: No renderer is called so, or its folder cannot be used.
        CheckpointError: Its model is missing or refused.
        NotInstalled: It needs packages that are not there.
    """
    kind, _, rest = words.partition(":")
    if kind == "studio":
        return Studio()
    if kind == "baseline":
        return Baseline()
    if kind == "photos":
        return open_photos(Path(rest).expanduser() if rest else Path("photos:FOLDER"))
    if kind == "diffusion":
        return _open_diffusion(rest)
    near = get_close_matches(kind, RENDERERS, n=1)
    hint = f"did you mean {near[0]!r}? The renderers" if near else "the renderers"
    raise CatalogueError(
        f"there is no renderer {words!r}", remedy=f"{hint} are {', '.join(RENDERERS)}"
    )


def _open_diffusion(named: str) -> Renderer:
    try:
        from generators.renderers.diffusion.renderer import open_diffusion
    except ModuleNotFoundError as error:
        raise NotInstalled(error.name or "diffusers", extra="models") from error
    return open_diffusion(named)
