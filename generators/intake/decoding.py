"""Image files of any kind → pixels, or the reason why not; nothing fills memory."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["PhotographRefused", "decode"]

LONGEST_SIDE = 1024
SMALLEST_SIDE = 24


class PhotographRefused(Exception):
    """A photograph cannot become a cut-out.

    Args:
        reason: A stable word such as ``empty_mask``.
        detail: The reason as a sentence.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def decode(data: bytes, name: str) -> Image.Image:
    """Decode a photograph, turned as the camera noted and at most 1,024 pixels long.

    Args:
        data: An image file's bytes; of an animation the first frame counts.
        name: What to call it in messages.

    Raises:
        PhotographRefused: It is unreadable, too large or too small.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data))
            image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PhotographRefused(
            "too_large", f"{name!r} has too many pixels; save it with at most 80 million"
        ) from None
    except UnidentifiedImageError:
        raise PhotographRefused(
            "unreadable_image", f"{name!r} is no image; save it as PNG, JPEG or WebP"
        ) from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise PhotographRefused(
            "unreadable_image", f"{name!r} is no readable image ({error}); save it again"
        ) from None
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = _eight_bit(image)
    if min(image.size) < SMALLEST_SIDE:
        raise PhotographRefused(
            "too_small", f"{name!r} is only {image.width} x {image.height} pixels"
        )
    return _shrink(image)


def _eight_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    top = 65535.0 if values.max() > 255 else 255.0 if values.max() > 1 else 1.0
    return Image.fromarray(np.clip(values / top * 255 + 0.5, 0, 255).astype(np.uint8))


def _shrink(image: Image.Image) -> Image.Image:
    scale = LONGEST_SIDE / max(image.size)
    if scale >= 1:
        return image
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if image.mode in {"1", "L", "LA", "RGB", "RGBA", "CMYK"}:
        return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image.convert("RGBA").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
