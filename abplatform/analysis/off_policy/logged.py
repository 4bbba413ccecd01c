"""The impressions of a variant with the probabilities with which they were chosen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from abplatform.analysis.scorecard.scope import Scope
from abplatform.domain.targeting import Context
from abplatform.errors import AnalysisError
from abplatform.logs.decided import Decided
from abplatform.logs.store.answering import Store

__all__ = ["CONTEXT", "LoggedChoices", "contexts_of", "read_choices", "read_rate", "set_name"]

CONTEXT = ("category", "channel", "country", "placement", "segment", "attributes")
"""The columns of what a decision knew."""

_WORDS = CONTEXT[:-1]


@dataclass(frozen=True)
class LoggedChoices:
    """Impressions in order of time.

    A shelf is what a policy chose from: the creatives of a product, or, where each product has a
    single creative, the products of a category. Decision records say what was eligible, and then a
    shelf is such a set; imported logs do not, and then it is every creative that the shelf showed.

    Args:
        frame: One row an impression: ``unit``, ``creative_id``, ``product_id``, ``category``,
            ``position``, ``propensity``, ``clicked``, and the context.
        by_unit: Whether rows belong to units; else every row stands alone.
        decided: Records of the decisions behind the rows; None where there are none.
    """

    frame: pl.DataFrame
    by_unit: bool
    decided: Decided | None = None

    @property
    def size(self) -> int:
        """Rows."""
        return self.frame.height

    @property
    def rewards(self) -> npt.NDArray[np.float64]:
        """1 for a click, else 0."""
        return self.frame["clicked"].cast(pl.Float64).to_numpy()

    @property
    def propensities(self) -> npt.NDArray[np.float64]:
        """The logged probabilities; NaN where there is none."""
        return self.frame["propensity"].cast(pl.Float64).fill_null(float("nan")).to_numpy()

    @cached_property
    def units(self) -> npt.NDArray[np.int64] | None:
        """The number of each row's unit, or None."""
        if not self.by_unit:
            return None
        return self.frame["unit"].rank("dense").cast(pl.Int64).to_numpy() - 1

    @cached_property
    def placed(self) -> pl.DataFrame:
        """The frame with each row's ``shelf``, and ``situation`` where there is a record."""
        single = self.frame.group_by("product_id").agg(pl.col("creative_id").n_unique())
        by_product = bool((single["creative_id"] > 1).any())
        plain = pl.col("product_id" if by_product else "category")
        if self.decided is None:
            return self.frame.with_columns(shelf=plain, situation=pl.lit(None, pl.Int64))
        sets = pl.DataFrame(
            {"named": [set_name(one.eligible) for one in self.decided.situations]},
            schema={"named": pl.String},
        ).with_row_index("situation")
        return (
            self.frame.join(self.decided.frame, on="decision_id", how="left", maintain_order="left")
            .join(
                sets.with_columns(pl.col("situation").cast(pl.Int64)),
                on="situation",
                how="left",
                maintain_order="left",
            )
            .with_columns(shelf=pl.coalesce("named", plain))
        )

    @property
    def told_by_records(self) -> pl.DataFrame:
        """Rows with a record: ``situation``, ``propensity``, and the one that is ``recorded``.

        The latter is null for a creative that was not eligible.
        """
        known = () if self.decided is None else self.decided.situations
        recorded = pl.DataFrame(
            [
                (number, name, chance)
                for number, one in enumerate(known)
                for name, chance in zip(one.eligible, one.probabilities, strict=True)
            ],
            schema={"situation": pl.Int64, "creative_id": pl.String, "recorded": pl.Float64},
            orient="row",
        )
        rows = self.placed.drop_nulls("situation")
        joined = rows.join(recorded, on=["situation", "creative_id"], how="left")
        return joined.select("situation", "propensity", "recorded")


def set_name(eligible: Iterable[str]) -> str:
    """Return the shelf of a set of eligible creatives."""
    return "\n".join(sorted(eligible))


def contexts_of(frame: pl.DataFrame) -> list[Context]:
    """Return what each row's decision knew; the platform's own words win over attributes."""
    columns = [frame[name].to_list() for name in _WORDS]
    attributes = [_attributes(text) for text in frame["attributes"]]
    return [
        {**given, **{n: v for n, v in zip(_WORDS, row, strict=True) if v is not None}}
        for given, row in zip(attributes, zip(*columns, strict=True), strict=True)
    ]


def read_choices(
    store: Store, scope: Scope, variant: str, *, category: str | None = None
) -> LoggedChoices:
    """Read a variant's impressions that count.

    Args:
        store: The open store.
        scope: Which rows count.
        variant: Whose.
        category: Only of this category and those below it.

    Raises:
        AnalysisError: There is none.
    """
    frame = store.query(
        "off_policy/logged_choices",
        **scope.values(),
        by_event=scope.by_event,
        variant=variant,
        category=category,
    )
    if frame.is_empty():
        within = f" in category {category!r}" if category else ""
        raise AnalysisError(
            f"variant {variant!r} of {scope.experiment.key!r} has no impression{within}",
            remedy="name another with --variant or --category, or ingest its log first",
        )
    return LoggedChoices(frame, by_unit=not scope.by_event)


def read_rate(store: Store, scope: Scope, variant: str, *, category: str | None = None) -> float:
    """Return clicked impressions over impressions of a variant.

    Raises:
        AnalysisError: It has no impression.
    """
    return float(read_choices(store, scope, variant, category=category).rewards.mean())


def _attributes(text: str | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(text) if text else {}
    return found
