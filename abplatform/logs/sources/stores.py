"""Where sources lie: folders, and object stores through fsspec."""

from __future__ import annotations

import glob
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from abplatform.errors import IngestError
from abplatform.settings import Source
from abplatform.workspace import Workspace

__all__ = ["SETTLED_SECONDS", "Found", "fetch", "is_growing", "list_files"]

SETTLED_SECONDS: Final = 60.0
"""How long a file must have stayed as it is before it is pulled."""

_BLOCK: Final = 1 << 20
_FETCH_ERRORS: Final = (OSError, ValueError, RuntimeError)
"""What stores raise when they cannot be reached; each has exceptions of its own below these."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a source.

    Args:
        name: Its URL, or its path from the workspace, which may move.
        size: In bytes.
        modified: When it was written last, or None where the store does not say.
    """

    name: str
    size: int
    modified: datetime | None


def list_files(workspace: Workspace, source: Source) -> list[Found]:
    """Return a source's files, by name.

    Raises:
        IngestError: The store cannot be read; the message names the package that is missing.
    """
    if not source.is_remote:
        paths = glob.glob(str(workspace.root / source.path), recursive=True)  # noqa: PTH207 -- the setting may be absolute
        found = map(Path, sorted(paths))
        return [_found(path, workspace.root) for path in found if path.is_file()]
    with _told_as_errors(source.path):
        store, pattern = _open_store(source.path)
        # A store remembers listings; a pull asks what is there now.
        store.invalidate_cache()
        listed = store.glob(pattern, detail=True)
        return [
            Found(store.unstrip_protocol(path), int(about["size"]), _modified(store, path))
            for path, about in sorted(listed.items())
            if about["type"] == "file"
        ]


def fetch(found: Found, target: Path) -> None:
    """Copy a file of an object store to a local path.

    Raises:
        IngestError: It cannot be read, or is not as long as was listed.
    """
    with _told_as_errors(found.name):
        store, path = _open_store(found.name)
        with store.open(path, "rb") as file, target.open("wb") as copy:
            while block := file.read(_BLOCK):
                copy.write(block)
    if target.stat().st_size != found.size:
        raise IngestError(
            f"it broke off: {target.stat().st_size:,} of {found.size:,} bytes came",
            path=found.name,
            remedy="the next pull tries again",
        )


def is_growing(found: Found) -> bool:
    """Whether a file was written to so lately that its writer may not be done."""
    if found.modified is None:
        return False
    # Files bear the machine's time, whatever the workspace's clock says.
    return 0 <= time.time() - found.modified.timestamp() < SETTLED_SECONDS


def _found(path: Path, root: Path) -> Found:
    about = path.stat()
    name = path.relative_to(root) if path.is_relative_to(root) else path
    return Found(str(name), about.st_size, datetime.fromtimestamp(about.st_mtime, UTC))


def _modified(store: Any, path: str) -> datetime | None:
    try:
        moment = store.modified(path)
    except (NotImplementedError, KeyError):
        return None
    if not isinstance(moment, datetime):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _open_store(url: str) -> tuple[Any, str]:
    import fsspec  # type: ignore[import-untyped]  # it has no stubs

    store, path = fsspec.core.url_to_fs(url)
    return store, path


@contextmanager
def _told_as_errors(url: str) -> Iterator[None]:
    """Turn what a store raises into a sentence that says what to do."""
    try:
        yield
    except ImportError as error:
        package = _PACKAGES.get(url.partition("://")[0], "")
        raise IngestError(
            f"the store of {url} needs a package that is not installed: {error}",
            remedy=f"install it with `pip install {package}`" if package else "install it",
        ) from None
    except FileNotFoundError:
        raise IngestError("there is no such file", path=url, remedy="check its name") from None
    except _FETCH_ERRORS as error:
        raise IngestError(
            f"the store cannot be read: {error}",
            path=url,
            remedy="check the address, the network and who may read it",
        ) from None


_PACKAGES: Final = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "sftp": "paramiko",
    "ssh": "paramiko",
}
