"""How a checkpoint wants to be asked: painting.json beside its model_index.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from abplatform.errors import CheckpointError
from generators.scene import Scene

__all__ = ["Manner", "read_manner", "write_manner"]

FILE = "painting.json"


@dataclass(frozen=True, slots=True)
class Manner:
    """How a model is asked to paint; the defaults are CAIG's.

    Args:
        words: ``prose`` for models that read English, ``phrases`` for those that learned scenes'
            text form.
        steps: Denoising steps.
        guidance: How much more the prompt counts than none (classifier-free guidance).
    """

    words: Literal["prose", "phrases"] = "prose"
    steps: int = 30
    guidance: float = 7.5

    def prompt(self, scene: Scene) -> str:
        """Say a scene in the words that the model reads."""
        return scene.to_text() if self.words == "phrases" else scene.to_prose()


def read_manner(folder: Path) -> Manner:
    """Read how a checkpoint wants to be asked; the defaults where it says nothing.

    Raises:
        CheckpointError: The file says something else than it may.
    """
    path = folder / FILE
    if not path.is_file():
        return Manner()
    try:
        manner = Manner(**json.loads(path.read_bytes()))
        wrong = _what_is_wrong(manner)
    except (TypeError, ValueError) as error:
        wrong = str(error)
    if wrong:
        known = ", ".join(field.name for field in fields(Manner))
        raise CheckpointError(
            f"{FILE} cannot be used: {wrong}", path=path, remedy=f"it may say {known}"
        )
    return manner


def _what_is_wrong(manner: Manner) -> str:
    if manner.words not in {"prose", "phrases"}:
        return f"words is {manner.words!r}, neither prose nor phrases"
    if not 1 <= int(manner.steps) <= 1000:
        return f"steps is {manner.steps}, not 1 to 1000"
    if not 0 <= float(manner.guidance) <= 100:
        return f"guidance is {manner.guidance}, not 0 to 100"
    return ""


def write_manner(folder: Path, manner: Manner) -> None:
    """Write how a checkpoint wants to be asked."""
    (folder / FILE).write_text(json.dumps(asdict(manner), indent=2) + "\n", encoding="utf-8")
