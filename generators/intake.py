"""Product photographs → cut-outs: from transparency, else from a white background."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from abplatform.creatives import Catalogue, Refusal, image_path, read_catalogue
from abplatform.domain.catalog import Product
from generators.arrays import Pixels, Plane

__all__ = ["Intake", "PhotographRefused", "ReadyProduct", "cut_out", "read_products"]

LONGEST_SIDE = 1024
SMALLEST_SIDE = 24
SMALLEST_SHARE = 0.004
"""Share of the photograph that a product must cover, else its mask counts as empty."""


@dataclass(frozen=True, slots=True)
class ReadyProduct:
    """A product with its cut-out.

    Args:
        product: What the catalogue says.
        cutout: uint8, height x width x 4, cropped to the product.
        image_sha256: Of the photograph's file.
        mask: How the cut-out was found: ``alpha`` or ``white background``.
    """

    product: Product
    cutout: Pixels
    image_sha256: str
    mask: str = "alpha"


@dataclass(frozen=True, slots=True)
class Intake:
    """What came out of a catalogue.

    Args:
        ready: Products that can be drawn, in the catalogue's order.
        refused: Products that cannot, with file, line and reason.
    """

    ready: tuple[ReadyProduct, ...]
    refused: tuple[Refusal, ...]


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


def read_products(path: Path) -> Intake:
    """Read a catalogue and cut out every product.

    Args:
        path: A folder with products.csv, or a CSV or Parquet file.

    Raises:
        CatalogueError: The catalogue cannot be read or is empty.
    """
    catalogue = read_catalogue(path)
    ready: list[ReadyProduct] = []
    refused = list(catalogue.refused)
    for product in catalogue.products:
        try:
            ready.append(_prepare(catalogue, product))
        except PhotographRefused as why:
            refused.append(
                Refusal(
                    product.product_id,
                    why.reason,
                    why.detail,
                    str(catalogue.path),
                    catalogue.lines.get(product.product_id),
                )
            )
    return Intake(tuple(ready), tuple(sorted(refused, key=lambda refusal: refusal.line or 0)))


def _prepare(catalogue: Catalogue, product: Product) -> ReadyProduct:
    path = image_path(catalogue, product)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PhotographRefused(
            "missing_image",
            f"the image {product.image!r} cannot be opened: {error.strerror}; check its path",
        ) from None
    cutout, mask = cut_out(data, name=product.image)
    return ReadyProduct(product, cutout, hashlib.sha256(data).hexdigest(), mask)


def cut_out(data: bytes, *, name: str = "the image") -> tuple[Pixels, str]:
    """Cut a product out of its photograph.

    Args:
        data: The bytes of an image file in any mode that Pillow reads.
        name: What to call it in messages.

    Returns:
        uint8 RGBA cropped to the product, and how the mask was found.

    Raises:
        PhotographRefused: It is unreadable, too large, or no product can be told from it.
    """
    image = _decode(data, name)
    pixels = np.asarray(image.convert("RGBA"))
    if pixels[..., 3].min() < 250:
        mask = "alpha"
        pixels = _without_shadow(pixels)
    else:
        mask = "white background"
        pixels = _from_white(pixels[..., :3], name)
    return _crop(pixels, name), mask


def _decode(data: bytes, name: str) -> Image.Image:
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


def _without_shadow(pixels: Pixels) -> Pixels:
    """Take out a soft dark shadow that the photograph carries under its product."""
    alpha = pixels[..., 3]
    solid = alpha >= 200
    if not solid.any():
        return pixels
    near = ndimage.binary_dilation(solid, iterations=3)
    brightness = pixels[..., :3].max(axis=2)
    shadow = ~near & (alpha < 200) & (brightness < 90)
    cleaned = pixels.copy()
    cleaned[shadow, 3] = 0
    return cleaned


def _from_white(rgb: Pixels, name: str) -> Pixels:
    colours = rgb.astype(np.float32)
    border = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    paper = np.median(border, axis=0)
    distance: Plane = np.abs(colours - paper).max(axis=2)
    even = float((np.abs(border - paper).max(axis=1) < 24).mean())
    if paper.min() < 215 or even < 0.6:
        raise PhotographRefused(
            "no_cutout",
            f"{name!r} has neither transparency nor a white background; cut the product out",
        )
    outside = _flood(colours, distance, noise=float(np.median(np.abs(border - paper))))
    inside = ndimage.binary_opening(~outside, iterations=1)
    rim = inside & ndimage.binary_dilation(~inside, iterations=2)
    alpha = inside.astype(np.float32)
    alpha[rim] = np.clip((distance[rim] - 6) / 50, 0, 1)
    # what a rim pixel shows is product mixed with paper: take the paper out
    share = np.maximum(alpha, 0.15)[..., None]
    pure = np.where(rim[..., None], (colours - (1 - share) * paper) / share, colours)
    return np.dstack([np.clip(pure + 0.5, 0, 255), alpha * 255 + 0.5]).astype(np.uint8)


def _flood(colours: Plane, distance: Plane, *, noise: float) -> Pixels:
    """What is paper or its soft grey shadow, and joined to the photograph's border.

    Gaps narrower than five pixels do not let the flood in: a white product on white paper often
    has an outline with holes.
    """
    grey = np.ptp(colours, axis=2) < 14
    paperlike = distance < np.clip(6.0 + 4.0 * noise, 6.0, 18.0)
    paperlike |= grey & (distance < 46) & (_slope(distance) < 2.5)
    wide = ndimage.binary_erosion(paperlike, iterations=2, border_value=True)
    edges = np.zeros(distance.shape, dtype=bool)
    edges[0], edges[-1], edges[:, 0], edges[:, -1] = True, True, True, True
    outside = ndimage.binary_propagation(edges & wide, mask=wide)
    outside = ndimage.binary_dilation(outside, iterations=2) & paperlike
    # compression leaves a fringe of nearly white specks along an outline: take a thin rim more
    fringe = (distance < 30) | (grey & (distance < 60))
    outside = ndimage.binary_dilation(outside, iterations=4, mask=fringe | outside)
    ringing = fringe & (_slope(distance) > 0.4)
    return np.asarray(ndimage.binary_dilation(outside, iterations=6, mask=ringing | outside))


def _slope(plane: Plane) -> Plane:
    smooth = ndimage.uniform_filter(plane, 3)
    return np.hypot(ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1)) / 4


def _crop(pixels: Pixels, name: str) -> Pixels:
    alpha = pixels[..., 3]
    solid = alpha >= 128
    if solid.mean() < SMALLEST_SHARE:
        raise PhotographRefused("empty_mask", f"no product can be told from {name!r}")
    rows = np.flatnonzero((alpha > 12).any(axis=1))
    columns = np.flatnonzero((alpha > 12).any(axis=0))
    return np.ascontiguousarray(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
