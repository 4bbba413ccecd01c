"""A creative at a channel's sizes: drawn anew from its lineage, light enough for the channel.

A rendition is lossy and bears its master's ``creative_id``. It is no enlarged or cut master: the
same renderer draws the same product, scene and seed at the size that is asked for.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from abplatform.domain.catalog import Lineage
from abplatform.errors import CatalogueError
from abplatform.settings import Channel
from generators.ai_mark import ai_mark
from generators.arrays import Pixels
from generators.brand import NO_BRANDS, BrandKit, Brands, dress
from generators.intake import ReadyProduct
from generators.renderers.baseline import Baseline
from generators.renderers.placing import Rendered, Renderer, Size
from generators.scene import Scene

__all__ = ["LEAST_QUALITY", "make_renditions", "rendition_path"]

LEAST_QUALITY: Final = 55
"""Below it a lighter file would look worse than a smaller picture."""
_MOST_QUALITY: Final = 92
_SMALLER: Final = 0.85
_LEAST_SHARE: Final = 0.3
"""How far a picture is made smaller, as a share of the side that was asked for."""
_FOLDER: Final = "renditions"
_SUFFIX: Final = {"jpeg": "jpg", "webp": "webp"}


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A picture's bytes and the width and height at which they came out."""

    data: bytes
    size: Size


def rendition_path(root: Path, creative_id: str, channel_name: str, size: Size, form: str) -> Path:
    """Return where a rendition lies.

    Args:
        root: The folder of creatives.
        creative_id: sha256 of the master.
        channel_name: The channel's name.
        size: Width and height in pixels.
        form: ``jpeg`` or ``webp``.
    """
    name = f"{channel_name}-{size[0]}x{size[1]}.{_SUFFIX[form]}"
    return root / _FOLDER / creative_id / name


def make_renditions(
    root: Path,
    product: ReadyProduct,
    lineage: Lineage,
    channel: Channel,
    *,
    channel_name: str,
    renderers: Sequence[Renderer] = (),
    brands: Brands = NO_BRANDS,
) -> dict[Size, Path]:
    """Draw a creative at every size of a channel; files that are there and fit are kept.

    Args:
        root: The folder of creatives.
        product: What it advertises, with the photograph of which it was made.
        lineage: How it was made.
        channel: What the channel takes.
        channel_name: Its name.
        brands: Today's kits; a creative that was dressed by another version is refused.
        renderers: Those at hand; one of them must have drawn it. Baselines need none.

    Returns:
        Size to file.

    Raises:
        CatalogueError: The photograph or the renderer is another one than it was drawn with, the
            product would stand under the channel's own buttons, or no file is light enough.
    """
    renderer = _renderer_of(lineage, renderers)
    if product.image_sha256 != lineage.image_sha256:
        raise CatalogueError(
            f"creative {lineage.creative_id[:12]} was made of another photograph of "
            f"{lineage.product_id}",
            remedy="draw new creatives with `abp generate`, or put the photograph back",
        )
    kit = _kit_of(lineage, product, brands)
    mark = ai_mark(
        lineage.creative_id, renderer=lineage.renderer, is_trained=bool(renderer.checkpoints)
    )
    made = {}
    for size in channel.sizes:
        path = rendition_path(root, lineage.creative_id, channel_name, size, channel.form)
        if not path.is_file() or path.stat().st_size > channel.max_bytes:
            scene = Scene(**lineage.scene) if lineage.scene else None
            rendered = renderer.render(product, scene, seed=lineage.seed, size=size)
            if lineage.source == "generated":
                rendered = dress(rendered, kit).rendered
            _check_safe_area(rendered, channel, lineage)
            encoded = _encode(rendered.pixels, channel, mark)
            if encoded is None:
                raise CatalogueError(
                    f"creative {lineage.creative_id[:12]} at {size[0]}x{size[1]} is heavier than "
                    f"{channel.max_bytes:,} bytes at any size worth showing",
                    remedy=f"raise max_bytes of the channel {channel_name}",
                )
            _write(path, encoded.data)
        made[size] = path
    return made


def _renderer_of(lineage: Lineage, renderers: Sequence[Renderer]) -> Renderer:
    for renderer in (Baseline(), *renderers):
        if renderer.name == lineage.renderer:
            return renderer
    raise CatalogueError(
        f"creative {lineage.creative_id[:12]} was drawn by {lineage.renderer}, and only "
        f"{', '.join(one.name for one in renderers) or 'the baseline'} is at hand",
        remedy="name its renderer as generators.renderer in abp.yaml, or draw new creatives",
    )


def _kit_of(lineage: Lineage, product: ReadyProduct, brands: Brands) -> BrandKit:
    kit = brands.kit(product.product, lineage.brand.get("country") or None)
    if lineage.source == "generated" and lineage.brand.get("sha256", "") != kit.sha256:
        raise CatalogueError(
            f"creative {lineage.creative_id[:12]} was drawn under another brand kit",
            remedy="inspect it again with `abp creatives inspect`, and draw new ones",
        )
    return kit


def _check_safe_area(rendered: Rendered, channel: Channel, lineage: Lineage) -> None:
    """Refuse a picture whose product stands where the channel puts its own things."""
    place, (height, width) = rendered.placement, rendered.pixels.shape[:2]
    free = min(
        place.x / width,
        place.y / height,
        (width - place.x - place.width) / width,
        (height - place.y - place.height) / height,
    )
    if free < channel.safe_area:
        raise CatalogueError(
            f"creative {lineage.creative_id[:12]} at {width}x{height}: its product comes within "
            f"{free:.0%} of the border, and the channel keeps {channel.safe_area:.0%} to itself",
            remedy="lower the channel's safe_area, or leave the size out",
        )


def _encode(pixels: Pixels, channel: Channel, mark: bytes) -> _Encoded | None:
    """Return the best quality that is light enough, else a smaller picture; None: nothing is."""
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    share = 1.0
    while share >= _LEAST_SHARE:
        size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
        shown = picture if share == 1.0 else picture.resize(size, Image.Resampling.LANCZOS)
        best = _best_quality(shown, channel, mark)
        if best is not None:
            return _Encoded(best, size)
        share *= _SMALLER
    return None


def _best_quality(picture: Image.Image, channel: Channel, mark: bytes) -> bytes | None:
    """Find the highest quality under the cap by halving; sizes grow with quality."""
    low, high = LEAST_QUALITY, _MOST_QUALITY
    best = None
    while low <= high:
        quality = (low + high + 1) // 2
        data = _save(picture, channel, mark, quality)
        if len(data) <= channel.max_bytes:
            best, low = data, quality + 1
        else:
            high = quality - 1
    return best


def _save(picture: Image.Image, channel: Channel, mark: bytes, quality: int) -> bytes:
    buffer = io.BytesIO()
    if channel.form == "webp":
        picture.save(buffer, "WEBP", quality=quality, method=4, xmp=mark)
    else:
        picture.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True, xmp=mark)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
