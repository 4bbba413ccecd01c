"""Open-NSFW (Yahoo, 2016): how likely a picture shows nudity, where its weights are at hand.

The weights come in a package (``abplatform.checkpoints.carried``) and run on onnxruntime; without
either of them nothing is looked for, and the inspector's name says so.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from abplatform.checkpoints.carried import carried_file
from generators.arrays import Pixels

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["can_see_nudity", "nudity"]

SIDE = 224
_MEANS = np.array([104.0, 117.0, 123.0], dtype=np.float32)
"""Of blue, green and red, which the network was trained to have taken off."""


@cache
def can_see_nudity() -> bool:
    """Tell whether the model and what runs it are installed."""
    return find_spec("onnxruntime") is not None and carried_file("open-nsfw") is not None


def nudity(pixels: Pixels) -> float:
    """Return the probability that a picture is not safe for work.

    Args:
        pixels: uint8, height x width x 3.

    Raises:
        CheckpointError: The weights are not those that are known.
    """
    # the whole picture, not its middle: what is at the border is shown too
    small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    planes = np.asarray(small, dtype=np.float32)[None, ..., ::-1] - _MEANS
    answer = _session().run(None, {"input:0": np.ascontiguousarray(planes)})[0]
    return float(answer[0, 1])


@cache
def _session() -> InferenceSession:
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = 1  # several processes draw side by side
    options.log_severity_level = 3
    path = str(carried_file("open-nsfw"))
    return InferenceSession(path, options, providers=["CPUExecutionProvider"])
