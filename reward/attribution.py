"""What moved a score: regions of a picture and words of a text.

Pictures: integrated gradients (Sundararajan et al. 2017) from a plain picture of the mean colour to
the picture itself, summed over regions; together they are the difference of both scores, so nothing
is left unexplained. Texts: what the score loses when a word is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from abplatform.errors import TrainingError
from reward.dataset import Item, PairTable
from reward.inputs import Inputs
from reward.model import RewardModel
from reward.resume import one_thread
from reward.score import RewardScorer

__all__ = ["Attribution", "Explained", "attribute", "explain"]

Floats = NDArray[np.float64]

_STEPS = 64
_REGIONS = 8
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """Why one creative has its score.

    Args:
        score: s, a logit.
        plain: s of the same creative with a plain picture of its mean colour; None without one.
        regions: What each region of the picture adds to s, 8 x 8, rows from the top; together
            ``score - plain``. None without a picture.
        words: Each word of the ad text and what s loses without it.
    """

    score: float
    plain: float | None
    regions: Floats | None
    words: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """A pair, and why each side has its score; the side that the log prefers first.

    Args:
        items: Both creatives.
        pictures: Both pictures, size x size x 3; None without.
        attributions: Of both.
        p_chosen: The model's probability that the first one is better.
        p_win: That of the log.
    """

    items: tuple[Item, Item]
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None
    attributions: tuple[Attribution, Attribution]
    p_chosen: float
    p_win: float


def explain(
    scorer: RewardScorer, table: PairTable, pictures: NDArray[np.uint8] | None, *, count: int
) -> list[Explained]:
    """Explain the clearest pairs: half of them rightly judged, half wrongly, as far as there are.

    Args:
        scorer: The model.
        table: P pairs over M items.
        pictures: M x size x size x 3, or None.
        count: How many pairs.
    """
    p_chosen = scorer.predict(table, pictures)
    known = np.abs(table.p_win - 0.5)
    surprise = known * np.sign(p_chosen - 0.5) * np.sign(table.p_win - 0.5)
    order = np.argsort(surprise, kind="stable")
    wrong = [int(row) for row in order if surprise[row] < 0][: count // 2]
    right = [int(row) for row in order[::-1] if surprise[row] > 0][: count - len(wrong)]
    return [_explain(scorer, table, pictures, row, float(p_chosen[row])) for row in right + wrong]


def _explain(
    scorer: RewardScorer,
    table: PairTable,
    pictures: NDArray[np.uint8] | None,
    row: int,
    p_chosen: float,
) -> Explained:
    one, other = int(table.chosen[row]), int(table.rejected[row])
    both = None if pictures is None else (pictures[one], pictures[other])
    return Explained(
        items=(table.items[one], table.items[other]),
        pictures=both,
        attributions=(
            attribute(scorer, table.items[one], both and both[0]),
            attribute(scorer, table.items[other], both and both[1]),
        ),
        p_chosen=p_chosen,
        p_win=float(table.p_win[row]),
    )


def attribute(scorer: RewardScorer, item: Item, picture: NDArray[np.uint8] | None) -> Attribution:
    """Explain the score of one creative.

    Args:
        scorer: The model.
        item: The creative.
        picture: size x size x 3, or None for a model of texts.

    Raises:
        TrainingError: The model reads pictures and is in int8.
    """
    pictures = None if picture is None else picture[None]
    score = float(scorer.score_items([item], pictures)[0])
    words = _leave_out(scorer, item, pictures, score) if scorer.reads_texts else ()
    if picture is None or not scorer.reads_images:
        return Attribution(score, None, None, words)
    plain, pixels = _integrate(scorer, item, picture)
    side = len(pixels) // _REGIONS
    blocks = pixels[: side * _REGIONS, : side * _REGIONS].reshape(_REGIONS, side, _REGIONS, side)
    return Attribution(score, plain, blocks.sum((1, 3)), words)


def _integrate(
    scorer: RewardScorer, item: Item, picture: NDArray[np.uint8]
) -> tuple[float, Floats]:
    """Return the plain picture's score and what each pixel adds, H x W."""
    model = scorer.model
    if not isinstance(model, RewardModel):
        raise TrainingError(
            "a model in int8 tells no slopes, so nothing says what its pixels add",
            remedy="explain the model that it was made from",
        )
    inputs = Inputs.of([item], picture[None], model.config, model.tokenizer)
    batch = inputs.batch(np.zeros(_STEPS, dtype=np.int64))
    assert batch.pictures is not None  # noqa: S101  # the model reads pictures
    full = batch.pictures[:1]
    plain = full.mean((2, 3), keepdim=True).expand_as(full)
    # the middle of each step, which makes the sum right to the second order
    along = ((torch.arange(_STEPS) + 0.5) / _STEPS).reshape(-1, 1, 1, 1)
    path = (plain + along * (full - plain)).requires_grad_()
    with one_thread(), torch.enable_grad():
        score, _ = model(replace(batch, pictures=path))
        (slope,) = torch.autograd.grad(score.sum(), path)
        start, _ = model(replace(inputs.batch(np.zeros(1, dtype=np.int64)), pictures=plain))
    added: Tensor = (slope.mean(0) * (full - plain)[0]).sum(0)
    return float(start.detach()[0]), added.double().numpy()


def _leave_out(
    scorer: RewardScorer, item: Item, pictures: NDArray[np.uint8] | None, score: float
) -> tuple[tuple[str, float], ...]:
    places = [found.span() for found in _WORD.finditer(item.text)]
    if len(places) < 2:  # without its only word there is no text
        return tuple((item.text[start:end], 0.0) for start, end in places)
    shorter = [
        replace(item, text=(item.text[:start] + item.text[end:]).strip()) for start, end in places
    ]
    every = None if pictures is None else np.repeat(pictures, len(shorter), axis=0)
    without: Sequence[float] = scorer.score_items(shorter, every).tolist()
    return tuple(
        (item.text[start:end], score - other)
        for (start, end), other in zip(places, without, strict=True)
    )
