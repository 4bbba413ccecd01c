"""What is written on a picture, counted: boxes, characters, digits, prices.

Read by PP-OCRv6 (Apache-2.0) as RapidOCR's wheel carries it, through ONNX; nothing is fetched. It
comes with the extra ``ocr``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from abplatform.errors import NotInstalled

__all__ = ["LETTERING", "can_read", "lettering", "read_boxes"]

LETTERING: Final = (
    "text boxes",
    "share of the area",
    "height",
    "confidence",
    "characters",
    "share of digits",
    "currency or percent",
)
"""What ``lettering`` returns, by column."""


def can_read() -> bool:
    """Whether what reads pictures is installed."""
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def lettering(pixels: NDArray[np.uint8]) -> list[float]:
    """Return what is written on a picture in the columns of ``LETTERING``.

    Height is where the boxes' middle lies, by their area, from 0 (top) to 1; 0.5 without any text.

    Args:
        pixels: H x W x 3.

    Raises:
        NotInstalled: What reads it is missing.
    """
    boxes, texts, sure = read_boxes(pixels)
    height, width = pixels.shape[:2]
    areas = np.array([_area(box) for box in boxes])
    middles = np.array([box[:, 1].mean() for box in boxes])
    seen = areas.sum() > 0
    letters = "".join("".join(text.split()) for text in texts)
    digits = sum(letter.isdigit() for letter in letters)
    priced = any(letter in "%\uff05" or unicodedata.category(letter) == "Sc" for letter in letters)
    return [
        float(len(boxes)),
        min(1.0, float(areas.sum()) / (height * width)),
        float((areas * middles).sum() / areas.sum() / height) if seen else 0.5,
        float(np.mean(sure)) if boxes else 0.0,
        float(len(letters)),
        digits / max(1, len(letters)),
        float(priced),
    ]


def read_boxes(
    pixels: NDArray[np.uint8],
) -> tuple[list[NDArray[np.float64]], Sequence[str], Sequence[float]]:
    """Return corners (4 x 2, x and y in pixels), characters and confidence of each text.

    Raises:
        NotInstalled: What reads it is missing.
    """
    found = _reader()(Image.fromarray(pixels))
    if found.boxes is None or found.txts is None:
        return [], [], []
    return [np.asarray(box, np.float64) for box in found.boxes], found.txts, found.scores


@cache
def _reader() -> Any:
    if not can_read():
        raise NotInstalled("rapidocr", extra="ocr")
    from rapidocr import RapidOCR

    # advertisements stand upright, so nothing asks whether a text stands on its head
    return RapidOCR(params={"Global.log_level": "error", "Global.use_cls": False})


def _area(box: NDArray[np.float64]) -> float:
    """Return a quadrangle's area (4 x 2) by the shoelace formula."""
    x, y = box.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
