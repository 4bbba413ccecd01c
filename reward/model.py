"""The reward model: which of two creatives of one product will people click?

Two branches read one representation f of a creative and its product:

- pair branch: P(A beats B) = sigmoid(s(A) - s(B)). It cannot depend on the order by construction,
  where CAIG (arXiv 2502.06823) lays both pictures side by side and asks a language model.
- pointwise branch: CTR = sigmoid(base rate of the category + g), fitted by the binomial likelihood
  of clicks in impressions. CAIG's squared error on raw CTR gives almost no gradient beside the
  cross-entropy.

Deviations from CAIG: no concatenated form; encoders are small and trained here; the product's text
joins through cross-attention of picture patches and ad words on it; the readout is one shared
vector plus a deviation for each category, which weight decay shrinks, so that a category with few
pairs keeps near what all categories like.

Ad texts are read as hashed words and pictures as patches, learned from nothing, or by pre-trained
encoders whose mean token goes to the readout directly, beside what the fusion makes of all tokens.
Each net fine-tunes an encoder of texts of its own; one of pictures stays as it was published, so
that all nets share it and it sees each picture once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from reward.encoders import Glance, PictureEncoder, WordEncoder
from reward.pictures import IMAGE_SIZE
from reward.sentences import PretrainedText, SentenceEncoder
from reward.vision import PretrainedVision, VisionEncoder
from reward.words import PAD, category_paths

__all__ = ["Batch", "RewardConfig", "RewardModel", "RewardNet"]

_MEAN_LENGTH = 10.0
"""Length of a mean token before the readout: near that of as many standard normals."""


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """The shape of a reward model.

    Args:
        images: Whether it reads pictures.
        texts: Whether it reads ad texts.
        categories: Categories of the pairs that it learned from, sorted; they and those above them
            have base rates of their own.
        members: Nets whose scores are averaged.
        image_size: Side of a picture in pixels.
        patch: Side of a ViT patch in pixels.
        width: Channels of every token (D).
        image_layers: Blocks of the ViT.
        text_layers: Blocks of the BERT.
        heads: Attention heads everywhere.
        words: Words read of each text (W).
        parts: Hashed ids of each word (G).
        buckets: Size of the hash table.
        dropout: Of the representation.
        text_encoder: Transformers configuration of the encoder of ad texts; None for hashed words.
        pieces: Word pieces that it reads of each text.
        picture_encoder: As ``VisionEncoder`` takes it; None for a small ViT of each net's own.
    """

    images: bool
    texts: bool
    categories: Sequence[str]
    members: int = 1
    image_size: int = IMAGE_SIZE
    patch: int = 16
    width: int = 64
    image_layers: int = 2
    text_layers: int = 1
    heads: int = 4
    words: int = 32
    parts: int = 8
    buckets: int = 4096
    dropout: float = 0.1
    text_encoder: Mapping[str, Any] | None = None
    pieces: int = 64
    picture_encoder: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """N items as the model reads them.

    Args:
        pictures: (N, 3, H, W) in 0 … 1, or None.
        seen: What a pre-trained encoder makes of them (N, T, W); None if there is none, or it has
            not looked yet.
        texts: Ids of ad texts, (N, W, G) hashed or (N, W) word pieces, or None.
        products: Ids of distinct product texts (Q, W, G).
        product: Which of them is each item's (N).
        tastes: Ids of each level of the category's path and of the audience segment (N, 5).
        base: Index of the category's base rate (N); 0 is the overall one.
    """

    pictures: Tensor | None
    seen: Tensor | None
    texts: Tensor | None
    products: Tensor
    product: Tensor
    tastes: Tensor
    base: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the same on a device."""
        return Batch(
            pictures=None if self.pictures is None else self.pictures.to(device),
            seen=None if self.seen is None else self.seen.to(device),
            texts=None if self.texts is None else self.texts.to(device),
            products=self.products.to(device),
            product=self.product.to(device),
            tastes=self.tastes.to(device),
            base=self.base.to(device),
        )


