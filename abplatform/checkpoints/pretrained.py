"""Real models' checkpoints: found by folder or hub id, and checked before anything reads them.

What is refused: pickled weights (reading them can run code), checkpoints that bring their own
Python (``auto_map``, custom pipelines), and bytes whose hash is not the one that was asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors import SafetensorError

from abplatform.errors import CheckpointError

__all__ = ["UNREADABLE", "CheckedFolder", "check_folder", "find_checkpoint"]

UNREADABLE: Final = (
    ImportError,
    KeyError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
)
"""What transformers raises where a checked folder holds no whole model of the wanted kind."""

PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
READ = frozenset({".safetensors", ".json", ".txt", ".model", ".jinja"})
"""What a model is made of; pictures and descriptions beside it are not read and not hashed."""

_BLOCK_BYTES = 1 << 20
_LIST_BYTES = 1 << 24
"""JSON beyond 16 MiB is a vocabulary, not a configuration."""


@dataclass(frozen=True, slots=True)
class CheckedFolder:
    """A model's folder that may be read.

    Args:
        folder: Where it lies.
        sha256: Over the names and hashes of all files that make the model.
    """

    folder: Path
    sha256: str


def find_checkpoint(named: str, *, kind: str) -> CheckedFolder:
    """Find a model by folder or hub id and check it.

    Args:
        named: A folder, or a hub id such as ``llava-hf/llava-1.5-7b-hf``; ``@<sha256>`` at its
            end pins the bytes.
        kind: What is wanted, for messages: ``diffusion model``, ``prompt model`` …

    Raises:
        CheckpointError: There is none, or it is refused.
    """
    place, _, pinned = named.partition("@")
    folder = Path(place).expanduser()
    if not folder.is_dir():
        folder = _from_hub(place, kind)
    return check_folder(folder, sha256=pinned or None)


def check_folder(folder: Path, *, sha256: str | None = None) -> CheckedFolder:
    """Check that a model's folder can be read without running any code of its own.

    Args:
        folder: With weights as safetensors, in it or in folders below.
        sha256: What its hash has to be; None takes any.

    Raises:
        CheckpointError: It holds no safetensors, only pickled weights, or its own Python; or its
            hash is another one.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    _refuse_pickles(folder, files)
    for path in files:
        if path.suffix == ".py":
            raise _own_code(path, path.name)
        if path.suffix == ".json" and path.stat().st_size < _LIST_BYTES:
            _refuse_own_code(path)
    if not any(path.suffix == ".safetensors" for path in files):
        raise CheckpointError(
            "the folder holds no weights as safetensors",
            path=folder,
            remedy="name a folder that `save_pretrained` wrote",
        )
    found = _hash(folder, files)
    if sha256 is not None and found != sha256:
        raise CheckpointError(
            f"the checkpoint's sha256 is {found}, not {sha256}",
            path=folder,
            remedy="fetch it again from where it was published, or name the hash that you trust",
        )
    return CheckedFolder(folder, found)


def _from_hub(name: str, kind: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(name, allow_patterns=[f"*{suffix}" for suffix in sorted(READ)])
        )
    except (HFValidationError, LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise CheckpointError(
            f"no {kind} {name!r}: there is no such folder, and the hub did not give it "
            f"({type(error).__name__})",
            remedy="name a folder that exists, or a hub id while the network is there",
        ) from error


def _refuse_pickles(folder: Path, files: list[Path]) -> None:
    safe = {path.parent for path in files if path.suffix == ".safetensors"}
    for path in files:
        if path.suffix in PICKLED and path.parent not in safe:
            raise CheckpointError(
                f"{path.relative_to(folder)} is refused: pickled weights can run code when read",
                path=folder,
                remedy="save the model as safetensors (`save_pretrained` does)",
            )


def _refuse_own_code(path: Path) -> None:
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} is no JSON: {error}", path=path) from error
    if any(key in {"auto_map", "custom_pipelines"} for key in _keys(data)):
        raise _own_code(path, "auto_map")


def _keys(data: object) -> Iterator[str]:
    """Every key of nested objects; configurations are shallow, vocabularies flat."""
    waiting = [data]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield from node
            waiting += [value for value in node.values() if isinstance(value, dict | list)]
        elif isinstance(node, list):
            waiting += [value for value in node if isinstance(value, dict | list)]


def _own_code(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{what} asks to run the checkpoint's own Python, which is never done",
        path=path,
        remedy="use a checkpoint of a class that transformers or diffusers brings",
    )


def _hash(folder: Path, files: list[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        if path.suffix not in READ:
            continue
        part = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                part.update(block)
        name = path.relative_to(folder).as_posix()
        whole.update(f"{name}\0{part.hexdigest()}\n".encode())
    return whole.hexdigest()
