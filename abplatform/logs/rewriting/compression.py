"""Files that are written anew in the compression that their name says."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa  # type: ignore[import-untyped]  # it ships no stubs

__all__ = ["open_for_writing"]


@contextmanager
def open_for_writing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for bytes; ``.gz`` and ``.zst`` are compressed on the way.

    The same content gives the same bytes: no time of writing is kept.
    """
    with path.open("wb") as file:
        if path.name.endswith(".gz"):
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                yield cast("IO[bytes]", packed)
        elif path.name.endswith(".zst"):
            with pa.CompressedOutputStream(file, "zstd") as packed:
                yield packed
        else:
            yield file
