"""Texts of creative sets: written once for each product, kept for each of its sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from abplatform.creatives.texts import AdText, append_texts, read_texts, usable_texts

if TYPE_CHECKING:
    from datetime import datetime

    from abplatform.cli.makers import TextScorer
    from abplatform.cli.options import Advance
    from abplatform.domain.catalog import Lineage, Product
    from generators.ad_text.text_model import TextModel
    from generators.brand import Brands
    from generators.intake import ReadyProduct

__all__ = ["keep_texts"]


def keep_texts(
    root: Path,
    products: Sequence[ReadyProduct],
    lineages: Sequence[Lineage],
    *,
    count: int,
    seed: int,
    now: datetime,
    brands: Brands,
    country: str | None,
    model: str,
    segment: str | None,
    scorer: TextScorer | None,
    advance: Advance,
) -> int:
    """Write texts for products whose creative sets lack some; what is there and true stays.

    Args:
        root: The folder of creatives.
        products: What is advertised.
        lineages: Their creatives.
        count: How many texts each set gets at most.
        seed: Every random choice comes from it.
        now: When; texts that quote a former price are written anew.
        brands: Words that brands forbid or want.
        country: Where they will be shown.
        model: What writes.
        segment: Whom they are for, in free words.
        scorer: Ranks them; by what wrote them if None.
        advance: Told how many products are done.

    Returns:
        How many texts are new.
    """
    from generators.ad_text.writing import write_texts

    sets: dict[str, list[str]] = {}
    for lineage in lineages:
        sets.setdefault(lineage.product_id, []).append(lineage.creative_id)
    known = read_texts(root)
    opened: TextModel | None = None
    fresh = 0
    for done, ready in enumerate(products, start=1):
        product = ready.product
        lacking = _lacking(sets.get(product.product_id, ()), known, product, now, count)
        if lacking:
            opened = opened or _open(model)
            kit = brands.kit(product, country)
            written = write_texts(
                product,
                count=count,
                rng=np.random.default_rng(_seed(seed, product.product_id)),
                model=opened,
                segment=segment,
                phrases=kit.forbidden_words,
                prices=kit.prices,
                refuses=kit.refuses_text,
                scorer=None if scorer is None else scorer(ready),
            )
            fresh += append_texts(
                root,
                [
                    AdText(
                        creative_id,
                        product.product_id,
                        one.text,
                        one.language,
                        one.model,
                        one.quotes,
                        None,
                        one.scores,
                    )
                    for creative_id in lacking
                    for one in written
                ],
            )
        advance(done, len(products))
    return fresh


def _lacking(
    creative_ids: Sequence[str],
    known: Mapping[str, tuple[AdText, ...]],
    product: Product,
    now: datetime,
    count: int,
) -> list[str]:
    return [
        name
        for name in creative_ids
        if len(usable_texts(known.get(name, ()), product, now)) < count
    ]


def _open(named: str) -> TextModel:
    from generators.ad_text.text_model import open_text_model

    return open_text_model(named)


def _seed(seed: int, product_id: str) -> int:
    digest = blake2b(f"{seed}\x1f{product_id}".encode(), digest_size=6).digest()
    return int.from_bytes(digest)
