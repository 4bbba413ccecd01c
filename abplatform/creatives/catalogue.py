"""An advertiser's products: a folder with products.csv, or a CSV or Parquet file."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from abplatform.domain.catalog import Category, Product
from abplatform.errors import CatalogueError

__all__ = [
    "CATALOGUE_FILE",
    "Catalogue",
    "Refusal",
    "clean_title",
    "image_path",
    "read_catalogue",
    "read_categories",
]

CATALOGUE_FILE = "products.csv"
REQUIRED_COLUMNS = ("product_id", "image", "title", "category")
MAX_TITLE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Refusal:
    """A product that cannot be used, and why.

    Args:
        product_id: The product, or an empty string when the row names none.
        reason: A stable word such as ``no_category``.
        detail: The reason as a sentence.
        path: The file at fault.
        line: Its line, counted from 1; None for Parquet.
    """

    product_id: str
    reason: str
    detail: str
    path: str
    line: int | None = None

    def __str__(self) -> str:
        """Return ``file:line: sentence``."""
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """An advertiser's products.

    Args:
        path: The file they were read from.
        products: The usable ones, in the file's order.
        lines: product_id to the line of the file, where the format has lines.
        refused: The rows that cannot be used.
    """

    path: Path
    products: tuple[Product, ...]
    lines: Mapping[str, int]
    refused: tuple[Refusal, ...]


class _RowRefused(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue: a folder with products.csv, or a CSV or Parquet file.

    Args:
        path: The folder or file.

    Returns:
        The usable products, and the refused rows with file, line and reason.

    Raises:
        CatalogueError: The file is missing, has no product column, or holds no product at all.
    """
    file = path / CATALOGUE_FILE if path.is_dir() else path
    if not file.is_file():
        raise CatalogueError(
            "there is no catalogue here",
            path=file,
            remedy=f"put a {CATALOGUE_FILE} with {', '.join(REQUIRED_COLUMNS)} there",
        )
    products: dict[str, Product] = {}
    lines: dict[str, int] = {}
    refused: list[Refusal] = []
    for line, row in _rows(file):
        product_id = (row.get("product_id") or "").strip()
        try:
            product = _product(row, taken=products)
        except _RowRefused as why:
            refused.append(Refusal(product_id, why.reason, why.detail, str(file), line))
            continue
        products[product.product_id] = product
        if line is not None:
            lines[product.product_id] = line
    if not products and not refused:
        raise CatalogueError(
            "the catalogue is empty", path=file, remedy="add one row for each product"
        )
    return Catalogue(file, tuple(products.values()), lines, tuple(refused))


def read_categories(path: Path) -> frozenset[str]:
    """Return the category paths of a catalogue, also of products that cannot be used.

    Args:
        path: The folder or file.

    Raises:
        CatalogueError: The file is missing or has no product column.
    """
    found = set()
    for _, row in _rows(path / CATALOGUE_FILE if path.is_dir() else path):
        with contextlib.suppress(ValueError):
            found.add(_category(row).path)
    return frozenset(found)


def image_path(catalogue: Catalogue, product: Product) -> Path:
    """Return where a product's photograph lies."""
    return catalogue.path.parent / product.image


def _rows(file: Path) -> Iterator[tuple[int | None, Mapping[str, str]]]:
    if file.suffix.lower() == ".parquet":
        yield from _parquet_rows(file)
        return
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(
            f"the catalogue cannot be read: {error}", path=file, remedy="save it as UTF-8 CSV"
        ) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="")
    _check_columns(file, reader.fieldnames or ())
    last = 1
    try:
        for row in reader:
            first, last = last + 1, reader.line_num
            yield first, {key: value for key, value in row.items() if isinstance(value, str)}
    except csv.Error as error:
        raise CatalogueError(
            f"the catalogue is no CSV: {error}", path=file, line=reader.line_num
        ) from error


def _parquet_rows(file: Path) -> Iterator[tuple[None, Mapping[str, str]]]:
    import polars as pl

    try:
        table = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CatalogueError(
            f"the catalogue cannot be read: {error}", path=file, remedy="write it as Parquet"
        ) from error
    _check_columns(file, table.columns)
    for row in table.iter_rows(named=True):
        yield None, {key: _text(value) for key, value in row.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _check_columns(file: Path, columns: Iterable[str]) -> None:
    missing = [name for name in REQUIRED_COLUMNS if name not in set(columns)]
    if missing:
        raise CatalogueError(
            f"the catalogue lacks {', '.join(missing)}",
            path=file,
            line=1,
            remedy=f"name the columns {', '.join(REQUIRED_COLUMNS)}",
        )


def _product(row: Mapping[str, str], *, taken: Mapping[str, Product]) -> Product:
    product_id = (row.get("product_id") or "").strip()
    if not product_id:
        raise _RowRefused("no_product_id", "the row has no product_id")
    if product_id in taken:
        raise _RowRefused("duplicate_product", f"product {product_id!r} is there already")
    image = (row.get("image") or "").strip()
    if not image:
        raise _RowRefused("no_image", f"product {product_id!r} names no image")
    try:
        category = _category(row)
    except ValueError:
        raise _RowRefused(
            "no_category",
            f"product {product_id!r} has no category; write a path such as beauty/lip",
        ) from None
    return Product(
        product_id=product_id,
        title=clean_title(row.get("title") or "") or product_id,
        category=category,
        image=image,
        attributes=_attributes(product_id, row.get("attributes") or ""),
        price=_number(product_id, "price", row),
        currency=(row.get("currency") or "").strip() or None,
        rating=_number(product_id, "rating", row),
        orders=_count(product_id, "orders", row),
        language=(row.get("language") or "").strip() or None,
    )


def _category(row: Mapping[str, str]) -> Category:
    return Category("/".join(part.strip() for part in (row.get("category") or "").split("/")))


def clean_title(title: str) -> str:
    """Keep a title's visible characters on one line, at most 300 of them.

    Control, format (zero-width, bidirectional) and unassigned characters go: a title is data.
    """
    spaced = "".join(" " if character.isspace() else character for character in title)
    visible = (
        character for character in spaced if unicodedata.category(character) not in _INVISIBLE
    )
    return " ".join("".join(visible).split())[:MAX_TITLE_CHARACTERS]


_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def _attributes(product_id: str, text: str) -> dict[str, str]:
    if not text.strip():
        return {}
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise _RowRefused(
            "bad_attributes", f"attributes of {product_id!r} are no JSON: {error}"
        ) from None
    if not isinstance(data, dict):
        raise _RowRefused("bad_attributes", f"attributes of {product_id!r} are no JSON object")
    return {
        str(key): value if isinstance(value, str) else _text(value) for key, value in data.items()
    }


def _number(product_id: str, column: str, row: Mapping[str, str]) -> float | None:
    text = (row.get(column) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise _RowRefused(f"bad_{column}", f"{column} of {product_id!r} is no number: {text!r}")
    return value


def _count(product_id: str, column: str, row: Mapping[str, str]) -> int | None:
    value = _number(product_id, column, row)
    return None if value is None else int(value)
