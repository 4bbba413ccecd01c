"""Versions: folders of files, named by what they hold, whole or refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from abplatform.durable import replace_durably, sync_file, sync_folder
from abplatform.errors import CheckpointError

__all__ = [
    "MANIFEST",
    "Checkpoint",
    "list_checkpoints",
    "mend",
    "names",
    "pretty",
    "read_folder",
    "save_checkpoint",
    "write_manifest",
]

MANIFEST = "manifest.json"

_FORMAT = "abplatform-checkpoint/1"
_ALLOWED = {".safetensors", ".onnx", ".json", ".txt"}
_BLOCK_BYTES = 1 << 20
_MENDED = {
    "reward": "use another version (`abp reward list`, `abp reward rollback`) or train it again",
    "effect": "train it again with `abp reward effects --out`",
    "inspector": "learn it anew with `abp creatives learn`",
}
"""Kind to what helps when a version of it cannot be used."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One model version whose files are known to be intact.

    Args:
        sha256: Its name.
        kind: What it is, such as ``reward``.
        folder: Where its files are.
        files: File name to sha256.
        metadata: What its maker said about it; part of its name.
        created_at: When it was first saved, ISO 8601.
    """

    sha256: str
    kind: str
    folder: Path
    files: Mapping[str, str]
    metadata: Mapping[str, Any]
    created_at: str

    def file(self, name: str) -> Path:
        """Return the path of one of its files.

        Raises:
            CheckpointError: It has no such file.
        """
        if name not in self.files:
            raise CheckpointError(
                f"the {self.kind} checkpoint has no file {name}",
                path=self.folder,
                remedy="train or save the model again",
            )
        return self.folder / name


def write_manifest(
    folder: Path, *, kind: str, metadata: Mapping[str, Any], created_at: datetime
) -> Checkpoint:
    """Seal a folder of finished files by writing its manifest.

    Args:
        folder: Holds the files; every one of them becomes part of the version.
        kind: What it is, such as ``reward``.
        metadata: JSON data about it; part of its name, so without times and durations.
        created_at: Now, with a time zone.

    Raises:
        CheckpointError: A file is no safetensors, ONNX, JSON or text, or there is no file.
    """
    files = _hash_files(folder, kind)
    plain = _plain(metadata, folder)
    checkpoint = Checkpoint(
        sha256=_identity(kind, files, plain),
        kind=kind,
        folder=folder,
        files=files,
        metadata=plain,
        created_at=created_at.isoformat(),
    )
    manifest = {
        "format": _FORMAT,
        "sha256": checkpoint.sha256,
        "kind": kind,
        "files": files,
        "metadata": plain,
        "created_at": checkpoint.created_at,
    }
    replace_durably(folder / MANIFEST, pretty(manifest))
    return checkpoint


def read_folder(folder: Path, *, kind: str) -> Checkpoint:
    """Read a checkpoint's folder wherever it lies, hashing every file again.

    Raises:
        CheckpointError: It is missing, of another kind, not ours, or not what was saved.
    """
    manifest = _read_manifest(folder)
    if manifest["kind"] != kind:
        raise CheckpointError(
            f"this is a {manifest['kind']} checkpoint where a {kind} checkpoint is needed",
            path=folder,
            remedy=f"name a {kind} checkpoint",
        )
    declared, found = manifest["files"], _hash_files(folder, kind)
    for name in sorted(declared.keys() | found.keys()):
        if declared.get(name) != found.get(name):
            problem = "missing" if name not in found else "foreign" if name not in declared else ""
            raise CheckpointError(
                f"{name} is {problem or 'corrupt: its sha256 is not the one in the manifest'}",
                path=folder,
                remedy=mend(kind),
            )
    sha256 = _identity(kind, found, manifest["metadata"])
    if sha256 != manifest["sha256"]:
        raise CheckpointError(
            f"{MANIFEST} was changed after the checkpoint was saved",
            path=folder,
            remedy=mend(kind),
        )
    return Checkpoint(sha256, kind, folder, found, manifest["metadata"], manifest["created_at"])


def mend(kind: str) -> str:
    """Return what helps when a version of a kind cannot be used, as a remedy's words."""
    return _MENDED.get(kind, "use another version or train this one again")


