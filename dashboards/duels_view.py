"""Creatives of one product compared: who won, and whether the reward model had foreseen it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abplatform.logs.store.published import Published
from dashboards.number_words import Shown, count, rate

__all__ = ["Duel", "Prediction", "Side", "duels", "prediction"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Side:
    """One of two compared creatives.

    Args:
        creative_id: sha256 of its master.
        source: ``baseline`` or ``generated``, or None if unknown.
        picture: Its path relative to the workspace, or None.
        text: Its ad text, or None.
        ctr: Its click-through rate.
        impressions: How often it was seen.
    """

    creative_id: str
    source: str | None
    picture: str | None
    text: str | None
    ctr: Shown
    impressions: Shown


@dataclass(frozen=True, slots=True)
class Duel:
    """Two creatives of one product, the better one first.

    Args:
        title: The product.
        category: Its category, or an empty text.
        winner: The creative with the higher CTR.
        loser: The other one.
        p_win: Probability that the winner's true CTR is the higher one.
    """

    title: str
    category: str
    winner: Side
    loser: Side
    p_win: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Whether the reward model foresaw the winners.

    Args:
        pairs: Compared pairs with two different scores.
        agreed: Pairs in which the higher score won.
        accuracy: ``agreed`` of ``pairs``, or why there is none.
        ceiling: What a perfect model would reach, because clicks are noisy.
    """

    pairs: int
    agreed: int
    accuracy: Shown
    ceiling: Shown


def duels(published: Published, experiment: str, *, most: int) -> list[Duel]:
    """Return one duel a product, the surest first.

    Args:
        published: The current version.
        experiment: Its key.
        most: How many at most.
    """
    creatives = _creatives(published, experiment)
    best: dict[str, Row] = {}
    for pair in _pairs(published, experiment):
        best.setdefault(pair["product_id"], pair)
    return [
        Duel(
            title=pair["title"] or f"product {pair['product_id']}",
            category=pair["category"] or "",
            winner=_side(pair, "chosen", creatives),
            loser=_side(pair, "rejected", creatives),
            p_win=pair["p_win"],
        )
        for pair in list(best.values())[:most]
    ]


def prediction(published: Published, experiment: str) -> Prediction:
    """Compare the scores from before the experiment with who won in it."""
    pairs = _pairs(published, experiment)
    judged = list(_judged(pairs, _creatives(published, experiment)))
    if not judged:
        why = (
            "no reward model had scored these creatives before they ran"
            if pairs
            else "no creatives of one product have been compared yet"
        )
        return Prediction(0, 0, Shown.missing(why), Shown.missing(why))
    agreed = sum(foreseen for foreseen, _ in judged)
    return Prediction(
        pairs=len(judged),
        agreed=agreed,
        accuracy=Shown(f"{agreed / len(judged):.0%}"),
        ceiling=Shown(f"{sum(sure for _, sure in judged) / len(judged):.0%}"),
    )


def _pairs(published: Published, experiment: str) -> list[dict[str, Any]]:
    table = published.table("pairs").filter(experiment=experiment)
    return table.sort("p_win", "pair_id", descending=[True, False]).to_dicts()


def _creatives(published: Published, experiment: str) -> dict[str, Row]:
    rows = published.table("creatives").filter(experiment=experiment).iter_rows(named=True)
    return {row["creative_id"]: row for row in rows}


def _judged(pairs: Sequence[Row], creatives: Mapping[str, Row]) -> Iterator[tuple[bool, float]]:
    """Yield whether the higher score won, and how sure the pair's own order is."""
    for pair in pairs:
        better, worse = (
            creatives.get(pair[f"{side}_creative"], {}).get("predicted")
            for side in ("chosen", "rejected")
        )
        if better is not None and worse is not None and better != worse:
            yield better > worse, max(pair["p_win"], 1 - pair["p_win"])


def _side(pair: Row, side: str, creatives: Mapping[str, Row]) -> Side:
    creative = creatives.get(pair[f"{side}_creative"], {})
    clicks, impressions = pair[f"clicks_{side}"], pair[f"impressions_{side}"]
    return Side(
        creative_id=pair[f"{side}_creative"],
        source=creative.get("source"),
        picture=creative.get("picture"),
        text=pair[f"{side}_text"],
        ctr=rate(clicks / impressions if impressions else None, "no impressions"),
        impressions=count(impressions),
    )
