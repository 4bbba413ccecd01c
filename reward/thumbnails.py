"""Small pictures kept on disk by the sha256 of the large ones, so that each is decoded once.

```
<folder>/<side>/<first two digits>/<sha256>    side x side x 3 bytes, then their xxh3
```

A cache: files may be removed at any time, and one that is not whole is made anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

__all__ = ["keep_thumbnail", "read_thumbnail"]

Pixels = NDArray[np.uint8]
_DIGEST_BYTES = 8


def read_thumbnail(folder: Path, name: str, *, size: int) -> Pixels | None:
    """Return a kept picture, size x size x 3; None if there is none, or not all of it."""
    try:
        kept = _place(folder, name, size).read_bytes()
    except OSError:
        return None
    pixels, digest = kept[:-_DIGEST_BYTES], kept[-_DIGEST_BYTES:]
    if len(pixels) != size * size * 3 or xxhash.xxh3_64_digest(pixels) != digest:
        return None
    return np.frombuffer(pixels, dtype=np.uint8).reshape(size, size, 3)


def keep_thumbnail(folder: Path, name: str, pixels: Pixels) -> None:
    """Keep a small picture; another process may keep the same one at the same time.

    Args:
        folder: The cache.
        name: sha256 of the large picture's bytes.
        pixels: size x size x 3.
    """
    path = _place(folder, name, len(pixels))
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.ascontiguousarray(pixels).tobytes()
    draft = path.with_name(f".{name}-{os.getpid()}")
    # Without waiting for the disk: a file that power cuts short is found out by its digest.
    draft.write_bytes(data + xxhash.xxh3_64_digest(data))
    draft.replace(path)


def _place(folder: Path, name: str, size: int) -> Path:
    return folder / str(size) / name[:2] / name
