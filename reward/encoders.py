"""Encoders of pictures and words: small transformers from a configuration, no hub.

Three views of a creative:

- ``Glance``: fixed colour, light and edge statistics over five regions of the picture. They hold
  what a person sees in the first moment, cost nothing to learn and work from a few dozen products.
- ``PictureEncoder``: a small ViT over patches, for what the glance misses.
- ``WordEncoder``: a small BERT over hashed words, for ad texts and product texts.

Measured in the simulated market (40 products and 400 pairs to learn from, 32 other products to
test on, mean of four markets), share of the noise ceiling reached: chance 0.67, colour-histogram
logistic 0.81, ViT without glance 0.86, glance without ViT 0.90, both 0.90. Accuracy on pairs whose
winner is certain (p_win of 0.975 or more): glance without ViT 0.89, both 0.92. A CNN in the ViT's
place did no better.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel, ViTConfig, ViTModel

from reward.words import PAD

__all__ = ["Glance", "PictureEncoder", "WordEncoder"]


class Glance(nn.Module):
    """Fixed statistics of a picture; nothing here is trained.

    Five channels (light, red to blue, green to magenta, saturation, edges) over six regions
    (middle, rim, top, bottom, between, all): means and deviations, then how the middle, where the
    product usually stands, differs from the four regions around it.
    """

    channels = 5
    regions = 6
    width = 2 * channels * regions + 4 + 8

    def __init__(self, size: int) -> None:
        super().__init__()
        axis = torch.linspace(-1, 1, size)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        rim = torch.maximum(x.abs(), y.abs()) > 0.75
        middle = (x.abs() < 0.35) & ((y - 0.1).abs() < 0.45)
        regions = [middle, rim, y < -0.4, y > 0.5, ~rim & ~middle, torch.ones_like(rim)]
        weights = torch.stack([region.float() / region.sum() for region in regions])
        self.region: Tensor
        self.register_buffer("region", weights.flatten(1), persistent=False)  # (R, H·W)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return (N, width) from pictures (N, 3, H, W) in 0 … 1."""
        seen = _opponent_channels(pictures).flatten(2)  # (N, C, H·W)
        mean = seen @ self.region.T  # (N, C, R)
        deviation = ((seen * seen) @ self.region.T - mean * mean).clamp_min(0).add(1e-6).sqrt()
        colour = mean[:, :3]
        distance = (colour[:, :, :1] - colour[:, :, 1:5]).pow(2).sum(1).add(1e-8).sqrt()  # (N, 4)
        harmony = 3 * mean[:, 1:3, :1] * mean[:, 1:3, 1:5]  # (N, 2, 4)
        parts = [mean.flatten(1), deviation.flatten(1), distance, harmony.flatten(1)]
        return torch.cat(parts, dim=1)


def _opponent_channels(pictures: Tensor) -> Tensor:
    """Return (N, 5, H, W): light, red to blue, green to magenta, saturation, edges."""
    red, green, blue = pictures.unbind(1)
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    high, low = pictures.amax(1), pictures.amin(1)
    across = functional.pad((light[:, :, 1:] - light[:, :, :-1]).abs(), (0, 1))
    down = functional.pad((light[:, 1:] - light[:, :-1]).abs(), (0, 0, 0, 1))
    saturation = (high - low) / (high + 0.05)
    green_magenta = green - (red + blue) / 2
    return torch.stack([light, red - blue, green_magenta, saturation, 3 * (across + down)], dim=1)


class PictureEncoder(nn.Module):
    """A small ViT: (N, 3, H, W) in 0 … 1 → patch tokens (N, T, width)."""

    def __init__(self, *, size: int, patch: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        config = ViTConfig(
            image_size=size,
            patch_size=patch,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=2 * width,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.vit = ViTModel(config, add_pooling_layer=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return one token for each patch; the class token is dropped."""
        tokens: Tensor = self.vit(pixel_values=4 * (pictures - 0.5)).last_hidden_state[:, 1:]
        return tokens


class WordEncoder(nn.Module):
    """A small BERT over hashed words: ids (N, W, G) → word tokens (N, W, width) and their mask."""

    def __init__(self, *, buckets: int, words: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        config = BertConfig(
            vocab_size=buckets,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=2 * width,
            max_position_embeddings=words,
            pad_token_id=PAD,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.bert = BertModel(config, add_pooling_layer=False)

    def embed(self, ids: Tensor) -> Tensor:
        """Return the mean embedding of a word's ids: (…, G) → (…, width)."""
        table = self.bert.embeddings.word_embeddings
        known = (ids != PAD).unsqueeze(-1)
        total = (table(ids) * known).sum(-2)
        mean: Tensor = total / known.sum(-2).clamp_min(1)
        return mean

    def forward(self, ids: Tensor, kind: int) -> tuple[Tensor, Tensor]:
        """Encode texts.

        Args:
            ids: (N, W, G).
            kind: 0 for product texts, 1 for ad texts.

        Returns:
            Tokens (N, W, width) and which of them are words (N, W). The first always counts as
            one, so that an empty text attends to something.
        """
        mask = (ids != PAD).any(-1)
        mask[:, 0] = True
        kinds = torch.full(ids.shape[:2], kind, dtype=torch.long, device=ids.device)
        output = self.bert(
            inputs_embeds=self.embed(ids), attention_mask=mask.long(), token_type_ids=kinds
        )
        tokens: Tensor = output.last_hidden_state
        return tokens, mask
