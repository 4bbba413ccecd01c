"""Preference pairs from Parquet, checked, as arrays; split by what belongs together.

An *item* is what the model scores: one creative of one product. A pair points at two items.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from abplatform.errors import TrainingError

__all__ = ["Item", "PairTable", "deal_folds", "join_tables", "read_pairs", "table_from_frame"]

_REQUIRED = ("pair_id", "product_id", "category", "chosen_creative", "rejected_creative", "p_win")
_OPTIONAL = ("experiment", "week", "title", "attributes", "segment")
_CONTENT = ("chosen_image", "rejected_image", "chosen_text", "rejected_text")
_COUNTS = ("impressions_chosen", "clicks_chosen", "impressions_rejected", "clicks_rejected")
_ROUNDING = 1e-9
_ITEM = ("creative", "image", "text", "product_id", "title", "category", "attributes", "segment")


@dataclass(frozen=True, slots=True)
class Item:
    """One creative of one product, as the model sees it; unknown facts are empty strings.

    Args:
        creative: Its name in the logs.
        image: sha256 of its picture's bytes.
        text: Its ad text.
        product_id: The product it advertises.
        title: That product's title.
        category: That product's path in the taxonomy.
        attributes: That product's facts as a JSON object.
        segment: The audience that it was shown to; empty for everyone.
    """

    creative: str
    image: str
    text: str
    product_id: str
    title: str
    category: str
    attributes: str
    segment: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PairTable:
    """P pairs over M items.

    Args:
        frame: The checked rows, in the file's order.
        items: M distinct creatives.
        chosen: Index of each pair's chosen item, P.
        rejected: Index of each pair's rejected item, P.
        p_win: Posterior probability that the chosen one has the higher CTR, P.
        weight: Information in the pair, P.
        group: Pairs of one product in one experiment, week and segment share a number, P.
        component: Pairs that share a product, picture or text, by any chain, share a number, P.
        impressions: Of each item over its experiments, M.
        clicks: Likewise, M.
        contradictions: Pairs of items that are preferred both ways round.
    """

    frame: pl.DataFrame
    items: tuple[Item, ...]
    chosen: NDArray[np.int64]
    rejected: NDArray[np.int64]
    p_win: NDArray[np.float64]
    weight: NDArray[np.float64]
    group: NDArray[np.int64]
    component: NDArray[np.int64]
    impressions: NDArray[np.int64]
    clicks: NDArray[np.int64]
    contradictions: int

    def __len__(self) -> int:
        return len(self.p_win)

    @property
    def pair_ids(self) -> list[str]:
        """The pairs' names, P."""
        return self.frame["pair_id"].to_list()

    @property
    def categories(self) -> list[str]:
        """The category of each pair, P."""
        return self.frame["category"].to_list()

    @property
    def is_guessed(self) -> NDArray[np.bool_]:
        """Which labels are a model's guesses (:mod:`reward.guesses`), P."""
        return self.frame["guessed"].to_numpy(writable=True)

    @property
    def top_categories(self) -> list[str]:
        """The first level of each pair's category, P."""
        return [path.partition("/")[0] for path in self.categories]

    @property
    def fingerprint(self) -> str:
        """sha256 over the rows; pictures are in it by their own sha256."""
        return hashlib.sha256(self.frame.write_csv().encode()).hexdigest()

    @property
    def has_images(self) -> bool:
        """Whether every item has a picture."""
        return all(item.image for item in self.items)

    @property
    def has_texts(self) -> bool:
        """Whether every item has an ad text."""
        return all(item.text for item in self.items)

    def keep(self, rows: NDArray[np.bool_]) -> PairTable:
        """Return the pairs where ``rows`` (P) is true, with the items they need."""
        return table_from_frame(self.frame.filter(pl.Series(rows)))


def read_pairs(path: Path) -> PairTable:
    """Read pairs in the form that `abp pairs` writes.

    Raises:
        TrainingError: The file is missing, empty, lacks columns, or holds a pair that can't be.
    """
    remedy = "name a Parquet file that `abp pairs` wrote"
    if not path.is_file():
        raise TrainingError("there is no such file of pairs", path=path, remedy=remedy)
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TrainingError(
            f"the pairs cannot be read: {error}",
            path=path,
            remedy=remedy,
        ) from error
    return table_from_frame(_normalise(frame, path))


