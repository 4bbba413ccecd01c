"""Winning and losing pictures of one product, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from abplatform.analysis.scorecard import CreativeComparison, Scorecard
from abplatform.creatives import read_master
from abplatform.domain.catalog import Lineage, Product
from abplatform.errors import CatalogueError
from abplatform.figures import embed_picture

__all__ = ["Duel", "Side", "choose_duels"]


@dataclass(frozen=True, slots=True)
class Side:
    """One of two creatives.

    Args:
        creative_id: The creative.
        source: ``baseline`` or ``generated``; the variant's name where no lineage is known.
        picture: A small copy as a ``data:`` address, or None.
        why: Why there is no picture.
        text: Its ad text or its prompt.
        impressions: How often it was seen.
        clicks: How often it was clicked.
    """

    creative_id: str
    source: str
    picture: str | None
    why: str
    text: str
    impressions: int
    clicks: int

    @property
    def rate(self) -> float:
        """Clicks over impressions."""
        return self.clicks / self.impressions


@dataclass(frozen=True, slots=True)
class Duel:
    """A treatment's creative and a control's creative of one product.

    Args:
        title: The product.
        category: Its category.
        winner: The one that is more likely the better.
        loser: The other one.
        p_win: How likely.
    """

    title: str
    category: str
    winner: Side
    loser: Side
    p_win: float


def choose_duels(
    scorecard: Scorecard,
    *,
    masters: Path,
    lineage: Mapping[str, Lineage],
    products: Mapping[str, Product],
    control: str,
    count: int = 9,
) -> list[Duel]:
    """Return the clearest duels: the surest wins and losses of the treatment, one a product.

    Args:
        scorecard: Holds the comparisons.
        masters: The folder ``data/creatives``.
        lineage: Creative to how it was made.
        products: Product id to product.
        control: Name of the control variant.
        count: How many to return at most.
    """
    surest: dict[str, CreativeComparison] = {}
    for one in sorted(
        scorecard.creatives, key=lambda one: (-abs(one.p_win - 0.5), one.creative_id)
    ):
        surest.setdefault(one.product_id, one)
    chosen = _both_kinds(list(surest.values()), count)
    return [_duel(one, masters, lineage, products, control) for one in chosen]


def _both_kinds(ranked: Sequence[CreativeComparison], count: int) -> list[CreativeComparison]:
    """Keep room for losses: a report that shows wins only teaches nothing."""
    wins = [one for one in ranked if one.p_win >= 0.5]
    losses = [one for one in ranked if one.p_win < 0.5]
    room = min(len(losses), max(count // 3, count - len(wins)))
    return [*wins[: count - room], *losses[:room]]


def _duel(
    one: CreativeComparison,
    masters: Path,
    lineage: Mapping[str, Lineage],
    products: Mapping[str, Product],
    control: str,
) -> Duel:
    product = products.get(one.product_id)
    ours = _side(one.creative_id, one.variant, (one.impressions, one.clicks), masters, lineage)
    counts = (one.impressions_against, one.clicks_against)
    theirs = _side(one.against, control, counts, masters, lineage)
    ahead = one.p_win >= 0.5
    return Duel(
        title=product.title if product else one.product_id,
        category=one.category or "",
        winner=ours if ahead else theirs,
        loser=theirs if ahead else ours,
        p_win=max(one.p_win, 1 - one.p_win),
    )


def _side(
    creative_id: str,
    variant: str,
    counts: tuple[int, int],
    masters: Path,
    lineage: Mapping[str, Lineage],
) -> Side:
    made = lineage.get(creative_id)
    picture, why = None, "no picture: only the log knows this creative"
    if made is not None:
        try:
            picture, why = embed_picture(read_master(masters, creative_id)), ""
        except CatalogueError as error:
            why = f"no picture: {error.message}"
    return Side(
        creative_id=creative_id,
        source=made.source if made else variant,
        picture=picture,
        why=why,
        text=(made.text or made.prompt) if made else "",
        impressions=counts[0],
        clicks=counts[1],
    )
