"""CAIG's own form of the reward model: both pictures side by side, read by a language model.

Chen et al. (arXiv 2502.06823) lay two pictures of a product beside each other, let a multimodal
model read them with the product's description, and read from the last hidden state which one will
be clicked more (cross-entropy) and both click rates (squared error, weight 0.5). Here the model is
a small Llava from its configuration, trained on the pairs at hand. Its answer may depend on which
picture is on the left, so it is asked in both orders.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaModel

from reward.dataset import PairTable
from reward.evaluate import Forecast
from reward.resume import one_thread
from reward.rivals.contest import Part, turn_sides
from reward.words import describe_product, word_ids

__all__ = ["concatenated"]

_SIDE = 64
_PATCH = 16
_CANVAS = 2 * _SIDE
_PATCHES = (_CANVAS // _PATCH) ** 2
_VOCABULARY = 2048
_WORDS = 16
_IMAGE_TOKEN = _VOCABULARY - 1
_WIDTH = 64
_EPOCHS = 10
_BATCH = 32
_RATE = 1e-3
_POINTWISE = 0.5


def concatenated(learned: Part, held: Part) -> Forecast:
    """Learn from pairs laid side by side, in a random order each epoch."""
    if learned.pictures is None or held.pictures is None:
        raise ValueError("pictures are needed")
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = _Net()
        _fit(net, learned, learned.pictures)
        net.eval()
        table = held.table
        left = _predict(net, held, held.pictures, table.chosen, table.rejected)
        right = 1 - _predict(net, held, held.pictures, table.rejected, table.chosen)
    return turn_sides(held.table, left, right)


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sizes: dict[str, Any] = {
            "hidden_size": _WIDTH,
            "intermediate_size": 2 * _WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        }
        config = LlavaConfig(
            vision_config=CLIPVisionConfig(**sizes, image_size=_CANVAS, patch_size=_PATCH),
            text_config=LlamaConfig(
                **sizes, vocab_size=_VOCABULARY, max_position_embeddings=_PATCHES + _WORDS + 1
            ),
            image_token_index=_IMAGE_TOKEN,
            vision_feature_layer=-1,
        )
        self.model = LlavaModel(config)
        self.readout = nn.Linear(_WIDTH, 4)

    def forward(self, ids: Tensor, canvas: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of left and right (N, 2) and both click rates (N, 2)."""
        seen = self.model(input_ids=ids, pixel_values=canvas, use_cache=False).last_hidden_state
        told = self.readout(seen[:, -1])
        return told[:, :2], told[:, 2:]


def _ids(part: Part) -> Tensor:
    """Return the patches' places and the product's hashed words of each item (M, T)."""
    items = part.table.items
    told = [describe_product(item.title, item.category, item.attributes) for item in items]
    words = word_ids(told, words=_WORDS, parts=1, buckets=_IMAGE_TOKEN)[:, :, 0]
    image = np.full((len(told), _PATCHES), _IMAGE_TOKEN)
    return torch.from_numpy(np.concatenate([image, words], axis=1))


def _canvas(
    pictures: NDArray[np.uint8], left: NDArray[np.int64], right: NDArray[np.int64]
) -> Tensor:
    """Lay N pairs of pictures side by side on a grey square (N, 3, 128, 128)."""
    both = torch.zeros(len(left), 3, _CANVAS, _CANVAS)
    rows = slice(_SIDE // 2, _SIDE // 2 + _SIDE)
    for start, side in ((0, left), (_SIDE, right)):
        chosen = torch.from_numpy(pictures[side]).permute(0, 3, 1, 2).float() / 127.5 - 1
        sized = functional.interpolate(chosen, (_SIDE, _SIDE), mode="area")
        both[:, :, rows, start : start + _SIDE] = sized
    return both


def _rates(table: PairTable) -> Tensor:
    """Return click rates around their mean in its units (M), so that both losses have a scale."""
    rate = table.clicks / np.maximum(table.impressions, 1)
    return torch.from_numpy((rate - rate.mean()) / max(rate.std(), 1e-9)).float()


def _fit(net: _Net, part: Part, pictures: NDArray[np.uint8]) -> None:
    table, ids, rates = part.table, _ids(part), _rates(part.table)
    label = torch.from_numpy(np.stack([table.p_win, 1 - table.p_win], axis=1)).float()
    weight = torch.from_numpy(table.weight / max(table.weight.mean(), 1e-12)).float()
    optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.05)
    draw = np.random.default_rng(0)
    for _ in range(_EPOCHS):
        order = draw.permutation(len(table))
        for at in range(0, len(order), _BATCH):
            rows = order[at : at + _BATCH]
            turned = draw.random(len(rows)) < 0.5
            left = np.where(turned, table.rejected[rows], table.chosen[rows])
            right = np.where(turned, table.chosen[rows], table.rejected[rows])
            logits, told = net(ids[left], _canvas(pictures, left, right))
            wanted = torch.where(
                torch.from_numpy(turned)[:, None], label[rows].flip(1), label[rows]
            )
            each = functional.cross_entropy(logits, wanted, reduction="none")
            seen = torch.stack([rates[left], rates[right]], 1)
            loss = (weight[rows] * each).mean() + _POINTWISE * functional.mse_loss(told, seen)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()


@torch.no_grad()
def _predict(
    net: _Net,
    part: Part,
    pictures: NDArray[np.uint8],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the probability that the left one wins, P."""
    ids, found = _ids(part), []
    for at in range(0, len(left), 128):
        one, other = left[at : at + 128], right[at : at + 128]
        logits, _ = net(ids[one], _canvas(pictures, one, other))
        found.append(functional.softmax(logits, 1)[:, 0])
    return torch.cat(found).double().numpy()
