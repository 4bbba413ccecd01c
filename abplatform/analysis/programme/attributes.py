"""What the words of a scene do to CTR: "palette cream: +4 % in beauty".

Creatives of one product in one experiment met the same users at random, so their differences in
log-CTR are free of what the product, the season or the audience does. Every word (attribute and
value) is one covariate of a meta-regression over these differences:

    y_j = μ_(product, experiment) + β·[creative j has the word] + u_j + e_j,   u_j ~ N(0, τ²)

with the sampling covariance of :mod:`abplatform.stats.pairs` (design effect by category, users who
saw several creatives). The product's own level drops out, as only differences within a product
enter. τ² is all that the word does not say of a creative: one lucky creative is no evidence, nor is
it in the next experiment, where it is the same u_j; what experiments say of the same creatives is
pooled first.
Words that always come together cannot be told apart. Counts are skewed and few products tell of a
word, so that only their comparisons are degrees of freedom. p-values are adjusted over all rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from abplatform.analysis.programme.record import AttributeEffect
from abplatform.analysis.scorecard import ProductComparison
from abplatform.stats.categories import adjust
from abplatform.stats.meta import Block, MetaFit, fit_each, fit_meta, shrink_blocks
from abplatform.stats.ratio import Undetermined

__all__ = ["FALSE_DISCOVERIES", "LEAST_CLICKS", "LEAST_PRODUCTS", "learn_attributes"]

LEAST_PRODUCTS = 5
"""A word counts from as many products on in which some creatives have it and some do not."""

LEAST_CLICKS = 50
"""And from as many clicks on, both with it and without it."""

FALSE_DISCOVERIES = 0.05
"""Share of false discoveries among the words that are called significant."""

Matrix = npt.NDArray[np.float64]
Word = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """The creatives of one product that met each other, whatever the experiments.

    Args:
        product_id: The product.
        category: The top of its category.
        creatives: K of them, those with a scene.
        differences: Log-CTR of each but the first, less that of the first, shape (K - 1,).
        covariance: Of ``differences``, shape (K - 1, K - 1).
        clicks: Of each creative, shape (K,).
    """

    product_id: str
    category: str
    creatives: tuple[str, ...]
    differences: Matrix
    covariance: Matrix
    clicks: Matrix


@dataclass(frozen=True, slots=True)
class _Evidence:
    products: int = 0
    comparisons: int = 0
    creatives: int = 0
    clicks: int = 0
    clicks_without: int = 0

    @property
    def suffices(self) -> bool:
        least = min(self.clicks, self.clicks_without)
        return self.products >= LEAST_PRODUCTS and least >= LEAST_CLICKS


def learn_attributes(
    products: Iterable[ProductComparison], scenes: Mapping[str, Mapping[str, str]]
) -> tuple[AttributeEffect, ...]:
    """Return what every word with enough evidence does, the least p first.

    Args:
        products: Creatives of one product in one experiment, compared; of all experiments.
        scenes: Creative to its scene; creatives without one are left out.
    """
    families = list(_families(products, scenes))
    tops = sorted({family.category for family in families})
    slices: list[tuple[str | None, list[_Family]]] = [
        (top, [family for family in families if family.category == top]) for top in tops
    ]
    if len(tops) > 1:
        slices.insert(0, (None, families))
    rows = [row for category, mine in slices for row in _fit_words(category, mine, scenes)]
    return tuple(sorted(_shrink(_adjust(rows)), key=lambda row: (row.p_value, row.attribute)))


def _families(
    products: Iterable[ProductComparison], scenes: Mapping[str, Mapping[str, str]]
) -> Iterator[_Family]:
    """Yield one family per product and set of creatives that some experiments connect."""
    met: dict[tuple[str, str], list[_Family]] = {}
    for product in products:
        kept = [at for at, creative in enumerate(product.creatives) if scenes.get(creative)]
        if len(kept) < 2:
            continue
        apart = _apart(len(kept))
        family = _Family(
            product_id=product.product_id,
            category=(product.category or "unknown").split("/")[0],
            creatives=tuple(product.creatives[at] for at in kept),
            differences=apart @ product.log_rates[kept],
            covariance=apart @ product.covariance[np.ix_(kept, kept)] @ apart.T,
            clicks=np.array([product.sums[at].k for at in kept], dtype=float),
        )
        met.setdefault((family.category, family.product_id), []).append(family)
    for mine in met.values():
        yield from (_pool(group) for group in _connect(mine))


def _connect(met: Iterable[_Family]) -> list[list[_Family]]:
    """Group what one product's creatives did by the creatives that come up again."""
    groups: list[tuple[set[str], list[_Family]]] = []
    for one in met:
        names = set(one.creatives)
        touching = [group for group in groups if group[0] & names]
        groups = [group for group in groups if not group[0] & names]
        names = names.union(*(known for known, _ in touching))
        groups.append((names, [*(old for _, group in touching for old in group), one]))
    return [group for _, group in groups]


