"""Masters on disk → small pictures inside the page."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path

from PIL import Image

__all__ = ["THUMBNAIL_PX", "thumbnail"]

THUMBNAIL_PX = 360
"""Longest side of a thumbnail: sharp on a card of 240 px on dense screens, about 15 KB."""


def thumbnail(root: Path, picture: str | None) -> str | None:
    """Return a small copy of a picture as a data URI.

    Args:
        root: The workspace's folder; nothing outside of it is read.
        picture: The picture's path relative to it.

    Returns:
        None when there is no such picture, or it cannot be read.
    """
    if picture is None:
        return None
    folder = root.resolve()
    path = (folder / picture).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        return None
    return _shrink(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4096)
def _shrink(path: Path, _changed_at: int) -> str | None:
    """Shrink one picture; a master never changes, yet a replaced file is read again."""
    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
            small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    except (OSError, Image.DecompressionBombError):
        return None
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=82)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
