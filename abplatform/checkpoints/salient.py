"""What stands out in a picture: U²-Net-p (Qin et al. 2020, arXiv 2005.09007) through ONNX.

The 4.6 MB of weights are carried by a package (``abplatform.checkpoints.carried``).
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from abplatform.checkpoints.carried import carried_file

__all__ = ["can_find_salient", "salient_mask"]

_SIDE = 320
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def can_find_salient() -> bool:
    """Tell whether weights and runtime are there."""
    return find_spec("onnxruntime") is not None and carried_file("u2netp") is not None


def salient_mask(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how salient every pixel is, 0 … 1, of the photograph's size."""
    image = Image.fromarray(rgb)
    small = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), np.float32)
    scaled = (small / max(float(small.max()), 1e-6) - _MEAN) / _DEVIATION
    session = _session()
    name = session.get_inputs()[0].name
    found = session.run(None, {name: scaled.transpose(2, 0, 1)[None].astype(np.float32)})[0][0, 0]
    low, high = float(found.min()), float(found.max())
    mask = (found - low) / max(high - low, 1e-6)
    sized = Image.fromarray(mask).resize(image.size, Image.Resampling.BICUBIC)
    return np.asarray(np.clip(np.asarray(sized), 0.0, 1.0))


@cache
def _session() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # several processes cut out at once
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(carried_file("u2netp")), options, providers=["CPUExecutionProvider"]
    )