def save_checkpoint(
    root: Path, folder: Path, *, kind: str, metadata: Mapping[str, Any], created_at: datetime
) -> Checkpoint:
    """Copy a folder of files into the store, under the name of what it holds.

    Saving the same version again changes nothing; a stored copy that is damaged is replaced.

    Raises:
        CheckpointError: A file is no safetensors, ONNX, JSON or text, or there is no file.
    """
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".saving-", dir=root))
    try:
        for name in _hash_files(folder, kind):
            shutil.copyfile(folder / name, draft / name)
            sync_file(draft / name)
        checkpoint = write_manifest(draft, kind=kind, metadata=metadata, created_at=created_at)
        target = root / checkpoint.sha256
        try:
            return read_folder(target, kind=kind)
        except CheckpointError:
            shutil.rmtree(target, ignore_errors=True)
        draft.chmod(0o755)
        draft.rename(target)
        sync_folder(root)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return read_folder(target, kind=kind)


def list_checkpoints(root: Path, *, kind: str | None = None) -> list[Checkpoint]:
    """Return every intact version, oldest first; damaged ones are left out."""
    found = []
    for name in names(root):
        try:
            checkpoint = read_folder(root / name, kind=kind or _read_manifest(root / name)["kind"])
        except CheckpointError:
            continue
        found.append(checkpoint)
    return sorted(found, key=lambda one: (one.created_at, one.sha256))


def names(root: Path) -> list[str]:
    """Return the names of all versions, damaged ones included, sorted."""
    return sorted(path.name for path in root.glob("[0-9a-f]" * 64) if path.is_dir())


def pretty(data: Mapping[str, Any]) -> bytes:
    """Return data as JSON that people can read."""
    return (json.dumps(data, indent=2, sort_keys=True) + "\n").encode()


def _identity(kind: str, files: Mapping[str, str], metadata: Mapping[str, Any]) -> str:
    facts = {"format": _FORMAT, "kind": kind, "files": files, "metadata": metadata}
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(metadata: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the metadata as it will be read back, so that its hash is the same then."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(metadata, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"the metadata is no JSON: {error}", path=folder, remedy="hand in plain JSON data"
        ) from error
    return plain


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    remedy = "name a folder that was saved as a checkpoint, or a version in the store"
    if not path.is_file():
        raise CheckpointError(
            f"no checkpoint here: {MANIFEST} is missing", path=path, remedy=remedy
        )
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise CheckpointError(
            f"{MANIFEST} is corrupt: {error}", path=path, remedy=remedy
        ) from error
    wanted = {"format", "sha256", "kind", "files", "metadata", "created_at"}
    if (
        not isinstance(manifest, dict)
        or manifest.get("format") != _FORMAT
        or wanted - set(manifest)
    ):
        raise CheckpointError("a foreign manifest, not abplatform's", path=path, remedy=remedy)
    return manifest


def _hash_files(folder: Path, kind: str) -> dict[str, str]:
    if not folder.is_dir():
        raise CheckpointError(
            "no such checkpoint folder", path=folder, remedy="name a folder that exists"
        )
    hashes = {}
    for path in sorted(folder.iterdir()):
        if path.name == MANIFEST:
            continue
        if path.suffix not in _ALLOWED or path.is_symlink() or not path.is_file():
            raise CheckpointError(
                f"{path.name} is refused: a checkpoint holds .safetensors, .onnx, .json and .txt",
                path=folder,
                remedy="save weights as safetensors; pickled weights can run code when read",
            )
        if path.suffix == ".safetensors":
            _check_safetensors(path, kind)
        hashes[path.name] = _sha256(path)
    if not hashes:
        raise CheckpointError("the folder holds no weights", path=folder, remedy="train the model")
    return hashes


def _check_safetensors(path: Path, kind: str) -> None:
    """Refuse a file that only carries the name: 8 bytes of length, then a JSON header."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(1)
    if header != b"{" or length + 8 > path.stat().st_size:
        raise CheckpointError(
            f"{path.name} is corrupt or no safetensors file",
            path=path.parent,
            remedy=mend(kind),
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
