"""The Open Bandit sample: obtained from its PyPI wheel, or from a file at hand, and unpacked."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from abplatform.durable import replace_durably
from abplatform.errors import IngestError

__all__ = ["CAMPAIGNS", "POLICIES", "WHEEL_SHA256", "fetch_wheel", "unpack_sample"]

POLICIES = ("random", "bts")
CAMPAIGNS = ("all", "men", "women")

WHEEL = "obp-0.4.1-py3-none-any.whl"
WHEEL_SHA256 = "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208"

_WITHIN = "obp/dataset/obd"
_AT_HAND = "name a wheel or folder at hand with --file PATH"


def fetch_wheel(cache: Path | None = None) -> Path:
    """Return the wheel of obp 0.4.1 (Apache-2.0), from the cache or else from PyPI by pip.

    Args:
        cache: Where it is kept; default the user's cache folder.

    Raises:
        IngestError: pip cannot get it, or it is not the wheel that is expected.
    """
    folder = cache or _user_cache()
    wheel = folder / WHEEL
    if wheel.is_file() and _sha256(wheel) == WHEEL_SHA256:
        return wheel
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        _download(Path(fresh))
        found = Path(fresh) / WHEEL
        if not found.is_file() or _sha256(found) != WHEEL_SHA256:
            raise IngestError(
                "pip brought another obp 0.4.1 than the one that is known", remedy=_AT_HAND
            )
        found.replace(wheel)
    return wheel


def unpack_sample(source: Path, folder: Path) -> dict[tuple[str, str], Path]:
    """Write the sample's six logs as CSV files; a file that is there already stays.

    Args:
        source: The wheel, or a folder that holds ``<policy>/<campaign>/<campaign>.csv[.gz]``.
        folder: Where the CSV files go.

    Returns:
        (policy, campaign) to CSV file.

    Raises:
        IngestError: The source lacks one of them.
    """
    read = _read_wheel(source) if source.is_file() else _read_folder(source)
    logs = {}
    for policy in POLICIES:
        for campaign in CAMPAIGNS:
            log = folder / f"{policy}-{campaign}.csv"
            content = read(f"{policy}/{campaign}/{campaign}.csv")
            if not log.is_file() or log.read_bytes() != content:
                replace_durably(log, content)
            logs[policy, campaign] = log
    return logs


def _read_wheel(wheel: Path) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        try:
            with zipfile.ZipFile(wheel) as archive:
                return archive.read(f"{_WITHIN}/{name}")
        except (zipfile.BadZipFile, KeyError, OSError) as error:
            raise IngestError(
                f"this is no wheel with {_WITHIN}/{name} in it ({error})",
                path=wheel,
                remedy=f"name {WHEEL}, or a folder with its {_WITHIN}",
            ) from None

    return read


def _read_folder(folder: Path) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        for root in (folder, folder / "obd", folder / _WITHIN):
            if (root / name).is_file():
                return (root / name).read_bytes()
            if (root / f"{name}.gz").is_file():
                return gzip.decompress((root / f"{name}.gz").read_bytes())
        raise IngestError(
            f"the folder has no {name} or {name}.gz",
            path=folder,
            remedy=f"name {WHEEL}, or a folder with its {_WITHIN}",
        )

    return read


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--dest", str(folder), "obp==0.4.1"]
    # The constraints of this project's own environment say nothing about a file that is only read.
    environment = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    done = subprocess.run(  # noqa: S603 -- a fixed command without a shell
        command, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        told = done.stderr.strip().splitlines() or ["no word why"]
        raise IngestError(f"pip could not fetch obp 0.4.1: {told[-1]}", remedy=_AT_HAND)


def _user_cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "abplatform"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
