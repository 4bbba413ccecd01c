"""Policies that are asked about: the platform's own, or beliefs about click rates from a file.

A file says what an experiment's ``policy`` may say, or it states beliefs:

    choose: thompson
    ranked: true            # position p shows the creative with the p-th highest draw
    category: all           # impressions of other categories are left out
    beta: {"0": [47, 12198], "1": [8, 3566]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from abplatform.domain import experiment as words
from abplatform.domain.spec.policy import POLICY
from abplatform.domain.targeting import Context
from abplatform.errors import AnalysisError, SpecError
from abplatform.stats.best import LEAST_PARAMETER, best_probabilities, rank_probabilities
from abplatform.traffic.policies import Policy, mixed_with_floor
from abplatform.yaml_text import read
from abplatform.yaml_text.lists import ListOf, MapOf
from abplatform.yaml_text.quantities import Number
from abplatform.yaml_text.shapes import Choice, Flag, Text
from abplatform.yaml_text.tables import Field, Table, in_one

__all__ = ["BelievedRates", "PolicyTarget", "Target", "read_target"]

_DRAWN_AT_ONCE = 1000


class Target(Protocol):
    """A policy that did not run, or not here."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def creatives(self) -> tuple[str, ...]:
        """Creatives that it may show besides those of the log."""

    def distribution(
        self, context: Context, eligible: tuple[str, ...], position: int | None
    ) -> tuple[float, ...]:
        """Return how likely each eligible creative is to be shown there; they sum to 1."""


@dataclass(frozen=True, slots=True)
class PolicyTarget:
    """One of the platform's policies with a floor; positions are chosen for one by one.

    Args:
        policy: The policy.
        floor: The share that is drawn uniformly.
    """

    policy: Policy
    floor: float = 0.0

    @property
    def name(self) -> str:
        """The policy's name."""
        return self.policy.name

    @property
    def creatives(self) -> tuple[str, ...]:
        """It shows what is eligible and nothing besides."""
        return ()

    def distribution(
        self, context: Context, eligible: tuple[str, ...], position: int | None
    ) -> tuple[float, ...]:
        """Return the policy's probabilities, floor included."""
        return mixed_with_floor(self.policy.distribution(context, eligible), self.floor)


@dataclass(frozen=True, slots=True, eq=False)
class BelievedRates:
    """Thompson sampling from Beta beliefs that a file states.

    Args:
        beta: Creative to (a, b).
        ranked: Whether the positions of a page show the highest draws in order.
        category: The only category that it knows; None for all.
        draws: How often to draw instead of integrating; None for exact probabilities.
        seed: Of ``numpy.random.default_rng`` when drawing.
        path: The file, for messages.
    """

    beta: Mapping[str, tuple[float, float]]
    ranked: bool = False
    category: str | None = None
    draws: int | None = None
    seed: int = 0
    path: Path | None = None
    name: str = field(default="thompson", init=False)

    @property
    def creatives(self) -> tuple[str, ...]:
        """All that it has a belief about, in the file's order."""
        return tuple(self.beta)

    def distribution(
        self, context: Context, eligible: tuple[str, ...], position: int | None
    ) -> tuple[float, ...]:
        """Return P(the creative's rate has the position's rank).

        Raises:
            AnalysisError: A creative without a belief, or a position that is no rank.
        """
        unknown = [creative for creative in eligible if creative not in self.beta]
        if unknown:
            raise AnalysisError(
                f"the policy believes nothing about creative {unknown[0]!r}",
                path=self.path,
                remedy="give it a line under beta, or ask about one --category",
            )
        if self.ranked and (position is None or not 1 <= position <= len(eligible)):
            raise AnalysisError(
                f"a ranked policy needs positions from 1 to {len(eligible)}, not {position}",
                path=self.path,
                remedy="write ranked: false where every position is chosen by itself",
            )
        rank = position if self.ranked and position is not None else 1
        # The beliefs' own order, so that a seed draws the same whatever the log's order.
        shown = set(eligible)
        names = tuple(name for name in self.beta if name in shown)
        beliefs = tuple(self.beta[name] for name in names)
        if self.draws is None:
            chances = _exact(beliefs, rank)
        else:
            chances = _drawn(beliefs, rank, self.draws, self.seed)
        by_name = dict(zip(names, chances, strict=True))
        return tuple(by_name[name] for name in eligible)


@lru_cache(maxsize=4096)
def _exact(beliefs: tuple[tuple[float, float], ...], rank: int) -> tuple[float, ...]:
    a, b = zip(*beliefs, strict=True)
    if rank == 1:
        return tuple(best_probabilities(a, b).tolist())
    return tuple(rank_probabilities(a, b, ranks=rank)[:, rank - 1].tolist())


@lru_cache(maxsize=4096)
def _drawn(
    beliefs: tuple[tuple[float, float], ...], rank: int, draws: int, seed: int
) -> tuple[float, ...]:
    a, b = np.array(beliefs, dtype=np.float64).T
    rng, counts = np.random.default_rng(seed), np.zeros(len(beliefs))
    for start in range(0, draws, _DRAWN_AT_ONCE):
        rates = rng.beta(a, b, size=(min(_DRAWN_AT_ONCE, draws - start), len(beliefs)))
        shown = np.argsort(rates, axis=1)[:, -rank]
        counts += np.bincount(shown, minlength=len(beliefs))
    return tuple((counts / draws).tolist())


_FILE = Table(
    make=BelievedRates,
    build=lambda **values: values,
    fields=(
        Field(
            "choose", Choice({"thompson": "the highest of one draw of every rate"}),
            "How it chooses.", required=True,
        ),
        Field("ranked", Flag(), "Whether position p shows the p-th highest draw."),
        Field("category", Text(), "The only category that it knows."),
        Field(
            "beta",
            MapOf(
                Text(max_length=1024),
                ListOf(Number(LEAST_PARAMETER, 1e15), min_items=2, max_items=2),
                min_items=1,
                max_items=100_000,
            ),
            "Creative to [a, b] of the Beta belief about its click rate.",
            required=True,
        ),
    ),
)  # fmt: skip


def read_target(
    path: Path,
    make: Callable[[words.Policy], Policy],
    *,
    draws: int | None = None,
    seed: int = 0,
) -> PolicyTarget | BelievedRates:
    """Read a file with a policy as in an experiment's YAML, or one of beliefs.

    Args:
        path: The file.
        make: Turns what the YAML says into the policy.
        draws: How often to draw from beliefs; None for exact probabilities.
        seed: Of the draws.

    Raises:
        SpecError: The file cannot be used; names line and column.
    """
    problems: list[SpecError] = []
    root = read(path)
    believes = isinstance(root.value, dict) and ("beta" in root.value or "ranked" in root.value)
    values = (_FILE if believes else POLICY).read(root, problems, name="")
    if problems:
        raise in_one(problems)
    if not believes:
        asked = words.Policy(**values)
        if bool(asked.rules) != (asked.choose == "rules"):
            raise root.error(
                "rules and `choose: rules` belong together",
                code="bad_value",
                remedy="write both or neither",
            )
        return PolicyTarget(make(asked), asked.floor)
    return BelievedRates(
        beta={str(name): (float(a), float(b)) for name, (a, b) in values["beta"].items()},
        ranked=values.get("ranked", False),
        category=values.get("category"),
        draws=draws,
        seed=seed,
        path=path,
    )
