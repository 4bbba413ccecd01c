"""The state of a training between two epochs, kept in one safetensors file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from abplatform.durable import replace_durably

__all__ = ["Progress", "one_thread", "read_progress", "write_progress"]


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """How far a training is.

    Args:
        epoch: Finished epochs.
        losses: Validation loss after each.
        best_epoch: The epoch of the lowest loss, counted from 1.
        best: The weights then.
    """

    epoch: int
    losses: tuple[float, ...]
    best_epoch: int
    best: dict[str, Tensor]

    @classmethod
    def start(cls, model: nn.Module) -> Progress:
        """Return the state before the first epoch."""
        return cls(0, (), 0, _copy(model))

    def after(self, loss: float, model: nn.Module) -> Progress:
        """Return the state after one more epoch that ended with this validation loss."""
        is_better = not self.losses or loss < min(self.losses)
        return Progress(
            self.epoch + 1,
            (*self.losses, loss),
            self.epoch + 1 if is_better else self.best_epoch,
            _copy(model) if is_better else self.best,
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Add up in one order on every machine: with more threads, sums depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def write_progress(
    path: Path,
    name: str,
    progress: Progress,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Keep a training's state; ``name`` stands for its inputs."""
    tensors = {f"now.{key}": value for key, value in model.state_dict().items()}
    tensors |= {f"best.{key}": value for key, value in progress.best.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items()}
    facts = {
        "name": _digest(name),
        "progress": json.dumps([progress.epoch, progress.losses, progress.best_epoch]),
    }
    replace_durably(path, save({key: value.contiguous() for key, value in tensors.items()}, facts))


def read_progress(
    path: Path, name: str, model: nn.Module, optimizer: torch.optim.Optimizer
) -> Progress | None:
    """Bring model and optimizer to a kept state; None if there is none for these inputs."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            if facts.get("name") != _digest(name):
                return None
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no dict
    except (OSError, SafetensorError):
        return None
    model.load_state_dict(_under("now.", tensors))
    held = optimizer.state_dict()
    held["state"] = {
        index: _under(f"optimizer.{index}.", tensors)
        for index in sorted({int(key.split(".")[1]) for key in tensors if key[0] == "o"})
    }
    optimizer.load_state_dict(held)
    epoch, losses, best_epoch = json.loads(facts["progress"])
    return Progress(epoch, tuple(losses), best_epoch, _under("best.", tensors))


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in model.state_dict().items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