def _pool(met: Sequence[_Family]) -> _Family:
    """Return what several experiments say of the same creatives, by generalised least squares.

    A creative is one draw of u_j however often it runs: as many draws as experiments would make
    one lucky creative good evidence.
    """
    if len(met) == 1:
        return met[0]
    names = tuple(dict.fromkeys(name for one in met for name in one.creatives))
    places = {name: at for at, name in enumerate(names)}
    precision = np.zeros((len(names) - 1, len(names) - 1))
    weighted, clicks = np.zeros(len(names) - 1), np.zeros(len(names))
    for one in met:
        at = [places[name] for name in one.creatives]
        design = (_apart(len(at)) @ np.eye(len(names))[at])[:, 1:]
        pulled = np.linalg.solve(one.covariance, design).T
        precision += pulled @ design
        weighted += pulled @ one.differences
        clicks[at] += one.clicks
    covariance = np.linalg.inv(precision)
    return replace(
        met[0],
        creatives=names,
        differences=covariance @ weighted,
        covariance=(covariance + covariance.T) / 2,
        clicks=clicks,
    )


def _apart(size: int) -> Matrix:
    """Return differences from the first; which one is first does not matter."""
    differences: Matrix = np.eye(size)[1:] - np.eye(size)[:1]
    return differences


def _fit_words(
    category: str | None, families: Sequence[_Family], scenes: Mapping[str, Mapping[str, str]]
) -> list[AttributeEffect]:
    words = sorted(
        {item for family in families for name in family.creatives for item in scenes[name].items()}
    )
    evidence = {word: _weigh(word, families, scenes) for word in words}
    words = [word for word, found in evidence.items() if found.suffices]
    if not words:
        return []
    fits = fit_each([_block(family, words, scenes) for family in families])
    return [
        _row(category, word, evidence[word], fit)
        for word, fit in zip(words, fits, strict=True)
        if isinstance(fit, MetaFit)
    ]


def _having(
    family: _Family, word: Word, scenes: Mapping[str, Mapping[str, str]]
) -> npt.NDArray[np.bool_]:
    """Return which of a family's creatives have the word, shape (K,)."""
    return np.array([scenes[name].get(word[0]) == word[1] for name in family.creatives])


def _weigh(
    word: Word, families: Iterable[_Family], scenes: Mapping[str, Mapping[str, str]]
) -> _Evidence:
    """Count what can be compared: products whose creatives differ in the word."""
    total, products = _Evidence(), set()
    for family in families:
        having = _having(family, word, scenes)
        if having.all() or not having.any():
            continue
        products.add(family.product_id)
        total = _Evidence(
            products=len(products),
            comparisons=total.comparisons + len(having) - 1,
            creatives=total.creatives + int(having.sum()),
            clicks=total.clicks + int(family.clicks[having].sum()),
            clicks_without=total.clicks_without + int(family.clicks[~having].sum()),
        )
    return total


def _block(
    family: _Family, words: Sequence[Word], scenes: Mapping[str, Mapping[str, str]]
) -> Block:
    apart = _apart(len(family.creatives))
    design = np.stack([_having(family, word, scenes) for word in words], axis=1).astype(float)
    return Block(
        effects=family.differences,
        covariance=family.covariance,
        design=apart @ design,
        spread=apart @ apart.T,
    )


def _row(category: str | None, word: Word, evidence: _Evidence, fit: MetaFit) -> AttributeEffect:
    fit = replace(fit, df=min(fit.df, evidence.comparisons - 1))
    interval, p = fit.interval(), fit.p_values()[0]
    effect = math.expm1(fit.coefficients[0])
    low, high = math.expm1(interval.low), math.expm1(interval.high)
    return AttributeEffect(
        category=category,
        attribute=word[0],
        value=word[1],
        products=evidence.products,
        creatives=evidence.creatives,
        clicks=evidence.clicks,
        relative_effect=effect,
        ci_low=low,
        ci_high=high,
        p_value=p,
        p_adjusted=p,
        significant=False,
        standard_error=math.sqrt(fit.covariance[0, 0]),
    )


def _adjust(rows: Sequence[AttributeEffect]) -> list[AttributeEffect]:
    adjusted = adjust([row.p_value for row in rows], correction="bh")
    return [
        replace(row, p_adjusted=p, significant=p <= FALSE_DISCOVERIES)
        for row, p in zip(rows, adjusted, strict=True)
        if p is not None
    ]


def _shrink(rows: Sequence[AttributeEffect]) -> list[AttributeEffect]:
    """Pull every effect towards none, by how much words differ in truth."""
    blocks = [
        Block(
            effects=np.array([math.log1p(row.relative_effect)]),
            covariance=np.array([[row.standard_error**2]]),
            design=np.zeros((1, 0)),
        )
        for row in rows
    ]
    fit = fit_meta(blocks)
    if isinstance(fit, Undetermined):
        return list(rows)
    shrunken = shrink_blocks(blocks, fit)
    found = []
    for place, row in enumerate(rows):
        interval = shrunken.interval(place)
        found.append(
            replace(
                row,
                shrunken_effect=math.expm1(shrunken.effects[place]),
                shrunken_low=math.expm1(interval.low),
                shrunken_high=math.expm1(interval.high),
            )
        )
    return found