class RewardNet(nn.Module):
    """One net; see the module's docstring.

    Args:
        config: Its shape.
        seen: Channels of what the model's encoder of pictures sees (W); 0 if there is none.
    """

    def __init__(self, config: RewardConfig, seen: int = 0) -> None:
        super().__init__()
        self.config = config
        width, heads = config.width, config.heads
        self.words = WordEncoder(
            buckets=config.buckets,
            words=config.words,
            width=width,
            layers=config.text_layers,
            heads=heads,
        )
        glance = pretrained = 0
        if config.images:
            self.glance = Glance(config.image_size)
            glance = Glance.width
            self.centre = nn.Buffer(torch.zeros(glance))
            self.scale = nn.Buffer(torch.ones(glance))
        if config.images and config.picture_encoder is None:
            self.picture = PictureEncoder(
                size=config.image_size,
                patch=config.patch,
                width=width,
                layers=config.image_layers,
                heads=heads,
            )
        elif config.images:
            self.project_seen = nn.Linear(seen, width)
            pretrained += seen
        if config.text_encoder is not None:
            self.sentences = SentenceEncoder(config.text_encoder)
            self.project = nn.Linear(self.sentences.width, width)
            pretrained += self.sentences.width
        self.before = nn.LayerNorm(width)
        self.fusion = nn.MultiheadAttention(width, heads, batch_first=True)
        self.after = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        self.category = nn.Embedding(config.buckets, width, padding_idx=PAD)
        features = glance + pretrained + width
        self.shared = nn.Parameter(torch.empty(2, features))  # a row for each branch
        self.deviation = nn.Parameter(torch.zeros(2, width, features))
        self.base = nn.Parameter(torch.zeros(1 + len(category_paths(config.categories))))
        nn.init.normal_(self.shared, std=0.05)
        with torch.no_grad():
            self.shared[:, glance : glance + pretrained] = 0
        nn.init.normal_(self.category.weight, std=width**-0.5)

    @property
    def reads(self) -> SentenceEncoder | None:
        """The pre-trained encoder of texts, if it has one."""
        return None if self.config.text_encoder is None else self.sentences

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the pair score s (N) and the pointwise logit of the CTR (N).

        Args:
            batch: After :meth:`RewardModel.look`.
        """
        features = self._represent(batch)  # (N, F)
        levels = (batch.tastes != PAD).sum(1, keepdim=True).clamp_min(1)
        taste = self.category(batch.tastes).sum(1) / levels.sqrt()  # (N, D)
        readout = self.shared + torch.einsum("nd,bdf->nbf", taste, self.deviation)  # (N, 2, F)
        pair, point = (features.unsqueeze(1) * readout).sum(2).unbind(1)
        return pair, point + self.base[batch.base]

    def _represent(self, batch: Batch) -> Tensor:
        """Return f (N, F): glance and sentence beside the pooled, product-aware tokens."""
        told, words_told = self.words(batch.products, kind=0)  # (Q, W, D), (Q, W)
        product, known = told[batch.product], words_told[batch.product]  # (N, W, D), (N, W)
        tokens, masks, parts = [], [], []
        if batch.pictures is not None:
            seen = (self.glance(batch.pictures) - self.centre) / self.scale
            parts.append(0.3 * seen.clamp(-4, 4))
            patches = self._look(batch.pictures, batch.seen, parts)
            tokens.append(patches)
            masks.append(torch.ones(patches.shape[:2], dtype=torch.bool, device=patches.device))
        if batch.texts is not None:
            words, mask = self._read(batch.texts, parts)
            tokens.append(words)
            masks.append(mask)
        x, mask = torch.cat(tokens, 1), torch.cat(masks, 1)  # (N, T + W, D), (N, T + W)
        asked, _ = self.fusion(
            self.before(x), product, product, key_padding_mask=~known, need_weights=False
        )
        x = (x + asked) * mask.unsqueeze(-1)
        pooled = self.after(x.sum(1) / mask.sum(1, keepdim=True))
        return torch.cat([*parts, self.dropout(pooled)], 1)

    def _look(self, pictures: Tensor, seen: Tensor | None, parts: list[Tensor]) -> Tensor:
        """Return places of pictures (N, T, D); their mean joins the parts if it was pre-trained."""
        if seen is None:
            patches: Tensor = self.picture(pictures)
            return patches
        parts.append(_MEAN_LENGTH * nn.functional.normalize(seen.mean(1), dim=1))
        projected: Tensor = self.project_seen(seen)
        return projected

    def _read(self, texts: Tensor, parts: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return words of ad texts (N, W, D) and their mask; a sentence joins the parts."""
        if self.config.text_encoder is None:
            words: tuple[Tensor, Tensor] = self.words(texts, kind=1)
            return words
        pieces, mask = self.sentences(texts)
        mean = nn.functional.normalize(pieces.sum(1), dim=1)
        parts.append(_MEAN_LENGTH * mean)
        return self.project(pieces), mask


