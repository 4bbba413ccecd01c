"""What a reward model must beat, trained on the same pairs and judged on the same held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from abplatform.checkpoints.carried import is_carried
from abplatform.errors import TrainingError
from reward.baselines import colour_histogram, fit_logistic, predict_logistic
from reward.evaluate import Forecast
from reward.fit import HASHED
from reward.rivals.asked import Judge, open_judge
from reward.rivals.boosted import boosted
from reward.rivals.concat import concatenated
from reward.rivals.contest import (
    Part,
    Rival,
    Standing,
    compare,
    hold_out,
    repeat_forecast,
    scores_to_forecast,
)
from reward.rivals.detected import can_detect, detected_looks
from reward.rivals.looks import picture_looks, text_looks
from reward.rivals.trained import fine_tuned, guessed, texts_only, trained
from reward.rivals.visual import visual_prior
from reward.sentences import MINILM, SentenceEncoder, open_pretrained_text, piece_ids
from reward.vision import EFFICIENTNET

__all__ = [
    "READ",
    "RIVALS",
    "Judge",
    "Part",
    "Standing",
    "choose_rivals",
    "compare",
    "detected_looks",
    "guessed",
    "hold_out",
    "open_judge",
    "repeat_forecast",
]

READ: Final = "hand-picture-read"
"""The rival that reads pictures as they are, ``detected_looks``."""

_BLOCK = 4
_LENGTH = 10.0
_RIDGE = 300.0
_RIDGE_STANDARD = 3.0
_HUNDRED = 100


def _chance(_learned: Part, held: Part) -> Forecast:
    """Both sides alike. A majority vote is the same: neither side of a pair is the first."""
    return scores_to_forecast(np.zeros(len(held.table.items)), held.table)


def _longer(_learned: Part, held: Part) -> Forecast:
    """The longer text wins."""
    length = np.array([len(item.text) for item in held.table.items])
    return scores_to_forecast(length / _HUNDRED, held.table)


def _logistic(look: Callable[[Part], NDArray[np.float64]], *, ridge: float | None = None) -> Rival:
    """A logistic regression on differences of what ``look`` sees, standardised without ridge."""

    def rival(learned: Part, held: Part) -> Forecast:
        seen, new = look(learned), look(held)
        if ridge is None:
            centre, scale = seen.mean(0), seen.std(0) + 1e-9
            seen, new = (seen - centre) / scale, (new - centre) / scale
        beta = fit_logistic(seen, learned.table, ridge=_RIDGE_STANDARD if ridge is None else ridge)
        there = predict_logistic(beta, new, held.table)
        return Forecast(there, there)

    return rival


def _histogram(part: Part) -> NDArray[np.float64]:
    return colour_histogram(_pictures(part))


def _picture_looks(part: Part) -> NDArray[np.float64]:
    return picture_looks(_pictures(part))


def _detected(part: Part) -> NDArray[np.float64]:
    return np.concatenate([_picture_looks(part), detected_looks(part)], axis=1)


def _text_looks(part: Part) -> NDArray[np.float64]:
    return text_looks(part.table.items)


def _sentences(part: Part) -> NDArray[np.float64]:
    """Return what the carried encoder's fourth block makes of texts, untouched, M x 384."""
    found = open_pretrained_text(MINILM, layers=_BLOCK)
    encoder = SentenceEncoder(found.config)
    encoder.transformer.load_state_dict(found.weights)
    encoder.train(mode=False)
    texts = [item.text for item in part.table.items]
    ids = piece_ids(texts, found.tokenizer, found.config, longest=64)
    with torch.no_grad():
        mean = torch.cat([encoder(some)[0].sum(1) for some in torch.split(ids, 512)])
    return _LENGTH * torch.nn.functional.normalize(mean, dim=1).double().numpy()


def _pictures(part: Part) -> NDArray[np.uint8]:
    if part.pictures is None:
        raise TrainingError(
            "this model reads pictures and there are none", remedy="name their folder with --images"
        )
    return part.pictures


@dataclass(frozen=True, slots=True)
class _Entry:
    """A rival and what it needs.

    Args:
        learn: It.
        images: Whether it reads pictures.
        texts: Whether it reads ad texts.
        installed: Whether the packages that it needs are there.
        only_named: Whether it runs only when named: another training of the reward model, or slow.
    """

    learn: Rival
    images: bool = False
    texts: bool = False
    installed: Callable[[], bool] = lambda: True
    only_named: bool = False

    def fits(self, part: Part) -> bool:
        """Whether these pairs have what it needs."""
        return (
            (not self.images or part.pictures is not None)
            and (not self.texts or part.table.has_texts)
            and self.installed()
        )


RIVALS: Final[Mapping[str, _Entry]] = {
    "reward": _Entry(trained()),
    "reward-marginal": _Entry(trained(loss="marginal"), only_named=True),
    "reward-difference": _Entry(trained(loss="difference"), only_named=True),
    "reward-words": _Entry(trained(text_encoder=HASHED), texts=True, only_named=True),
    "fine-tuned-encoder": _Entry(
        fine_tuned, texts=True, installed=lambda: is_carried(MINILM), only_named=True
    ),
    "reward-augmented": _Entry(trained(augment=True), images=True, only_named=True),
    "reward-efficientnet": _Entry(
        trained(picture_encoder=EFFICIENTNET),
        images=True,
        installed=lambda: is_carried(EFFICIENTNET),
        only_named=True,
    ),
    "texts-only": _Entry(texts_only, images=True, texts=True),
    "frozen-encoder": _Entry(
        _logistic(_sentences, ridge=_RIDGE), texts=True, installed=lambda: is_carried(MINILM)
    ),
    "caig-concat": _Entry(concatenated, images=True),
    "visual-prior": _Entry(visual_prior, images=True),
    "boosted": _Entry(boosted),
    "hand-picture": _Entry(_logistic(_picture_looks), images=True),
    READ: _Entry(_logistic(_detected), images=True, installed=can_detect, only_named=True),
    "hand-text": _Entry(_logistic(_text_looks), texts=True),
    "colour-histogram": _Entry(_logistic(_histogram, ridge=_RIDGE_STANDARD), images=True),
    "longer": _Entry(_longer, texts=True),
    "chance": _Entry(_chance),
}
"""Name to rival; the first is what the others are held against."""


def choose_rivals(part: Part, names: Sequence[str] = ()) -> dict[str, Rival]:
    """Return the rivals that these pairs allow, or those that are named.

    Raises:
        TrainingError: A named one needs pictures, texts or an encoder that is not there.
    """
    for name in names:
        if not RIVALS[name].fits(part):
            raise TrainingError(
                f"the model {name!r} needs what these pairs don't have",
                remedy="name the pictures' folder with --images, take pairs with ad texts, or "
                "install the carried models (carriers.txt) or `pip install abplatform[ocr]`",
            )
    chosen = names or [
        name for name, entry in RIVALS.items() if entry.fits(part) and not entry.only_named
    ]
    return {name: RIVALS[name].learn for name in chosen}
