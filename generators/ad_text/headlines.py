"""Which of two English texts more people would click, learned from real tests of headlines.

A carried BERT-class encoder (all-MiniLM-L6-v2) reads a text; a linear head scores what it read. The
head is learned from pairs of headlines that ran against each other over the same picture (Upworthy
Research Archive; Matias et al., Scientific Data 2021, doi:10.1038/s41597-021-00934-7, CC BY 4.0) as
a Bradley-Terry model with soft labels. They were headlines of a news site: take the score as a
second opinion about advertisements, and as nothing about other languages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.optimize import minimize
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, ndtr
from transformers import AutoModel, AutoTokenizer

from abplatform.checkpoints.carried import carried_file, how_to_install
from abplatform.checkpoints.pretrained import check_folder
from abplatform.checkpoints.quiet import quietly
from abplatform.errors import CheckpointError
from generators.arrays import Plane
from generators.weights import embedded

__all__ = [
    "Headlines",
    "Pairs",
    "TextEncoder",
    "learn_headlines",
    "open_headlines",
    "open_text_encoder",
    "read_pairs",
]

ENCODER: Final = "all-minilm-l6-v2"
_ENCODER_FOLDER: Final = "c4a57a7f2011f2562b4fb34246d45976f6bb611ae1810569e0bd235637e8475f"
"""Hash of the encoder's folder: its weights with its tokenizer and configuration."""
_BLOCKS: Final = 4
"""Blocks of the encoder that read: what is clicked is found more easily before its last two."""

_LONGEST = 64
_BATCH = 64
_FAULTY_WEEKS: Final = (201325, 201402)
"""From week to week, assignment was not random there (the archive's own notice)."""
_SIGNIFICANT: Final = 1.96
_PENALTY = 1.0
WEIGHTS_FILE: Final = "model.safetensors"


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """A BERT-class encoder of texts.

    Args:
        model: In evaluation mode.
        tokenizer: Its tokenizer.
    """

    model: Any
    tokenizer: Any

    @torch.no_grad()
    def encode(
        self, texts: Sequence[str], *, advance: Callable[[int, int], None] | None = None
    ) -> Plane:
        """Return the mean of each text's word vectors, of length 1: texts x 384, float32.

        Args:
            texts: Texts; what is beyond 64 tokens is not read.
            advance: Told how many are done, of how many.
        """
        rows = np.empty((len(texts), self.model.config.hidden_size), np.float32)
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        for first in range(0, len(texts), _BATCH):
            chosen = order[first : first + _BATCH]
            told = self.tokenizer(
                [texts[number] for number in chosen],
                padding=True,
                truncation=True,
                max_length=_LONGEST,
                return_tensors="pt",
            )
            words = self.model(**told).last_hidden_state
            there = told["attention_mask"][..., None]
            mean = (words * there).sum(dim=1) / there.sum(dim=1)
            rows[chosen] = torch.nn.functional.normalize(mean, dim=1).numpy()
            if advance is not None:
                advance(min(first + _BATCH, len(texts)), len(texts))
        return rows


@dataclass(frozen=True, slots=True)
class Headlines:
    """Scores texts by what people clicked.

    Args:
        encoder: Reads them.
        weights: One for each number that it reads.
    """

    encoder: TextEncoder
    weights: Plane

    def score(self, texts: Sequence[str]) -> Plane:
        """Return a score for each text; sigmoid(score - other score) is the chance to win."""
        return np.asarray(self.encoder.encode(texts) @ self.weights)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Headlines of one test over the same picture, two and two.

    Args:
        first: Headlines.
        second: The headlines that ran against them.
        z: By how many standard errors the first had the higher rate of clicks.
        group: Number of the connected component of tests that share a headline.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    z: Plane
    group: NDArray[np.int64]

    def split(self, held: float = 0.2, *, seed: int = 1) -> tuple[Pairs, Pairs]:
        """Part whole components at random: what is learned from, and about ``held`` of the pairs.

        The embedded head was learned from the first part as it comes without arguments.
        """
        chosen = np.random.default_rng(seed).random(int(self.group.max()) + 1) < held
        return self._where(~chosen[self.group]), self._where(chosen[self.group])

    def significant(self) -> Pairs:
        """Return those in which one side has won by |z| > 1.96."""
        return self._where(np.abs(self.z) > _SIGNIFICANT)

    def _where(self, mask: NDArray[np.bool_]) -> Pairs:
        kept = np.flatnonzero(mask)
        return Pairs(
            tuple(self.first[n] for n in kept),
            tuple(self.second[n] for n in kept),
            self.z[kept],
            self.group[kept],
        )


