"""Creatives that people withdrew: rows of the journal that nothing takes back.

One row holds who withdrew what and why, the creatives that were meant with how they look, and the
phases that begin by it in experiments that showed one of them: same allocation, other pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from abplatform.creatives import (
    Selector,
    Withdrawn,
    is_near,
    perceptual_hash,
    read_lineage,
    read_master,
)
from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import State
from abplatform.errors import CatalogueError, RegistryError
from abplatform.traffic.journal import Journal, JournalRow, Pen
from abplatform.traffic.registry.ramps import next_phase
from abplatform.traffic.registry.replay import WITHDRAW, phase_facts, replay

__all__ = [
    "Order",
    "Withdrawal",
    "record_withdrawal",
    "refuse_withdrawn",
    "replay_withdrawals",
    "replay_withdrawn",
]


@dataclass(frozen=True, slots=True)
class _Meant:
    """One creative that a withdrawal means.

    Args:
        creative_id: Which one.
        product_id: What it advertises; None of one that only a log knows.
        perceptual_hash: How it looks, in 16 hex digits; None while nobody has read its picture.
        like: The withdrawn creative that it looks like; None where the selector itself means it.
    """

    creative_id: str
    product_id: str | None = None
    perceptual_hash: str | None = None
    like: str | None = None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """One row of the journal.

    Args:
        at: From when on it holds.
        who: Who withdrew.
        reason: Why.
        selector: What was named.
        meant: The creatives that this named or found.
        phases: The experiments in which a phase began by it.
    """

    at: datetime
    who: str
    reason: str
    selector: Selector
    meant: tuple[_Meant, ...]
    phases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants withdrawn.

    Args:
        selector: Which creatives.
        at: From when on, with a time zone.
        written_at: Now, with a time zone.
        who: Who withdraws.
        reason: Why.
        showing: Returns the experiments that may show some of these creatives.
    """

    selector: Selector
    at: datetime
    written_at: datetime
    who: str
    reason: str
    showing: Callable[[Collection[str]], Iterable[str]]


def record_withdrawal(journal: Journal, order: Order, root: Path) -> None:
    """Write what is withdrawn by an order, at once; doing it again writes nothing.

    What the lineage tells comes first. Pictures whose look no lineage tells are read afterwards,
    and what that finds follows in a second row.

    Args:
        journal: Of the workspace.
        order: What is wanted.
        root: The folder of creatives.

    Raises:
        CatalogueError: The lineage cannot be read.
        RegistryError: The journal is broken.
    """
    lineage = read_lineage(root)
    for look_of in (_told_look, _Eye(root)):
        with journal.pen() as pen:
            _append(pen, order, tuple(_find(order.selector, lineage, look_of)))


def replay_withdrawals(rows: Iterable[JournalRow]) -> tuple[Withdrawal, ...]:
    """Return every withdrawal in order."""
    return tuple(
        Withdrawal(
            at=row.at,
            who=row.who,
            reason=row.detail["reason"],
            selector=_selector(row.detail["selector"]),
            meant=tuple(_Meant(**one) for one in row.detail["creatives"]),
            phases=tuple(row.detail["phases"]),
        )
        for row in rows
        if row.action == WITHDRAW
    )


def replay_withdrawn(rows: Iterable[JournalRow]) -> Withdrawn:
    """Return what all withdrawals add up to."""
    every = replay_withdrawals(rows)
    looks: dict[str, dict[str, None]] = {}
    for one in (one for row in every for one in row.meant):
        # What merely looks like a withdrawn one widens nothing, else likeness would spread.
        if one.product_id is not None and one.perceptual_hash is not None and one.like is None:
            looks.setdefault(one.product_id, {})[one.perceptual_hash] = None
    selectors = (row.selector for row in every if row.selector.kind != "creatives")
    kept: list[Selector] = []
    kept.extend(one for one in selectors if one not in kept)
    return Withdrawn(
        creatives=frozenset(one.creative_id for row in every for one in row.meant),
        selectors=tuple(kept),
        looks={product_id: tuple(found) for product_id, found in looks.items()},
    )


