"""Unit ids become pseudonyms before anything is written: HMAC-SHA256 under the team's own key.

The key lies outside the data tree and is fixed for a workspace: ``data/landing/privacy.json`` holds
its fingerprint from the first event on. With another key, one unit would become two; without it,
raw ids would stand beside pseudonyms.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from abplatform.durable import replace_durably
from abplatform.errors import WorkspaceError
from abplatform.workspace import SETTINGS_FILE, Workspace

__all__ = ["Pseudonyms", "pseudonyms_of"]

_SHORTEST_KEY: Final = 32
_KEPT: Final = 1 << 20
"""Distinct units whose pseudonyms are remembered: they come again and again."""


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Makes pseudonyms of unit ids.

    Args:
        key: The secret.
    """

    key: bytes = field(repr=False)
    _known: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def fingerprint(self) -> str:
        """What tells keys apart without giving them away."""
        return self.tag(b"abplatform: the key's fingerprint")[:32]

    def tag(self, content: bytes) -> str:
        """Return the HMAC-SHA256 of some bytes as 64 hex digits."""
        return hmac.digest(self.key, content, "sha256").hex()

    def stored(self, unit_id: str) -> str:
        """Return the id under which a unit is stored: 64 hex digits."""
        found = self._known.get(unit_id)
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            # Half a surrogate pair cannot be encoded otherwise; it cannot be an id either.
            found = self._known[unit_id] = self.tag(unit_id.encode("utf-8", "surrogatepass"))
        return found


def pseudonyms_of(workspace: Workspace) -> Pseudonyms | None:
    """Return what makes pseudonyms in a workspace, or None where ids land as they come.

    The first call with a key, before anything has landed, fixes it for good.

    Raises:
        WorkspaceError: The key cannot be used, is another than before, came after the first log,
            or is gone from abp.yaml.
    """
    key_file = workspace.settings.privacy.key_file
    stamp = _read_stamp(workspace)
    if key_file is None:
        if stamp is None:
            return None
        raise WorkspaceError(
            "the units of this workspace are pseudonyms, and abp.yaml names no key for them",
            path=workspace.root / SETTINGS_FILE,
            remedy="put back privacy: {pseudonyms: {key_file: …}} with the key of the first log",
        )
    pseudonyms = Pseudonyms(_read_key(workspace, key_file))
    if stamp is None:
        _fix(workspace, pseudonyms)
    elif stamp != pseudonyms.fingerprint:
        raise WorkspaceError(
            "this is not the key with which the units of this workspace became pseudonyms",
            path=_key_path(workspace, key_file),
            remedy="bring back that key: with another one, every unit would become two",
        )
    return pseudonyms


def _key_path(workspace: Workspace, key_file: str) -> Path:
    return workspace.root / Path(key_file).expanduser()


def _read_key(workspace: Workspace, key_file: str) -> bytes:
    path = _key_path(workspace, key_file).resolve()
    if path.is_relative_to(workspace.data.resolve()):
        raise WorkspaceError(
            "the key of the pseudonyms lies among the data that it protects",
            path=path,
            remedy="move it out of `data/`, best out of the workspace",
        )
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise WorkspaceError(
            f"the key of the pseudonyms cannot be read: {error.strerror}",
            path=path,
            remedy="make one with `openssl rand -hex 32 > FILE` and keep a copy in a safe place",
        ) from None
    if len(key) < _SHORTEST_KEY:
        raise WorkspaceError(
            f"the key of the pseudonyms has {len(key)} bytes, and {_SHORTEST_KEY} are needed",
            path=path,
            remedy="make one with `openssl rand -hex 32`",
        )
    return key


def _stamp_path(workspace: Workspace) -> Path:
    return workspace.landing / "privacy.json"


def _read_stamp(workspace: Workspace) -> str | None:
    path = _stamp_path(workspace)
    try:
        fingerprint: str = json.loads(path.read_bytes())["pseudonyms"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, OSError) as error:
        raise WorkspaceError(
            f"what says how units are stored cannot be read: {error}",
            path=path,
            remedy="bring it back from a backup",
        ) from None
    return fingerprint


def _fix(workspace: Workspace, pseudonyms: Pseudonyms) -> None:
    if any(workspace.landing.glob("*/*/*/*.*")):
        raise WorkspaceError(
            "pseudonyms were turned on after logs had landed, which hold raw ids",
            path=workspace.root / SETTINGS_FILE,
            remedy="take privacy.pseudonyms out again, or begin a new workspace and ingest the "
            "logs there",
        )
    stamp = {"pseudonyms": pseudonyms.fingerprint}
    replace_durably(_stamp_path(workspace), json.dumps(stamp).encode())
