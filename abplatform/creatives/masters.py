"""Lossless masters and their cut-outs on disk, each named by the sha256 of its bytes."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from abplatform.errors import CatalogueError

__all__ = ["read_cutout", "read_master", "save_master"]


def save_master(root: Path, pixels: np.ndarray, cutout: np.ndarray) -> tuple[str, str]:
    """Write a creative's lossless master and its resampled cut-out.

    Args:
        root: The folder of creatives.
        pixels: uint8, height x width x 3.
        cutout: uint8, height x width x 4.

    Returns:
        The sha256 of the master's bytes (the creative_id) and that of the cut-out's bytes.
    """
    return _save_webp(root, pixels, "RGB"), _save_webp(root, cutout, "RGBA")


def _save_webp(root: Path, pixels: np.ndarray, mode: str) -> str:
    channels = len(mode)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != channels:
        raise CatalogueError(
            f"{mode} pixels are uint8 x {channels}, not {pixels.dtype} {pixels.shape}"
        )
    buffer = io.BytesIO()
    # quality is the encoder's effort here; exact keeps the colours under alpha 0
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, exact=True, quality=20, method=0)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    path = root / f"{digest}.webp"
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        draft = root / f".{digest}.{os.getpid()}"
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    return digest


def read_master(root: Path, creative_id: str) -> np.ndarray:
    """Read a master's pixels.

    Args:
        root: The folder of creatives.
        creative_id: sha256 of the file's bytes.

    Returns:
        uint8, height x width x 3.

    Raises:
        CatalogueError: The file is missing or its bytes are not those the name promises.
    """
    return _read_webp(root, creative_id, "RGB")


def read_cutout(root: Path, cutout_sha256: str) -> np.ndarray:
    """Read the resampled cut-out kept beside a master; uint8, height x width x 4."""
    return _read_webp(root, cutout_sha256, "RGBA")


def _read_webp(root: Path, digest: str, mode: str) -> np.ndarray:
    path = root / f"{digest}.webp"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CatalogueError(
            "the creative's picture is missing",
            path=path,
            remedy="draw it again with `abp generate`",
        ) from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise CatalogueError(
            "the creative's bytes have changed",
            path=path,
            remedy="delete the file and draw it again with `abp generate`",
        )
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert(mode))
    except (UnidentifiedImageError, OSError) as error:
        raise CatalogueError(f"the creative cannot be read: {error}", path=path) from error