def join_tables(tables: Sequence[PairTable]) -> PairTable:
    """Put pairs of several weeks into one table, in the order of their ids.

    Raises:
        TrainingError: A pair occurs twice.
    """
    frame = pl.concat([table.frame for table in tables]).sort("pair_id")
    _refuse(frame.filter(pl.col("pair_id").is_duplicated()), "occurs more than once", None)
    return table_from_frame(frame)


def deal_folds(table: PairTable, *, count: int, seed: int) -> NDArray[np.int64]:
    """Deal components into folds of about as many pairs each, in an order that ``seed`` decides.

    Args:
        table: P pairs.
        count: How many folds.
        seed: Decides which components go together; the order of rows does not.

    Returns:
        The fold of each pair, P; -1 for all if there are fewer than four components.
    """
    names = (
        table.frame.select("product_id")
        .with_columns(component=pl.Series(table.component))
        .group_by("component")
        .agg(pl.col("product_id").min(), pl.len())
    )
    if len(names) < 4:
        return np.full(len(table), -1, dtype=np.int64)
    rows = sorted(
        names.iter_rows(), key=lambda row: xxhash.xxh3_64_intdigest(row[1].encode(), seed=seed)
    )
    fold_of = np.empty(int(table.component.max()) + 1, dtype=np.int64)
    load = np.zeros(count)
    for component, _, pairs in rows:
        fold_of[component] = load.argmin()
        load[fold_of[component]] += pairs
    folds: NDArray[np.int64] = fold_of[table.component]
    return folds


def table_from_frame(frame: pl.DataFrame) -> PairTable:
    """Build the arrays from rows that are checked already."""
    sides = pl.concat([_side(frame, "chosen"), _side(frame, "rejected")])
    items = sides.select(_ITEM).unique(maintain_order=True).with_row_index("item")
    index = sides.join(items, on=list(_ITEM), how="left", maintain_order="left")
    counts = (
        index.group_by("item", "experiment", "week")
        .agg(pl.col("impressions", "clicks").max())
        .group_by("item")
        .agg(pl.col("impressions", "clicks").sum())
        .sort("item")
    )
    number = index["item"].to_numpy().astype(np.int64)
    group = frame.select(pl.struct("experiment", "week", "segment", "product_id").rank("dense"))
    weight = frame["weight"].to_numpy(writable=True)
    return PairTable(
        frame=frame,
        items=tuple(Item(*row) for row in items.drop("item").iter_rows()),
        chosen=number[: len(frame)],
        rejected=number[len(frame) :],
        p_win=frame["p_win"].to_numpy(writable=True),
        weight=weight,
        group=group.to_series().to_numpy().astype(np.int64),
        component=_components(items, number[: len(frame)], number[len(frame) :]),
        impressions=counts["impressions"].to_numpy().astype(np.int64),
        clicks=counts["clicks"].to_numpy().astype(np.int64),
        contradictions=_contradictions(number, frame["p_win"].to_numpy()),
    )


def _side(frame: pl.DataFrame, side: str) -> pl.DataFrame:
    return frame.select(
        pl.col(f"{side}_creative").alias("creative"),
        pl.col(f"{side}_image").alias("image"),
        pl.col(f"{side}_text").alias("text"),
        "product_id",
        "title",
        "category",
        "attributes",
        "segment",
        "experiment",
        "week",
        pl.col(f"impressions_{side}").alias("impressions"),
        pl.col(f"clicks_{side}").alias("clicks"),
    )


