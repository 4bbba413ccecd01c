"""What people rejected teaches the inspector what not to show again.

One L2-regularised logistic regression for each reason (Hastie, Tibshirani and Friedman, The
Elements of Statistical Learning, 2nd ed., section 4.4) tells rejected pictures from kept ones by a
glance: colours and detail of a coarse grid. Rejections never reach the reward model, which learns
from clicks alone: what people will not show says nothing of what shoppers click.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from PIL import Image
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import mannwhitneyu

from abplatform.checkpoints import Checkpoint
from abplatform.errors import CheckpointError
from generators.arrays import Pixels, Plane, rgb_to_lab

__all__ = [
    "KIND",
    "LOOKS",
    "Dislike",
    "Picture",
    "Taste",
    "glance",
    "learn_dislike",
    "open_taste",
    "write_taste",
]

KIND: Final = "inspector"
"""The kind of its checkpoints."""
TASTE_FILE: Final = "taste.json"
LOOKS: Final = ("off-brand", "product-wrong", "culture", "ugly")
"""Reasons that can be seen; ``claim`` and ``legal`` are about words."""

LEAST_REJECTED: Final = 15
LEAST_KEPT: Final = 30
"""With fewer pictures nothing is learned."""
LEAST_AUC: Final = 0.75
"""With less, what was rejected has no common look."""
MOST_LOST: Final = 0.02
"""Share of kept pictures that may be refused, out of fold."""
FOLDS: Final = 5
_GRID = 6
_SIDE = 96
FEATURES: Final = 4 * _GRID**2
"""How many numbers a glance is."""
_PENALTY = 10.0


class Dislike(Struct, frozen=True):
    """One reason and how it is seen.

    Args:
        reason: Why people rejected such pictures.
        weights: Of the features of :func:`glance`, one each.
        intercept: Added to their sum; the sigmoid of that is the picture's score.
        threshold: The score from which a picture is refused.
        rejected: How many pictures people rejected for it.
        kept: From how many others they were told.
        auc: Out of fold, the chance that a rejected picture scores above a kept one.
        caught: Out of fold, the share of rejected pictures at or above the threshold.
    """

    reason: str
    weights: tuple[float, ...]
    intercept: float
    threshold: float
    rejected: int
    kept: int
    auc: float
    caught: float

    def score(self, features: Plane) -> Plane:
        """Return the score of each row of features, 0 … 1."""
        return np.asarray(expit(features @ np.array(self.weights) + self.intercept))


@dataclass(frozen=True, slots=True)
class Taste:
    """What is not to be shown again.

    Args:
        sha256: The checkpoint's name.
        dislikes: One for each reason that was learned.
    """

    sha256: str
    dislikes: tuple[Dislike, ...]

    def refuse(self, pixels: Pixels) -> tuple[str, ...]:
        """Return why a picture is refused, as ``looks_rejected:REASON``.

        Args:
            pixels: uint8, height x width x 3.
        """
        features = glance(pixels)
        return tuple(
            f"looks_rejected:{one.reason}"
            for one in self.dislikes
            if float(one.score(features)) >= one.threshold
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that people rejected or kept.

    Args:
        features: Of :func:`glance`.
        product_id: What it shows; pictures of one product are held out together.
    """

    features: Plane
    product_id: str


