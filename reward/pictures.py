"""Pictures from a folder, by the sha256 of their bytes, small enough for the reward model."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from abplatform.errors import TrainingError
from reward.dataset import PairTable
from reward.thumbnails import keep_thumbnail, read_thumbnail

__all__ = [
    "IMAGE_SIZE",
    "picture_files",
    "pictures_of",
    "read_picture",
    "read_pictures",
    "shrink",
]

Pixels = NDArray[np.uint8]

IMAGE_SIZE = 64
"""Side of a picture in pixels, unless a configuration says otherwise."""

_SUFFIXES = (".webp", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".avif")


def read_pictures(
    folder: Path,
    names: Sequence[str],
    *,
    size: int,
    thumbnails: Path | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Pixels:
    """Read pictures, check their bytes and make them small.

    Args:
        folder: Holds ``<sha256>.<any image extension>``.
        names: N sha256s.
        size: Side of the small picture in pixels.
        thumbnails: Cache of small pictures; what is in it is not read from ``folder`` again.
        advance: Told how many are done of how many.

    Returns:
        N x size x size x 3, uint8 RGB.

    Raises:
        TrainingError: Pictures are missing (the message names them), changed or unreadable.
    """
    files = picture_files(folder, names)
    small = np.empty((len(names), size, size, 3), dtype=np.uint8)
    for index, name in enumerate(names):
        small[index] = _small(files[name], name, size, thumbnails)
        if advance:
            advance(index + 1, len(names))
    return small


def picture_files(folder: Path, names: Collection[str]) -> dict[str, Path]:
    """Find pictures by the sha256 of their bytes.

    Args:
        folder: Holds ``<sha256>.<any image extension>``.
        names: sha256s.

    Returns:
        sha256 to file, others of the folder included.

    Raises:
        TrainingError: Pictures are missing (the message names them).
    """
    files = {
        path.stem: path for path in sorted(folder.glob("*")) if path.suffix.lower() in _SUFFIXES
    }
    missing = sorted({name for name in names if name not in files})
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        shown = ", ".join(missing[:3]) + more
        raise TrainingError(
            f"{len(missing)} of {len(set(names))} images are missing: {shown}",
            path=folder,
            remedy="name the folder that holds <sha256>.webp with --images",
        )
    return files


def pictures_of(
    table: PairTable,
    images: Path | None,
    *,
    size: int = IMAGE_SIZE,
    thumbnails: Path | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8] | None:
    """Read the picture of each item.

    Args:
        table: Pairs over M items.
        images: Folder of ``<sha256>.<extension>``; None leaves pictures out.
        size: Side of a picture in pixels.
        thumbnails: Cache of small pictures.
        advance: Told how many are done of how many.

    Returns:
        M x size x size x 3, or None where pictures are left out.

    Raises:
        TrainingError: Pictures are missing, changed or unreadable.
    """
    if images is None or not any(item.image for item in table.items):
        return None
    if not table.has_images:
        bare = next(item for item in table.items if not item.image)
        raise TrainingError(
            f"creative {bare.creative!r} names no image while others do",
            remedy="leave --images out, or write pairs whose creatives all have images",
        )
    names = sorted({item.image for item in table.items})
    pictures = read_pictures(images, names, size=size, thumbnails=thumbnails, advance=advance)
    place = {name: index for index, name in enumerate(names)}
    return pictures[[place[item.image] for item in table.items]]


def read_picture(path: Path, sha256: str) -> Pixels:
    """Read a picture as it is, on white where it is clear, H x W x 3.

    Args:
        path: The file.
        sha256: What its bytes have to be.

    Raises:
        TrainingError: It has changed or is unreadable.
    """
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise TrainingError(
            "the image's bytes are not those its name stands for",
            path=path,
            remedy="fetch the image again; its name must be the sha256 of its bytes",
        )
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
                clear = image.convert("RGBA")
                white = Image.new("RGBA", clear.size, "white")
                return np.asarray(Image.alpha_composite(white, clear).convert("RGB"))
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise TrainingError(
            f"the image cannot be read: {error}", path=path, remedy="replace it by a whole file"
        ) from error


def shrink(pixels: Pixels, *, size: int) -> Pixels:
    """Make a picture size x size by averaging areas; nothing is cropped.

    Args:
        pixels: H x W x 3, uint8.
        size: Side of the result.
    """
    if pixels.shape[:2] == (size, size):
        return pixels
    resized = Image.fromarray(pixels).resize((size, size), Image.Resampling.BOX)
    return np.asarray(resized, dtype=np.uint8)


def _small(path: Path, name: str, size: int, thumbnails: Path | None) -> Pixels:
    kept = None if thumbnails is None else read_thumbnail(thumbnails, name, size=size)
    if kept is not None:
        return kept
    small = shrink(read_picture(path, name), size=size)
    if thumbnails is not None:
        keep_thumbnail(thumbnails, name, small)
    return small
