"""How a training goes, for TensorBoard: one run for each net, one point for each epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["Curves"]


class Curves:
    """The curves of one net.

    Args:
        folder: What `tensorboard --logdir` is given; None draws nothing.
        net: The net's number, from 0.
    """

    def __init__(self, folder: Path | None, net: int) -> None:
        self._folder = folder
        self._net = net
        self._writer: Any = None

    def draw(self, epoch: int, values: dict[str, float]) -> None:
        """Add a finished epoch, from 1; what is drawn survives a kill.

        Args:
            epoch: Its number.
            values: Name to value, such as a mean loss.
        """
        if self._folder is None:
            return
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # heavy, and seldom asked for

            self._writer = SummaryWriter(str(self._folder / f"net-{self._net + 1}"))
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
