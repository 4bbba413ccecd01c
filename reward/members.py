"""The nets of a model, fitted one after the other or each in a process of its own.

A net's weights depend on the pairs, the seed and its number alone, so both ways give the same bits.
Processes are used instead of threads because every net adds up with one thread, in one order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save

from abplatform.errors import TrainingError
from reward.curves import Curves
from reward.dataset import PairTable, deal_folds, table_from_frame
from reward.fit import HASHED, PATCHES, Fit, TrainingConfig
from reward.inputs import Inputs
from reward.model import RewardConfig, RewardModel
from reward.resume import Progress, one_thread
from reward.sentences import open_pretrained_text
from reward.vision import open_pretrained_vision

__all__ = ["Members", "fit_members", "forget_progress"]

Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """A model before or after its nets are fitted.

    Args:
        model: With first weights until ``fits`` have gone.
        inputs: What they learn from.
        fits: One for each net.
        encoders: Name and sha256 of the pre-trained encoders of ``text`` and ``picture``; empty
            where there is none.
    """

    model: RewardModel
    inputs: Inputs
    fits: list[Fit]
    encoders: dict[str, dict[str, str]]

    @classmethod
    def of(
        cls,
        table: PairTable,
        pictures: NDArray[np.uint8] | None,
        config: TrainingConfig,
        *,
        seen: NDArray[np.float32] | None = None,
    ) -> Members:
        """Lay out a model's first weights and what it learns from; the same for the same seed.

        Args:
            table: P pairs over M items.
            pictures: M x H x W x 3, or None.
            config: How to train.
            seen: What the encoder of pictures has made of them already, M x T x W.

        Raises:
            CheckpointError: There is no such encoder, or it is refused.
            TrainingError: The model reads something that the items don't have.
        """
        text = vision = None
        if table.has_texts and config.text_encoder != HASHED:
            text = open_pretrained_text(config.text_encoder, layers=config.encoder_layers)
        if pictures is not None and config.picture_encoder != PATCHES:
            vision = open_pretrained_vision(config.picture_encoder)
        torch.manual_seed(config.seed)
        changes: dict[str, Any] = {**dict(config.shape), "image_size": config.image_size}
        shape = RewardConfig(
            images=pictures is not None,
            texts=table.has_texts,
            categories=sorted(set(table.categories) - {""}),
            members=config.members,
            text_encoder=None if text is None else text.config,
            picture_encoder=None if vision is None else vision.config,
            **changes,
        )
        model = RewardModel(shape, None if text is None else text.tokenizer)
        model.start_from(text, vision)
        inputs = Inputs.of(table.items, pictures, shape, model.tokenizer)
        model.standardise(inputs.every_picture())
        if model.vision is not None:
            model.vision.to(config.device)
        if seen is not None:
            inputs = replace(inputs, seen=torch.from_numpy(seen))
        elif model.vision is not None and not config.augment:
            inputs = inputs.look(model.vision)
        folds = deal_folds(table, count=config.folds, seed=config.seed)
        fits = [
            Fit(net, inputs, table, folds, number=number, config=config, look=model.look)
            for number, net in enumerate(model.nets)
        ]
        encoders = {
            kind: {} if found is None else {"name": found.name, "sha256": found.sha256}
            for kind, found in (("text", text), ("picture", vision))
        }
        return cls(model, inputs, fits, encoders)


def fit_members(
    table: PairTable,
    pictures: NDArray[np.uint8] | None,
    config: TrainingConfig,
    *,
    resume: Path | None,
    advance: Advance | None,
    workers: int,
    curves: Path | None,
) -> Members:
    """Fit every net, with the arguments of :func:`reward.train.train`."""
    members = Members.of(table, pictures, config)
    fits = members.fits
    meter = _Meter(advance, [fit.steps * config.epochs for fit in fits])
    if workers == 1 or len(fits) == 1:
        for number, fit in enumerate(fits):
            fit.go(_kept(resume, number), partial(meter.tell, number), Curves(curves, number))
        members.model.cpu()
        return members
    seen = None if members.inputs.seen is None else members.inputs.seen.numpy()
    job = _Job(table.frame, pictures, seen, config, resume, curves)
    for fit, progress in zip(fits, _side_by_side(job, len(fits), workers, meter), strict=True):
        fit.take(progress)
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
    seen: NDArray[np.float32] | None
    config: TrainingConfig
    resume: Path | None
    curves: Path | None


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


def _side_by_side(job: _Job, count: int, workers: int, meter: _Meter) -> list[Progress]:
    """Fit every net in a process of its own, ``workers`` at a time; return them in order."""
    context = get_context("spawn")
    waiting = list(range(count))
    running: dict[Connection, tuple[int, SpawnProcess]] = {}
    found: dict[int, Progress] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                ours, theirs = context.Pipe(duplex=False)
                number = waiting.pop(0)
                process = context.Process(target=_fit_elsewhere, args=(job, number, theirs))
                process.start()
                theirs.close()
                running[ours] = number, process
            for line in wait(list(running)):
                assert isinstance(line, Connection)  # noqa: S101  # nothing else is waited for
                number, process = running[line]
                told = _hear(line, number)
                if isinstance(told, int):
                    meter.tell(number, told)
                    continue
                found[number] = told
                process.join()
                del running[line]
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()
    return [found[number] for number in range(count)]


def _hear(line: Connection, number: int) -> int | Progress:
    """Return what a net's process tells: how many steps are done, or how far it has come."""
    try:
        told = line.recv()
    except EOFError as error:
        raise TrainingError(
            f"the process that trained net {number + 1} ended too early",
            remedy="see what it wrote above, and whether memory ran out; then train again, which"
            " goes on from here",
        ) from error
    if isinstance(told, int):
        return told
    epoch, losses, best_epoch, best = told
    return Progress(epoch, losses, best_epoch, load(best))


def _fit_elsewhere(job: _Job, number: int, line: Connection) -> None:
    """Fit one net in a process that ends with the one that asked for it."""
    Thread(target=_end_with_parent, daemon=True).start()
    with one_thread():
        table = table_from_frame(job.frame)
        members = Members.of(table, job.pictures, job.config, seen=job.seen)
        fit = members.fits[number]
        fit.go(_kept(job.resume, number), line.send, Curves(job.curves, number))
    made = fit.progress
    # as bytes: tensors would be handed over in shared memory, which ends with this process
    line.send((made.epoch, made.losses, made.best_epoch, save(made.best)))


def _end_with_parent() -> None:
    """A killed training must not go on in the dark."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _kept(resume: Path | None, number: int) -> Path | None:
    return resume.with_name(f"{resume.name}-{number}.safetensors") if resume else None
