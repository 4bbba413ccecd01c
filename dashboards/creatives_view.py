"""Every creative with how it did and where it comes from: what the Creatives page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from abplatform.logs.store.published import Published
from dashboards.number_words import MINUS, Shown, count, plain, rate

__all__ = [
    "ORDERS",
    "Choices",
    "CreativeCard",
    "Filters",
    "Order",
    "choices",
    "creative_cards",
]

Order = Literal["ctr_low", "ctr", "impressions", "predicted", "title"]

ORDERS: dict[Order, str] = {
    "ctr_low": "surely high CTR",
    "ctr": "highest CTR",
    "impressions": "most seen",
    "predicted": "highest prediction",
    "title": "product",
}
"""Order to its name on the page."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a person wants to see; None admits all.

    Args:
        experiment: An experiment's key.
        product: A product's title.
        source: ``baseline`` or ``generated``.
        order: What comes first; the default goes by the interval's lower end, so that a creative
            with few impressions does not lead by luck.
    """

    experiment: str | None = None
    product: str | None = None
    source: str | None = None
    order: Order = "ctr_low"


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be filtered by: the values that occur, sorted."""

    experiments: tuple[str, ...]
    products: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreativeCard:
    """One creative in one experiment.

    Args:
        creative_id: sha256 of its master.
        experiment: Where it ran.
        variant: Which variant showed it.
        title: Its product.
        category: The product's category.
        source: ``baseline`` or ``generated``.
        review: Where its approval stands, or None.
        picture: Its path relative to the workspace, or None.
        ctr: Its click-through rate.
        interval: The rate's interval as text; empty when there is none.
        impressions: How often it was seen.
        predicted: The reward model's score before the experiment.
        standing: ``better``, ``worse`` or ``unclear`` against the control's creative of the same
            product, or None where it is not compared.
        p_win: Probability that it is better, or None where it is not compared.
        p_win_explored: The same by what the policy's floor drew alone; None without a floor.
        lineage: Name to value in plain words, in the order in which it came to be.
    """

    creative_id: str
    experiment: str
    variant: str
    title: str
    category: str
    source: str
    review: str | None
    picture: str | None
    ctr: Shown
    interval: str
    impressions: Shown
    predicted: Shown
    standing: str | None
    p_win: float | None
    p_win_explored: float | None
    lineage: Mapping[str, str]


def choices(published: Published) -> Choices:
    """Return what the filters offer."""
    table = published.table("creatives")

    def values(column: str) -> tuple[str, ...]:
        return tuple(sorted(table.get_column(column).drop_nulls().unique().to_list()))

    return Choices(values("experiment"), values("title"), values("source"))


def creative_cards(published: Published, filters: Filters) -> list[CreativeCard]:
    """Return the creatives that the filters admit, in their order.

    Over all experiments each creative comes once, as in the experiment that showed it most. A
    creative without the number it is ordered by comes last.
    """
    wanted = {
        "experiment": filters.experiment,
        "title": filters.product,
        "source": filters.source,
    }
    table = published.table("creatives").filter(
        **{column: value for column, value in wanted.items() if value is not None}
    )
    if filters.experiment is None:
        most = table.sort("impressions", "experiment", "variant", descending=[True, False, False])
        table = most.unique("creative_id", keep="first", maintain_order=True)
    rows = table.sort(
        filters.order,
        "creative_id",
        "experiment",
        descending=[filters.order != "title", False, False],
        nulls_last=True,
    )
    standings = _standings(published, filters.experiment)
    return [
        _card(row, standings.get((row["experiment"], row["variant"], row["creative_id"]), {}))
        for row in rows.iter_rows(named=True)
    ]


def _standings(
    published: Published, experiment: str | None
) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """Return (experiment, variant, creative) to how it compares, as the scorecards say."""
    scorecards = published.table("scorecards").select("experiment", "scorecard")
    if experiment is not None:
        scorecards = scorecards.filter(experiment=experiment)
    drawn = published.table("creatives").get_column("experiment").unique().implode()
    found = {}
    for key, text in scorecards.filter(pl.col("experiment").is_in(drawn)).iter_rows():
        verdict = json.loads(text or "{}").get("verdict") or {}
        for row in verdict.get("by_creative") or []:
            found[key, row["variant"], row["creative_id"]] = row
    return found


def _card(row: Mapping[str, Any], standing: Mapping[str, Any]) -> CreativeCard:
    low, high = row["ctr_low"], row["ctr_high"]
    return CreativeCard(
        creative_id=row["creative_id"],
        experiment=row["experiment"],
        variant=row["variant"],
        title=row["title"] or f"product {row['product_id']}",
        category=row["category"] or "no category",
        source=row["source"] or "unknown",
        review=row["review"],
        picture=row["picture"],
        ctr=rate(row["ctr"], "not seen yet" if not row["impressions"] else None),
        interval="" if low is None or high is None else f"{low:.2%} … {high:.2%}",
        impressions=count(row["impressions"]),
        predicted=_predicted(row["predicted"]),
        standing=standing.get("verdict"),
        p_win=standing.get("p_win"),
        p_win_explored=standing.get("p_win_explored"),
        lineage=_lineage(row["lineage"]),
    )


def _predicted(value: float | None) -> Shown:
    if value is None:
        return Shown.missing("no reward model had scored it")
    return Shown(f"{value:+.2f}".replace("-", MINUS))


def _lineage(text: str | None) -> dict[str, str]:
    """Return the lineage's facts from photograph to pixels; unknown ones are left out."""
    if not text:
        return {}
    lineage: dict[str, Any] = json.loads(text)
    inspector = lineage.get("inspector") or {}
    facts = {
        "Prompt": lineage.get("prompt"),
        "Scene": _pairs(lineage.get("scene")),
        "Text": lineage.get("text"),
        "Renderer": lineage.get("renderer"),
        "Seed": lineage.get("seed"),
        "Week": lineage.get("week"),
        "Inspector": _inspection(inspector),
        "Models": _pairs(
            {role: sha[:12] for role, sha in (lineage.get("checkpoints") or {}).items()}
        ),
        "Photograph": (lineage.get("image_sha256") or "")[:12],
        "Creative": (lineage.get("creative_id") or "")[:12],
    }
    return {name: str(value) for name, value in facts.items() if value not in (None, "")}


def _pairs(values: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{plain(name)}: {value}" for name, value in (values or {}).items())


def _inspection(inspector: Mapping[str, Any]) -> str:
    if not inspector:
        return ""
    words = ["usable" if inspector.get("usable") else "not usable"]
    if "match" in inspector:
        words.append("fits the product" if inspector["match"] else "does not fit the product")
    words += [f"{plain(name)} {_score(value)}" for name, value in _scores(inspector).items()]
    reasons = inspector.get("reasons") or []
    words += [plain(str(reason)) for reason in reasons]
    return ", ".join(words)


def _scores(inspector: Mapping[str, Any]) -> Mapping[str, Any]:
    scores = inspector.get("scores")
    return scores if isinstance(scores, Mapping) else {}


def _score(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
