"""Snapshots: what policies know, by the sha256 of its bytes, so that a decision can be repeated.

A snapshot is written once and never changed; ``CURRENT.json`` says which one is in force, since
when, and of which data version it was made. None of these is part of the snapshot itself, so that
the same knowledge has the same name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from abplatform.durable import replace_durably
from abplatform.errors import StoreError

__all__ = [
    "CURRENT_FILE",
    "EMPTY_SNAPSHOT",
    "OVERALL",
    "ClickModel",
    "Current",
    "Prior",
    "Seen",
    "Snapshot",
    "keep_snapshot",
    "prior_of",
    "read_current",
    "read_snapshot",
]

CURRENT_FILE: Final = "CURRENT.json"
OVERALL: Final = ""
"""The key of what holds in categories that nobody has seen."""


class Seen(Struct, frozen=True):
    """What one creative did.

    Args:
        category: Where its product stands.
        n: Impressions.
        k: Those that were clicked.
    """

    category: str
    n: int
    k: int


class Prior(Struct, frozen=True):
    """What is believed of a creative's click rate before it is shown: Beta(clicks, misses)."""

    clicks: float
    misses: float


class ClickModel(Struct, frozen=True):
    """Coefficients of log odds of a click; what is missing counts 0.

    Args:
        intercept: Of an impression about which nothing is known.
        categories: By category.
        creatives: By creative.
        contexts: By dimension, such as ``channel``, and value.
        crossed: By creative, dimension and value.
    """

    intercept: float = 0.0
    categories: dict[str, float] = {}
    creatives: dict[str, float] = {}
    contexts: dict[str, dict[str, float]] = {}
    crossed: dict[str, dict[str, dict[str, float]]] = {}


class Snapshot(Struct, frozen=True):
    """What policies know.

    Args:
        creatives: What each did.
        priors: By category; :data:`OVERALL` for the others.
        model: Predicts clicks.
        checkpoint: The reward model that scored, by its sha256; None where none did.
        rewards: Creative to that model's score.
        schema: Of this format.
    """

    creatives: dict[str, Seen] = {}
    priors: dict[str, Prior] = {}
    model: ClickModel = ClickModel()
    checkpoint: str | None = None
    rewards: dict[str, float] = {}
    schema: Literal[1] = 1


EMPTY_SNAPSHOT: Final = Snapshot()


class Current(Struct, frozen=True):
    """The snapshot in force.

    Args:
        sha256: Its name.
        data_version: Of the store it was first made of.
        made_at: When.
    """

    sha256: str
    data_version: str
    made_at: datetime


def keep_snapshot(folder: Path, snapshot: Snapshot, *, data_version: str, at: datetime) -> str:
    """Write a snapshot and put it in force; the one that is in force already is left as it is.

    Args:
        folder: Where snapshots are.
        snapshot: What is known now.
        data_version: Of the store that it was made of.
        at: Now.

    Returns:
        Its sha256.
    """
    content = msgspec.json.encode(snapshot, order="sorted")
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{sha256}.json"
    if not path.is_file() or path.read_bytes() != content:
        replace_durably(path, content)
    current = _find_current(folder)
    if current is None or current.sha256 != sha256:
        made = Current(sha256=sha256, data_version=data_version, made_at=at)
        replace_durably(folder / CURRENT_FILE, msgspec.json.encode(made))
    return sha256


def read_current(folder: Path) -> tuple[str, Snapshot] | None:
    """Return the snapshot in force with its sha256; None before the first one.

    Raises:
        StoreError: It cannot be read, or its bytes have changed.
    """
    path = folder / CURRENT_FILE
    if not path.is_file():
        return None
    try:
        current = msgspec.json.decode(path.read_bytes(), type=Current)
    except (msgspec.DecodeError, OSError) as error:
        raise StoreError(
            f"what names the policies' snapshot cannot be read: {error}",
            path=path,
            remedy=_REMEDY,
        ) from error
    return current.sha256, read_snapshot(folder, current.sha256)


def read_snapshot(folder: Path, sha256: str) -> Snapshot:
    """Return a snapshot by its name.

    Args:
        folder: Where snapshots are.
        sha256: Its name.

    Raises:
        StoreError: It is missing, or its bytes are not those the name promises.
    """
    path = folder / f"{sha256}.json"
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StoreError("the snapshot's bytes have changed", path=path, remedy=_REMEDY)
        return msgspec.json.decode(content, type=Snapshot)
    except (msgspec.DecodeError, OSError) as error:
        message = f"a policies' snapshot cannot be read: {error}"
        raise StoreError(message, path=path, remedy=_REMEDY) from error


_REMEDY = "run `abp ingest`: it makes a new one out of what has landed"


def _find_current(folder: Path) -> Current | None:
    """Return what is in force; a file that cannot be read is as good as none: it is replaced."""
    try:
        return msgspec.json.decode((folder / CURRENT_FILE).read_bytes(), type=Current)
    except (msgspec.DecodeError, OSError):
        return None


def prior_of(snapshot: Snapshot, category: str | None) -> Prior:
    """Return what is believed of a new creative: by its category, the one above, or all."""
    priors: Mapping[str, Prior] = snapshot.priors
    path = category or OVERALL
    while path not in priors and path:
        path = path.rpartition("/")[0]
    return priors.get(path, _NOTHING_KNOWN)


_NOTHING_KNOWN: Final = Prior(clicks=1.0, misses=99.0)