def open_text_encoder() -> TextEncoder:
    """Open the carried encoder.

    Raises:
        CheckpointError: Its package is not installed, or its files are not those that are known.
    """
    path = carried_file(ENCODER)
    if path is None:
        raise CheckpointError(f"{ENCODER} is not installed", remedy=how_to_install(ENCODER))
    folder = check_folder(path.parent, sha256=_ENCODER_FOLDER).folder
    with quietly():
        model = AutoModel.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, num_hidden_layers=_BLOCKS
        )
        tokenizer = AutoTokenizer.from_pretrained(folder)
    return TextEncoder(model.train(mode=False), tokenizer)


@cache
def open_headlines() -> Headlines:
    """Open the scorer: the carried encoder and the embedded head.

    Raises:
        CheckpointError: One of them is missing or damaged.
    """
    head = load_file(embedded("headlines").folder / WEIGHTS_FILE)["weights"]
    return Headlines(open_text_encoder(), head.astype(np.float32))


def read_pairs(path: Path) -> Pairs:
    """Read pairs of headlines from the archive's table of packages (Parquet).

    Args:
        path: With ``clickability_test_id``, ``headline``, ``eyecatcher_id``, ``impressions``,
            ``clicks`` and ``test_week``; weeks with a known fault of randomisation are left out.
    """
    low, high = _FAULTY_WEEKS
    packages = (
        pl.read_parquet(path)
        .filter(~pl.col("test_week").is_between(low, high), pl.col("impressions") > 0)
        .group_by("clickability_test_id", "eyecatcher_id", "headline", maintain_order=True)
        .agg(pl.col("impressions", "clicks").sum())
        .with_row_index("row")
    )
    both = packages.join(packages, on=["clickability_test_id", "eyecatcher_id"], suffix="_other")
    both = both.filter(pl.col("row") < pl.col("row_other")).sort("row", "row_other")
    # pooled two-proportion z: aggregates tell nothing of users
    n, m = both["impressions"].to_numpy(), both["impressions_other"].to_numpy()
    k, j = both["clicks"].to_numpy(), both["clicks_other"].to_numpy()
    pooled = (k + j) / (n + m)
    error = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / n + 1 / m))
    groups = _components(packages)
    return Pairs(
        tuple(both["headline"]),
        tuple(both["headline_other"]),
        (k / n - j / m) / error,
        groups[both["row"].to_numpy()],
    )


def learn_headlines(
    folder: Path,
    pairs: Pairs,
    *,
    advance: Callable[[int, int], None] | None = None,
) -> Headlines:
    """Learn the head and save it (fp16 safetensors); the same pairs give the same.

    Each pair's label is the chance that its first headline has the higher rate, Φ(z), and it
    counts (2p - 1)², so that undecided pairs say little.

    Args:
        folder: Where to.
        pairs: What is learned from.
        advance: Told how many headlines are read, of how many.

    Returns:
        The scorer that was saved.
    """
    encoder = open_text_encoder()
    texts = sorted({*pairs.first, *pairs.second})
    place = {text: number for number, text in enumerate(texts)}
    read = encoder.encode(texts, advance=advance).astype(np.float64)
    first, second = ([place[text] for text in side] for side in (pairs.first, pairs.second))
    gap = read[first] - read[second]
    label = ndtr(pairs.z)
    count = (2.0 * label - 1.0) ** 2

    def loss(weights: Plane) -> tuple[float, Plane]:
        margin = gap @ weights
        value = (count * (np.logaddexp(0, margin) - label * margin)).sum()
        slope = gap.T @ (count * (expit(margin) - label)) + _PENALTY * weights
        return float(value + 0.5 * _PENALTY * weights @ weights), slope

    found = minimize(loss, np.zeros(gap.shape[1]), jac=True, method="L-BFGS-B").x
    head = found.astype(np.float16)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weights": head}, folder / WEIGHTS_FILE)
    note = {
        "encoder": ENCODER,
        "blocks": _BLOCKS,
        "pairs": len(pairs.z),
        "data": "Upworthy Research Archive, CC BY 4.0, doi:10.1038/s41597-021-00934-7",
    }
    (folder / "config.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    return Headlines(encoder, head.astype(np.float32))


def _components(packages: pl.DataFrame) -> NDArray[np.int64]:
    """Number the connected components of tests that share a headline, for each package."""
    tests = packages["clickability_test_id"].rank("dense").to_numpy().astype(np.int64) - 1
    texts = packages["headline"].rank("dense").to_numpy().astype(np.int64) - 1
    size = int(tests.max()) + int(texts.max()) + 2
    ones = np.ones(len(tests), np.int8)
    graph = coo_matrix((ones, (tests, int(tests.max()) + 1 + texts)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][tests], np.int64)
