"""A market: products that people want, pictures that move them, and how often they click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from abplatform.domain.catalog import Product
from abplatform.simulation.seeds import stream
from abplatform.simulation.shoppers import Shoppers, draw_shoppers
from abplatform.simulation.taste import Picture, Taste, look_at

__all__ = ["Market"]

_BASE_RATES = (0.015, 0.033)
"""Between these lies each category's click rate for a picture that leaves people cold."""

_MOST = 0.08
"""No shopper of average eagerness clicks more often; twelve times that is still below one."""


class Market:
    """Shoppers, products and how well each picture does, all from one seed.

    Args:
        seed: Decides everything that the arguments leave open.
        products: What is for sale; categories count at their top level.
        impressions: How many impressions a week the shoppers see together, on average.
    """

    def __init__(self, seed: int, products: Sequence[Product], *, impressions: int) -> None:
        self.seed = seed
        self.products = tuple(sorted(products, key=lambda product: product.product_id))
        self.product_index = {
            product.product_id: index for index, product in enumerate(self.products)
        }
        self.categories = tuple(sorted({_top(product) for product in self.products}))
        place = {name: index for index, name in enumerate(self.categories)}
        self.category_of: NDArray[np.int64] = np.array(
            [place[_top(product)] for product in self.products]
        )
        draw = stream(seed, "market")
        self.popularity: NDArray[np.float64] = draw.dirichlet(np.full(len(self.categories), 12.0))
        self.demand: NDArray[np.float64] = draw.gamma(6.0, 1.0, len(self.products))
        low, high = (float(np.log(rate)) for rate in _BASE_RATES)
        self._base = np.exp(draw.uniform(low, high, len(self.categories)))
        self._wanted = draw.normal(0.0, 0.1, len(self.products))
        self.taste = Taste(seed, self.categories)
        self.shoppers: Shoppers = draw_shoppers(
            seed, impressions=impressions, popularity=self.popularity
        )

    def click_rates(
        self, pictures: Mapping[str, Picture], advertised: Mapping[str, str]
    ) -> dict[str, float]:
        """Return the click rate of each picture among shoppers of average eagerness.

        Args:
            pictures: Creative id to what shoppers see.
            advertised: Creative id to product id.
        """
        ids = list(pictures)
        measured = look_at(pictures.values())
        product = np.array([self.product_index[advertised[name]] for name in ids], dtype=np.int64)
        category = self.category_of[product]
        moved = np.zeros(len(ids))
        for index, name in enumerate(self.categories):
            mine = category == index
            moved[mine] = self.taste.appeal(name, measured[mine])
        rates = self._base[category] * np.exp(self._wanted[product] + moved)
        return dict(zip(ids, np.minimum(rates, _MOST).tolist(), strict=True))

    def choose_products(
        self, category: NDArray[np.int64], draw: np.random.Generator
    ) -> NDArray[np.int64]:
        """Draw the product that each impression advertises, by demand within its category.

        Args:
            category: Index of each impression's category.
            draw: Where the randomness comes from.
        """
        order = np.argsort(self.category_of, kind="stable")
        up_to = np.cumsum(self.demand[order])
        last = np.searchsorted(self.category_of[order], np.arange(len(self.categories)), "right")
        high = up_to[last - 1]
        low = np.concatenate([[0.0], high[:-1]])
        at = low[category] + draw.random(len(category)) * (high - low)[category]
        first = np.concatenate([[0], last[:-1]])
        found = np.searchsorted(up_to, at, "right")
        chosen: NDArray[np.int64] = order[np.clip(found, first[category], (last - 1)[category])]
        return chosen


def _top(product: Product) -> str:
    return product.category.at_level(1).path
