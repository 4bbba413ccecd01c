"""Creatives drawn at the sizes of channels, in several processes where that pays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from abplatform.errors import CatalogueError, WorkspaceError
from abplatform.settings import Channel
from abplatform.yaml_text import nearest

if TYPE_CHECKING:
    from abplatform.domain.catalog import Lineage
    from generators.brand import Brands
    from generators.intake import ReadyProduct
    from generators.renderers.placing import Renderer

__all__ = ["Files", "Wanted", "draw_renditions", "find_channel"]

_WORTH_A_POOL: Final = 8

Files: TypeAlias = Mapping[tuple[int, int], Path]
"""Width and height in pixels to a rendition's file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One creative that is wanted at a channel's sizes.

    Args:
        root: The folder of creatives.
        product: What it advertises.
        lineage: How it was made.
        channel_name: The channel.
        channel: What the channel takes.
        renderer: The one at hand.
        brands: Today's kits.
    """

    root: Path
    product: ReadyProduct
    lineage: Lineage
    channel_name: str
    channel: Channel
    renderer: Renderer
    brands: Brands


def find_channel(name: str, channels: Mapping[str, Channel], path: Path | None = None) -> Channel:
    """Return the channel of that name.

    Args:
        name: Such as ``feed``.
        channels: Those that there are.
        path: Where they are written down, for the message.

    Raises:
        WorkspaceError: There is none.
    """
    if name in channels:
        return channels[name]
    near = nearest(name, channels)
    hint = f"did you mean {near!r}? It has" if near else "it has"
    raise WorkspaceError(
        f"abp.yaml has no channel {name!r}", path=path, remedy=f"{hint} {', '.join(channels)}"
    )


def draw_renditions(wanted: Sequence[Wanted]) -> Iterator[Files | CatalogueError]:
    """Draw what is missing, in order; what is there and fits is kept.

    Yields:
        For each that is wanted its files, or why there are none.
    """
    processes = min(2, os.cpu_count() or 1)
    together = any(one.renderer.batch > 1 for one in wanted)
    if processes == 1 or len(wanted) < _WORTH_A_POOL or together:
        yield from map(_draw_one, wanted)
        return
    from generators.generate.drawing import leave_with_parent

    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=leave_with_parent
    ) as pool:
        yield from pool.map(_draw_one, wanted)


def _draw_one(wanted: Wanted) -> Files | CatalogueError:
    from generators.renditions import make_renditions

    try:
        return make_renditions(
            wanted.root,
            wanted.product,
            wanted.lineage,
            wanted.channel,
            channel_name=wanted.channel_name,
            renderers=[wanted.renderer],
            brands=wanted.brands,
        )
    except CatalogueError as error:
        return error
