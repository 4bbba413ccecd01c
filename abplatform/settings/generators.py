"""What abp.yaml says of drawing: which renderer, which prompt model, how promising a scene is."""

from __future__ import annotations

from dataclasses import dataclass
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
        prompt_model: Writes scenes: ``families``, ``embedded``, or a model's folder or hub id.
        least_win: Where a reward model screens: the predicted chance to win over the product's
            baseline from which a scene is drawn, 0 … 1.
    """

    renderer: str = "studio"
    prompt_model: str = "families"
    least_win: float = 0.5


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