class RewardModel(nn.Module):
    """A few nets, their mean score and one temperature.

    Args:
        config: The shape of each net, and how many there are.
        tokenizer: Of its pre-trained encoder of texts, if it has one.
    """

    def __init__(self, config: RewardConfig, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        self.vision: VisionEncoder | None = None
        if config.images and config.picture_encoder is not None:
            self.vision = VisionEncoder(config.picture_encoder).requires_grad_(False)
            self.vision.train(mode=False)
        width = 0 if self.vision is None else self.vision.width
        self.members = nn.ModuleList([RewardNet(config, width) for _ in range(config.members)])
        self.temperature = nn.Buffer(torch.ones(()))

    @property
    def nets(self) -> list[RewardNet]:
        """The members."""
        return [net for net in self.members if isinstance(net, RewardNet)]

    def start_from(self, text: PretrainedText | None, vision: PretrainedVision | None) -> None:
        """Take over the weights of pre-trained encoders."""
        if vision is not None and self.vision is not None:
            # Rounded at once as they are kept, for what they see is learned from.
            rounded = {name: weight.half() for name, weight in vision.weights.items()}
            self.vision.body.load_state_dict(rounded)
        if text is not None:
            for net in self.nets:
                net.sentences.transformer.load_state_dict(text.weights)

    @torch.no_grad()
    def round_pretrained(self) -> None:
        """Round fine-tuned weights to half precision, as they are kept; the rest stays whole."""
        for net in self.nets:
            for weight in () if net.reads is None else net.reads.parameters():
                weight.copy_(weight.half())

    def look(self, batch: Batch) -> Batch:
        """Return a batch with what the encoder of pictures makes of them, if there is one."""
        if self.vision is None or batch.pictures is None or batch.seen is not None:
            return batch
        return replace(batch, seen=self.vision(batch.pictures))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the calibrated pair score (N) and the pointwise logit of the CTR (N).

        The sigmoid of a difference of pair scores is P(A beats B).
        """
        pair, point = self.each(batch)
        return pair.mean(0), point.mean(0)

    def each(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return every member's calibrated pair score and click logit, both (members, N)."""
        batch = self.look(batch)
        pair, point = zip(*(net(batch) for net in self.nets), strict=True)
        return torch.stack(pair) / self.temperature, torch.stack(point)

    @torch.no_grad()
    def standardise(self, pictures: Iterable[Tensor]) -> None:
        """Bring the glance to mean 0 and deviation 1 over pictures, given in portions."""
        seen = [self.nets[0].glance(part) for part in pictures]
        if not seen:
            return
        every = torch.cat(seen)
        for net in self.nets:
            net.centre.copy_(every.mean(0))
            net.scale.copy_(every.std(0, unbiased=False).clamp_min(1e-3))
