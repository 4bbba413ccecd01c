"""Several processes that train one net together, as ``torchrun`` starts them.

Each takes its share of every batch, and gradients are averaged before each step (synchronous data
parallelism), so the weights are equal in all of them at any time. Only the first writes files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed

__all__ = ["average_gradients", "count", "join_ranks", "rank", "share_of"]


@contextmanager
def join_ranks() -> Iterator[None]:
    """Join the processes that ``torchrun`` started with this one; alone, do nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or distributed.is_initialized():
        yield
        return
    distributed.init_process_group("gloo")
    try:
        yield
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """Return this process's number, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def count() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def share_of(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return this process's part of a batch; the parts of all make the whole."""
    return rows[rank() :: count()]


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace every gradient by its mean over all processes."""
    if count() == 1:
        return
    grown = [one for one in parameters if one.requires_grad]
    # A process whose share touches no row of a table has no gradient there: that is zero.
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in grown]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    mean = torch.split(flat / count(), [one.numel() for one in grown])
    for one, gradient in zip(grown, mean, strict=True):
        one.grad = gradient.view_as(one)
