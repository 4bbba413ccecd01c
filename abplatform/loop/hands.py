"""What a turn is handed: the parts that differ between simulated, landed and test weeks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from abplatform.loop.steps import Json
from abplatform.loop.weeks import IsoWeek
from abplatform.traffic.registry import RegisteredExperiment
from abplatform.workspace import Workspace

__all__ = ["Advance", "Brief", "Hand", "Hands"]


class Advance(Protocol):
    """Called as work goes on, with how much is done and how much there is."""

    def __call__(self, done: int, total: int) -> None:
        """Take note that ``done`` of ``total`` is done."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What a step may know.

    Args:
        workspace: Where the turn happens.
        week: Which week it is about.
        experiments: Those of the week, by key.
        champions: Kind of model to the sha256 of its champion when the turn began.
        results: Step to what it gave, for the steps that are done.
        advance: Told how far long work has come.
    """

    workspace: Workspace
    week: IsoWeek
    experiments: Mapping[str, RegisteredExperiment]
    champions: Mapping[str, str]
    results: Mapping[str, Json]
    advance: Advance


Hand = Callable[[Brief], Json]
"""Does one step and returns plain data; gives the same when part of it was done before."""


@dataclass(frozen=True, slots=True)
class Hands:
    """The callables of a turn.

    Args:
        generate: Draws the week's creatives. Gives ``creatives``: experiment to variant to
            product to creative ids.
        retrain: Trains a challenger on the pairs of earlier weeks. Gives ``checkpoint_sha256``,
            None when there is nothing to train on.
        gate: Judges champion and challenger on this week's pairs. Gives ``promote`` and
            ``reasons``.
        serve: Shows creatives for a week and lands what happened; None when the log comes from
            elsewhere.
        inputs: Step to plain data that its hand depends on besides earlier steps: seeds, sizes,
            hashes of catalogues.
        kind: Which kind of model is promoted.
    """

    generate: Hand
    retrain: Hand
    gate: Hand
    serve: Hand | None = None
    inputs: Mapping[str, Json] = field(default_factory=dict)
    kind: str = "reward"
