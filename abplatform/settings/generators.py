"""What abp.yaml says of drawing: which renderer, which prompt model, how promising a scene is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from abplatform.yaml_text.quantities import Share
from abplatform.yaml_text.shapes import Text
from abplatform.yaml_text.tables import Field, Table

__all__ = ["GENERATORS", "Generators"]


@dataclass(frozen=True, slots=True)
class Generators:
    """What draws where nobody says otherwise.

    Args:
        renderer: Draws scenes: ``studio``, ``photos:FOLDER``, ``diffusion`` ….
            A relative FOLDER is one of the workspace's.
        prompt_model: Writes scenes: ``families``, ``embedded``, or a model's folder or hub id.
        least_win: Where a reward model screens: the predicted chance to win over the product's
            baseline from which a scene is drawn, 0 … 1.
    """

    renderer: str = "studio"
    prompt_model: str = "families"
    least_win: float = 0.5

    def within(self, root: Path) -> Generators:
        """Return the same with a relative folder of photographs taken from a workspace's root."""
        kind, _, folder = self.renderer.partition(":")
        if kind != "photos" or not folder or folder.startswith("~"):
            return self
        return replace(self, renderer=f"photos:{root / folder}")


GENERATORS: Final = Table(
    make=Generators,
    fields=(
        Field("renderer", Text(max_length=1000), "What draws scenes, such as studio."),
        Field("prompt_model", Text(max_length=1000), "What writes scenes, such as families."),
        Field(
            "least_win",
            Share(maximum=1.0),
            "Predicted chance to win over the baseline from which a screened scene is drawn.",
        ),
    ),
)
"""The shape of ``generators``."""