def refuse_withdrawn(rows: Iterable[JournalRow], creative_id: str, root: Path) -> None:
    """Refuse to approve what was withdrawn.

    Args:
        rows: Of the journal.
        creative_id: Which creative.
        root: The folder of creatives.

    Raises:
        RegistryError: It is withdrawn, by name or by what it is like.
    """
    withdrawn = replay_withdrawn(rows)
    if withdrawn == Withdrawn():
        return
    made = read_lineage(root).get(creative_id)
    if creative_id in withdrawn.creatives or (made is not None and withdrawn.refuses(made)):
        raise RegistryError(
            f"the creative {creative_id[:12]} is withdrawn, and that is for good",
            path=root,
            remedy="draw another one with `abp generate`",
        )


def _append(pen: Pen, order: Order, meant: tuple[_Meant, ...]) -> None:
    """Write what the journal does not hold yet."""
    held = {one for row in replay_withdrawals(pen.rows) for one in row.meant}
    known, selector = replay_withdrawn(pen.rows), order.selector
    is_known = selector.kind == "creatives" or selector in known.selectors
    fresh = [one for one in meant if not is_known or one not in held]
    if is_known and not fresh:
        return
    names = {one.creative_id for one in fresh} - known.creatives
    detail = {
        "selector": asdict(selector),
        "creatives": [asdict(one) for one in fresh],
        "reason": order.reason,
        "phases": _phases(pen, order, names),
    }
    pen.append(
        WITHDRAW,
        at=order.at,
        written_at=order.written_at,
        who=order.who,
        experiment=None,
        detail=detail,
    )


def _phases(pen: Pen, order: Order, names: Collection[str]) -> dict[str, Any]:
    """The phases that begin in running experiments which lose one of their pictures."""
    if not names:
        return {}
    pasts = replay(pen.rows)
    touched = {key: pasts[key] for key in order.showing(names) if key in pasts}
    return {
        key: phase_facts(next_phase(past, past.phases[-1].exposure, order.at))
        for key, past in touched.items()
        # One that is paused, or whose start lies ahead, begins a phase of its own anyway.
        if past.state is State.RUNNING and past.changed_at <= order.at
    }


def _find(
    selector: Selector, lineage: Mapping[str, Lineage], look_of: Callable[[Lineage], str | None]
) -> Iterator[_Meant]:
    """The creatives that a selector means, then those of the same products that look like them."""
    named = {name for name in selector.names if selector.kind == "creatives"}
    meant = {
        name: look_of(made)
        for name, made in lineage.items()
        if name in named or selector.catches(made.product_id, made.scene, made.checkpoints.values())
    }
    looks: dict[str, dict[str, str]] = {}
    for name, look in meant.items():
        product_id = lineage[name].product_id
        yield _Meant(name, product_id, look)
        if look is not None:
            looks.setdefault(product_id, {})[name] = look
    for name in sorted(named - meant.keys()):
        yield _Meant(name)
    for name, made in lineage.items():
        if made.product_id in looks and name not in meant:
            look = look_of(made)
            like = _first_like(look, looks[made.product_id]) if look is not None else None
            if like is not None:
                yield _Meant(name, made.product_id, look, like)


def _first_like(look: str, looks: Mapping[str, str]) -> str | None:
    return next((name for name, other in looks.items() if is_near(look, other)), None)


def _told_look(made: Lineage) -> str | None:
    return made.perceptual_hash


class _Eye:
    """Looks at the pictures of which the lineage does not tell how they look, once each."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[str, str | None] = {}

    def __call__(self, made: Lineage) -> str | None:
        """Return how a creative looks; None where its picture cannot be read."""
        if made.perceptual_hash is not None:
            return made.perceptual_hash
        name = made.creative_id
        if name not in self._seen:
            try:
                self._seen[name] = perceptual_hash(read_master(self._root, name))
            except CatalogueError:
                self._seen[name] = None
        return self._seen[name]


def _selector(facts: Mapping[str, Any]) -> Selector:
    return Selector(
        kind=facts["kind"],
        names=tuple(facts["names"]),
        scene={part: tuple(words) for part, words in facts["scene"].items()},
    )
