"""Items → tensors: everything that is read and hashed once, before the first batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from abplatform.errors import TrainingError
from reward.dataset import Item
from reward.model import Batch, RewardConfig
from reward.sentences import piece_ids
from reward.vision import VisionEncoder
from reward.words import PAD, category_paths, describe_product, taste_ids, word_ids

__all__ = ["Inputs"]

_MOST_BYTES = 4 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """M items as tensors; ``batch`` picks some of them.

    Args:
        pictures: (M, 3, H, W) uint8, or None.
        seen: What a pre-trained encoder makes of the pictures (M, T, W), or None.
        texts: Ids of ad texts, (M, W, G) hashed or (M, W) word pieces, or None.
        products: Ids of distinct product texts (Q, W, G).
        product: Which of them is each item's (M).
        tastes: Ids of category levels and segment (M, 5).
        base: Index of the category's base rate (M).
    """

    pictures: Tensor | None
    seen: Tensor | None
    texts: Tensor | None
    products: Tensor
    product: Tensor
    tastes: Tensor
    base: Tensor

    @classmethod
    def of(
        cls,
        items: Sequence[Item],
        pictures: NDArray[np.uint8] | None,
        config: RewardConfig,
        tokenizer: Tokenizer | None = None,
    ) -> Inputs:
        """Hash the items' texts and lay everything out for a model.

        Args:
            items: M items.
            pictures: M x H x W x 3, or None.
            config: Says what the model reads.
            tokenizer: Of the model's pre-trained encoder of texts, if it has one.

        Raises:
            TrainingError: The model reads something that the items don't have.
        """
        if config.images and pictures is None:
            raise TrainingError(
                "this model reads pictures and there are none",
                remedy="name their folder with --images, or train on texts without --images",
            )
        if config.texts and not all(item.text for item in items):
            raise TrainingError(
                "this model reads ad texts and some creatives have none",
                remedy="use pairs with chosen_text and rejected_text",
            )

        def hashed(texts: list[str]) -> Tensor:
            shape = {"words": config.words, "parts": config.parts, "buckets": config.buckets}
            ids = word_ids(texts, **shape)
            longest = max(1, int((ids != PAD).any(axis=2).sum(axis=1).max(initial=1)))
            return torch.from_numpy(ids[:, :longest].copy())

        def pieced(texts: list[str]) -> Tensor:
            if config.text_encoder is None or tokenizer is None:
                return hashed(texts)
            return piece_ids(texts, tokenizer, config.text_encoder, longest=config.pieces)

        told = [describe_product(item.title, item.category, item.attributes) for item in items]
        distinct = {text: index for index, text in enumerate(dict.fromkeys(told))}
        paths = [item.category for item in items]
        rated = category_paths(config.categories)
        return cls(
            pictures=_channels_first(pictures) if config.images else None,
            seen=None,
            texts=pieced([item.text for item in items]) if config.texts else None,
            products=hashed(list(distinct)),
            product=torch.tensor([distinct[text] for text in told]),
            tastes=torch.from_numpy(
                taste_ids(paths, [item.segment for item in items], buckets=config.buckets)
            ),
            base=torch.tensor([_base_index(path, rated) for path in paths]),
        )

    def __len__(self) -> int:
        return len(self.base)

    def batch(self, index: NDArray[np.int64]) -> Batch:
        """Return the items at ``index`` (N) as a batch."""
        rows = torch.from_numpy(index)
        needed, product = torch.unique(self.product[rows], return_inverse=True)
        return Batch(
            pictures=None if self.pictures is None else self.pictures[rows].float() / 255,
            seen=None if self.seen is None else self.seen[rows],
            texts=None if self.texts is None else self.texts[rows],
            products=self.products[needed],
            product=product,
            tastes=self.tastes[rows],
            base=self.base[rows],
        )

    @torch.no_grad()
    def look(self, encoder: VisionEncoder) -> Inputs:
        """Return the same with what an encoder makes of the pictures, unless that is too large."""
        first = next(self.every_picture(), None)
        if first is None:
            return self
        device = encoder.mean.device
        made = encoder(first[:1].to(device))
        if len(self) * made.numel() * made.element_size() > _MOST_BYTES:
            return self
        seen = [encoder(part.to(device)).cpu() for part in self.every_picture()]
        return replace(self, seen=torch.cat(seen))

    def every_picture(self) -> Iterator[Tensor]:
        """Yield all pictures in small portions (N, 3, H, W), in 0 … 1."""
        if self.pictures is not None:
            for at in range(0, len(self.pictures), 256):
                yield self.pictures[at : at + 256].float() / 255


def _channels_first(pictures: NDArray[np.uint8] | None) -> Tensor:
    assert pictures is not None  # noqa: S101  # the caller has checked it
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))


def _base_index(path: str, known: Sequence[str]) -> int:
    """Index of the nearest known category at or above ``path``; 0, the overall rate, if none."""
    while path and path not in known:
        path = path.rpartition("/")[0]
    return known.index(path) + 1 if path else 0
