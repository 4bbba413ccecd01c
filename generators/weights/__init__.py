"""The small models that come with the wheel: one folder each, listed in manifest.json."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from abplatform.checkpoints.pretrained import CheckedFolder, check_folder
from abplatform.errors import CheckpointError

__all__ = ["MANIFEST", "embedded", "write_weights_manifest"]

MANIFEST = "manifest.json"
"""Model name to the sha256 of its folder."""

_HERE = Path(__file__).parent


@cache
def embedded(name: str) -> CheckedFolder:
    """Return a model that comes with the wheel.

    Args:
        name: Its folder, such as ``diffusion``.

    Raises:
        CheckpointError: It is missing, or not the one that the manifest lists.
    """
    listed: dict[str, str] = json.loads((_HERE / MANIFEST).read_text("utf-8"))
    if name not in listed or not (_HERE / name).is_dir():
        raise CheckpointError(
            f"the embedded model {name!r} is missing",
            path=_HERE,
            remedy="install abplatform again, or train it with `make weights`",
        )
    return check_folder(_HERE / name, sha256=listed[name])


def write_weights_manifest(root: Path) -> dict[str, str]:
    """List every model's folder below a root with its hash, as ``make weights`` does at its end.

    Returns:
        Name to sha256.
    """
    found = {
        folder.name: check_folder(folder).sha256
        for folder in sorted(root.iterdir())
        if folder.is_dir() and any(folder.rglob("*.safetensors"))
    }
    text = json.dumps(found, indent=2, sort_keys=True) + "\n"
    (root / MANIFEST).write_text(text, encoding="utf-8")
    return found
