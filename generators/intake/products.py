"""A catalogue's products with their cut-outs, and those that cannot be used with the reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from abplatform.creatives import Catalogue, Refusal, image_path, read_catalogue
from abplatform.domain.catalog import Product
from generators.arrays import Pixels
from generators.intake.cutting import cut_out
from generators.intake.decoding import PhotographRefused

__all__ = ["Intake", "ReadyProduct", "read_products"]


@dataclass(frozen=True, slots=True)
class ReadyProduct:
    """A product with its cut-out.

    Args:
        product: What the catalogue says.
        cutout: uint8, height x width x 4, cropped to the product.
        image_sha256: Of the photograph's file.
        mask: How the cut-out was found: ``alpha``, ``white background`` or ``salient object``.
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
