"""The nets of a model, fitted one after the other or each in a process of its own.

A net's weights depend on the pairs, the seed and its number alone, so both ways give the same bits.
Processes are used instead of threads because every net adds up with one thread, in one order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from reward.dataset import PairTable, deal_folds, table_from_frame
from reward.fit import HASHED, Fit, TrainingConfig
from reward.inputs import Inputs
from reward.model import RewardConfig, RewardModel
from reward.resume import Progress, one_thread
from reward.sentences import open_pretrained_text

__all__ = ["Members", "fit_members", "forget_progress"]

Advance = Callable[[int, int], None]

_PATIENCE_S = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """A model before or after its nets are fitted.

    Args:
        model: With first weights until ``fits`` have gone.
        fits: One for each net.
        encoder: Name and sha256 of the pre-trained encoder of texts; empty if there is none.
    """

    model: RewardModel
    fits: list[Fit]
    encoder: dict[str, str]

    @classmethod
    def of(
        cls, table: PairTable, pictures: NDArray[np.uint8] | None, config: TrainingConfig
    ) -> Members:
        """Lay out a model's first weights and what it learns from; the same for the same seed.

        Args:
            table: P pairs over M items.
            pictures: M x H x W x 3, or None.
            config: How to train.

        Raises:
            CheckpointError: There is no such encoder of texts, or it is refused.
            TrainingError: The model reads something that the items don't have.
        """
        text = None
        if table.has_texts and config.text_encoder != HASHED:
            text = open_pretrained_text(config.text_encoder, layers=config.encoder_layers)
        torch.manual_seed(config.seed)
        changes: dict[str, Any] = {**dict(config.shape), "image_size": config.image_size}
        shape = RewardConfig(
            images=pictures is not None,
            texts=table.has_texts,
            categories=sorted(set(table.categories) - {""}),
            members=config.members,
            text_encoder=None if text is None else text.config,
            **changes,
        )
        model = RewardModel(shape, None if text is None else text.tokenizer)
        if text is not None:
            model.start_from(text)
        inputs = Inputs.of(table.items, pictures, shape, model.tokenizer)
        model.standardise(inputs.every_picture())
        folds = deal_folds(table, count=config.folds, seed=config.seed)
        fits = [
            Fit(net, inputs, table, folds == number, config=config, seed=_seed(config, number))
            for number, net in enumerate(model.nets)
        ]
        encoder = {} if text is None else {"name": text.name, "sha256": text.sha256}
        return cls(model, fits, encoder)


def fit_members(
    table: PairTable,
    pictures: NDArray[np.uint8] | None,
    config: TrainingConfig,
    *,
    resume: Path | None,
    advance: Advance | None,
    workers: int,
) -> Members:
    """Fit every net, with the arguments of :func:`reward.train.train`."""
    members = Members.of(table, pictures, config)
    fits = members.fits
    meter = _Meter(advance, [fit.steps * config.epochs for fit in fits])
    if workers == 1 or len(fits) == 1:
        for number, fit in enumerate(fits):
            fit.go(_kept(resume, number), partial(meter.tell, number))
        return members
    context = get_context("spawn")
    told: Any = context.Manager()
    with told as manager:
        steps: Queue[tuple[int, int]] = manager.Queue()
        job = _Job(table.frame, pictures, config, resume, steps, os.getpid())
        with ProcessPoolExecutor(min(workers, len(fits)), mp_context=context) as pool:
            futures = [pool.submit(_fit_elsewhere, job, number) for number in range(len(fits))]
            _watch(futures, steps, meter)
            for fit, future in zip(fits, futures, strict=True):
                fit.take(future.result())
    return members


def forget_progress(resume: Path | None, config: TrainingConfig) -> None:
    """Remove the states that a finished training kept."""
    for number in range(config.members):
        if kept := _kept(resume, number):
            kept.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """What another process needs to fit a net."""

    frame: pl.DataFrame
    pictures: NDArray[np.uint8] | None
    config: TrainingConfig
    resume: Path | None
    steps: Queue[tuple[int, int]]
    parent: int


class _Meter:
    """Adds up the steps of all nets."""

    def __init__(self, advance: Advance | None, totals: list[int]) -> None:
        self._advance = advance
        self._done = [0] * len(totals)
        self._total = sum(totals)

    def tell(self, number: int, step: int) -> None:
        self._done[number] = step
        if self._advance:
            self._advance(sum(self._done), self._total)


def _fit_elsewhere(job: _Job, number: int) -> Progress:
    """Fit one net in a process that ends when the one that asked for it has ended."""

    def tell(step: int) -> None:
        if os.getppid() != job.parent:
            raise SystemExit(1)
        job.steps.put((number, step))

    with one_thread():
        members = Members.of(table_from_frame(job.frame), job.pictures, job.config)
        fit = members.fits[number]
        fit.go(_kept(job.resume, number), tell)
    return fit.progress


def _watch(futures: list[Future[Progress]], steps: Queue[tuple[int, int]], meter: _Meter) -> None:
    """Hand on what the processes tell until all have ended."""
    while True:
        is_over = all(future.done() for future in futures)
        try:
            meter.tell(*steps.get(timeout=_PATIENCE_S))
        except Empty:
            if is_over:
                return


def _seed(config: TrainingConfig, number: int) -> int:
    return 1000 * config.seed + number


def _kept(resume: Path | None, number: int) -> Path | None:
    return resume.with_name(f"{resume.name}-{number}.safetensors") if resume else None