def _components(
    items: pl.DataFrame, chosen: NDArray[np.int64], rejected: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Number the connected components of items that share a product, a picture or a text."""
    size = len(items)
    nodes: dict[tuple[str, str], int] = {}
    edges = [(first, second) for first, second in zip(chosen, rejected, strict=True)]
    for item, *values in items.select("item", "product_id", "image", "text").iter_rows():
        for kind, value in zip(("product", "image", "text"), values, strict=True):
            if value:
                edges.append((item, size + nodes.setdefault((kind, value), len(nodes))))
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    total = size + len(nodes)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(total, total))
    labels = connected_components(graph, directed=False)[1]
    component: NDArray[np.int64] = labels[chosen].astype(np.int64)
    return component


def _contradictions(number: NDArray[np.int64], p_win: NDArray[np.float64]) -> int:
    half = len(p_win)
    first, second = number[:half], number[half:]
    wins = np.where(p_win >= 0.5, 1, -1) * np.where(first < second, 1, -1)
    both = pl.DataFrame({"a": np.minimum(first, second), "b": np.maximum(first, second), "w": wins})
    ways = both.filter(pl.Series(p_win != 0.5)).group_by("a", "b").agg(pl.col("w").n_unique())
    return int((ways["w"] > 1).sum())


def _normalise(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Bring a file's columns to one form, or say what is wrong with them."""
    if frame.is_empty():
        raise TrainingError(
            "there are no pairs in the file",
            path=path,
            remedy="run the experiment longer, or check its `learning.pairs` settings",
        )
    missing = [name for name in _REQUIRED if name not in frame.columns]
    if missing or not ({"chosen_image", "chosen_text"} & set(frame.columns)):
        raise TrainingError(
            f"columns are missing: {', '.join(missing) or 'chosen_image or chosen_text'}",
            path=path,
            remedy="write the pairs with `abp pairs`, or add the columns of docs/contracts.md",
        )
    texts = [_text_column(frame, name, path) for name in (*_REQUIRED[:-1], *_OPTIONAL, *_CONTENT)]
    counts = [_number_column(frame, name, pl.Int64, path) for name in _COUNTS]
    p_win = _number_column(frame, "p_win", pl.Float64, path)
    # A sum of probabilities may end a rounding error outside.
    rounded = p_win.is_between(-_ROUNDING, 1 + _ROUNDING)
    p_win = p_win.zip_with(~rounded.fill_null(value=False), p_win.clip(0, 1))
    weight = (
        _number_column(frame, "weight", pl.Float64, path)
        if "weight" in frame.columns
        else ((2 * p_win - 1) ** 2).alias("weight")
    )
    guessed = pl.Series("guessed", [False] * len(frame), dtype=pl.Boolean)
    rows = pl.DataFrame([*texts, p_win, weight, *counts, guessed])
    _check_rows(rows, path)
    return rows


def _text_column(frame: pl.DataFrame, name: str, path: Path) -> pl.Series:
    if name not in frame.columns:
        return pl.Series(name, [""] * len(frame), dtype=pl.String)
    column = frame[name]
    try:
        if isinstance(column.dtype, pl.Struct):
            column = column.struct.json_encode()
        return column.cast(pl.String).fill_null("").alias(name)
    except pl.exceptions.PolarsError as error:
        raise TrainingError(
            f"{name} holds something that is no text", path=path, remedy="write it as a text"
        ) from error


def _number_column(
    frame: pl.DataFrame, name: str, dtype: type[pl.Int64 | pl.Float64], path: Path
) -> pl.Series:
    if name not in frame.columns:
        return pl.Series(name, [0] * len(frame), dtype=dtype)
    try:
        column = frame[name].cast(dtype)
    except pl.exceptions.PolarsError as error:
        raise TrainingError(
            f"{name} holds something that is no number", path=path, remedy="write it as a number"
        ) from error
    return column.fill_null(0) if dtype is pl.Int64 else column


def _check_rows(rows: pl.DataFrame, path: Path) -> None:
    number = pl.col("p_win")
    empty = (pl.col("chosen_image") == "") & (pl.col("chosen_text") == "")
    blank = empty | ((pl.col("rejected_image") == "") & (pl.col("rejected_text") == ""))
    weight = pl.col("weight")
    negative = pl.any_horizontal(pl.col(name) < 0 for name in _COUNTS)
    above = (pl.col("clicks_chosen") > pl.col("impressions_chosen")) | (
        pl.col("clicks_rejected") > pl.col("impressions_rejected")
    )
    rules = {
        "has no p_win between 0 and 1": ~(number.is_not_null() & number.is_between(0, 1)),
        "has no weight of 0 or more": ~(weight.is_not_null() & weight.is_finite() & (weight >= 0)),
        "compares a creative with itself": pl.col("chosen_creative") == pl.col("rejected_creative"),
        "has a side with neither image nor text": blank,
        "counts fewer than no impressions or clicks": negative,
        "counts more clicks than impressions": above,
        "occurs more than once": pl.col("pair_id").is_duplicated(),
    }
    for problem, rule in rules.items():
        _refuse(rows.filter(rule), problem, path)


def _refuse(rows: pl.DataFrame, problem: str, path: Path | None) -> None:
    if rows.is_empty():
        return
    more = f" ({len(rows)} such rows)" if len(rows) > 1 else ""
    raise TrainingError(
        f"pair {rows['pair_id'][0]!r} {problem}{more}",
        path=path,
        remedy="remove or mend these rows, or write the pairs again with `abp pairs`",
    )