def glance(pixels: Pixels) -> Plane:
    """Return colour and detail of a coarse grid, 144 numbers of about the same size.

    Args:
        pixels: uint8, height x width x 3, of any shape.
    """
    small = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    lab = rgb_to_lab(np.asarray(small))
    blocks = lab.reshape(_GRID, _SIDE // _GRID, _GRID, _SIDE // _GRID, 3)
    colours = blocks.mean(axis=(1, 3)) / (30.0, 20.0, 20.0)
    detail = blocks[..., 0].std(axis=(1, 3)) / 10.0
    return np.concatenate([colours.ravel(), detail.ravel()])


def learn_dislike(
    reason: str, rejected: Sequence[Picture], kept: Sequence[Picture]
) -> Dislike | str:
    """Learn to tell rejected pictures from kept ones; the same pictures give the same.

    Args:
        reason: Why they were rejected.
        rejected: By people, for that reason.
        kept: That nobody rejected.

    Returns:
        What was learned, or in words why nothing was.
    """
    if len(rejected) < LEAST_REJECTED or len(kept) < LEAST_KEPT:
        return (
            f"too few: {len(rejected)} rejected (at least {LEAST_REJECTED}), "
            f"{len(kept)} kept (at least {LEAST_KEPT})"
        )
    features = np.array([picture.features for picture in (*rejected, *kept)])
    labels = np.arange(len(features)) < len(rejected)
    folds = _folds([picture.product_id for picture in (*rejected, *kept)])
    scores = np.zeros(len(features))
    for fold in range(FOLDS):
        held = folds == fold
        if not labels[~held].any() or labels[~held].all():
            return "all rejected pictures show one product"
        weights, intercept = _fit(features[~held], labels[~held])
        scores[held] = expit(features[held] @ weights + intercept)
    auc = float(mannwhitneyu(scores[labels], scores[~labels]).statistic)
    auc /= len(rejected) * len(kept)
    if auc < LEAST_AUC:
        return f"no common look: AUC {auc:.2f}, at least {LEAST_AUC}"
    threshold = float(np.nextafter(np.quantile(scores[~labels], 1 - MOST_LOST, method="higher"), 2))
    weights, intercept = _fit(features, labels)
    return Dislike(
        reason,
        tuple(weights.round(6).tolist()),
        round(intercept, 6),
        threshold,
        len(rejected),
        len(kept),
        round(auc, 4),
        round(float((scores[labels] >= threshold).mean()), 4),
    )


def open_taste(version: Checkpoint) -> Taste:
    """Read what was learned.

    Raises:
        CheckpointError: The file is not what this version writes.
    """
    path = version.folder / TASTE_FILE
    try:
        dislikes = msgspec.json.decode(path.read_bytes(), type=tuple[Dislike, ...])
    except (OSError, msgspec.DecodeError) as error:
        raise _unreadable(path, str(error)) from error
    if any(len(one.weights) != FEATURES for one in dislikes):
        raise _unreadable(path, f"its weights are not {FEATURES} for each reason")
    return Taste(version.sha256, dislikes)


def _unreadable(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"what the inspector learned cannot be read: {why}",
        path=path,
        remedy="learn it anew with `abp creatives learn`",
    )


def write_taste(folder: Path, dislikes: Sequence[Dislike]) -> Mapping[str, object]:
    """Write what was learned into a folder, ready to be saved as a checkpoint.

    Returns:
        The checkpoint's metadata.
    """
    (folder / TASTE_FILE).write_bytes(msgspec.json.encode(dislikes))
    return {"reasons": [one.reason for one in dislikes]}


def _folds(product_ids: Sequence[str]) -> Plane:
    """Hold out whole products, where there are enough of them; else single pictures."""
    names = sorted(set(product_ids))
    if len(names) < FOLDS:
        return np.arange(len(product_ids)) % FOLDS
    place = {name: number % FOLDS for number, name in enumerate(names)}
    return np.array([place[name] for name in product_ids])


def _fit(features: Plane, labels: Plane) -> tuple[Plane, float]:
    """Fit weights and intercept; both classes count alike."""
    middle = features.mean(axis=0)
    centred = features - middle
    signs = np.where(labels, 1.0, -1.0)
    share = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum()) * len(labels)

    def loss(both: Plane) -> tuple[float, Plane]:
        margins = signs * (centred @ both[:-1] + both[-1])
        slope = -share * signs * expit(-margins)
        value = float((share * np.logaddexp(0, -margins)).sum())
        value += 0.5 * _PENALTY * float(both[:-1] @ both[:-1])
        gradient = np.append(centred.T @ slope + _PENALTY * both[:-1], slope.sum())
        return value, gradient

    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B")
    weights = found.x[:-1]
    return weights, float(found.x[-1] - weights @ middle)
