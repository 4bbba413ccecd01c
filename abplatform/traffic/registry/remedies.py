"""What people did about a broken split: acknowledged it, excluded a source, began again, gave up.

Each is a row of the journal with who, when and why. Doing the same again writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from abplatform.traffic.journal import Journal, JournalRow
from abplatform.traffic.registry.lookbook import SETS_LOOKS_ASIDE

__all__ = [
    "Remedies",
    "acknowledge_split",
    "exclude_source",
    "link_successor",
    "refuse",
    "replay_remedies",
]

_ACKNOWLEDGE, _EXCLUDE = "acknowledge_srm", "exclude_source"
_SUCCESSOR, _PREDECESSOR, _REFUSE = "restart", "succeed", "do_not_use"


@dataclass(frozen=True, slots=True)
class Remedies:
    """What the journal holds of one experiment's split.

    Args:
        acknowledged: When alarms of the sample ratio check were acknowledged, in order.
        excluded_sources: Sources none of whose rows count, in order of their exclusion.
        successor: The experiment that began again with a fresh salt, or None.
        predecessor: The experiment that this one began again, or None.
        refused: Why its results are not to be used, as a person said; None if nobody did.
    """

    acknowledged: tuple[datetime, ...] = ()
    excluded_sources: tuple[str, ...] = ()
    successor: str | None = None
    predecessor: str | None = None
    refused: str | None = None


def replay_remedies(rows: Iterable[JournalRow]) -> dict[str, Remedies]:
    """Return what the journal's rows add up to, by experiment."""
    known: dict[str, Remedies] = {}
    for row in rows:
        if row.experiment is None or row.action not in _ACTIONS:
            continue
        known[row.experiment] = _apply(known.get(row.experiment, Remedies()), row)
    return known


_ACTIONS = frozenset({_ACKNOWLEDGE, _EXCLUDE, _SUCCESSOR, _PREDECESSOR, _REFUSE})


def _apply(so_far: Remedies, row: JournalRow) -> Remedies:
    if row.action == _ACKNOWLEDGE:
        return replace(so_far, acknowledged=(*so_far.acknowledged, row.at))
    if row.action == _EXCLUDE:
        named = dict.fromkeys([*so_far.excluded_sources, row.detail["source"]])
        return replace(so_far, excluded_sources=tuple(named))
    if row.action == _REFUSE:
        return replace(so_far, refused=row.detail["reason"])
    if row.action == _SUCCESSOR:
        return replace(so_far, successor=row.detail["successor"])
    return replace(so_far, predecessor=row.detail["predecessor"])


def acknowledge_split(
    journal: Journal, key: str, *, at: datetime, who: str, why: str, e_value: float | None
) -> None:
    """Write that a person has seen the alarm; only later days can raise it again.

    Args:
        journal: Of the workspace.
        key: The experiment.
        at: Now.
        who: Who acknowledges.
        why: What was found out, for those who read the journal.
        e_value: What was acknowledged.
    """
    with journal.pen() as pen:
        detail = {"reason": why, "e_value": e_value}
        pen.append(_ACKNOWLEDGE, at=at, written_at=at, who=who, experiment=key, detail=detail)


def exclude_source(
    journal: Journal,
    key: str,
    source: str,
    *,
    at: datetime,
    who: str,
    why: str,
    mends: bool = False,
) -> bool:
    """Write that no row of a source counts for an experiment, from now on and for any moment.

    Args:
        journal: Of the workspace.
        key: The experiment.
        source: Whose rows.
        at: Now.
        who: Who excludes it.
        why: For those who read the journal.
        mends: Whether an alarm was standing. Looks taken under it saw the broken rows and decided
            nothing, so they are set aside and taken again without the source.

    Returns:
        Whether it was written; False when the source was excluded before.
    """
    with journal.pen() as pen:
        before = replay_remedies(pen.rows).get(key, Remedies())
        if source in before.excluded_sources:
            return False
        detail: dict[str, Any] = {"reason": why, "source": source}
        if mends:
            detail[SETS_LOOKS_ASIDE] = True
        pen.append(_EXCLUDE, at=at, written_at=at, who=who, experiment=key, detail=detail)
    return True


def refuse(journal: Journal, key: str, *, at: datetime, who: str, why: str) -> bool:
    """Write that an experiment's results are not to be used: its verdict is ``invalid`` for good.

    Returns:
        Whether it was written; False when somebody had said so before.
    """
    with journal.pen() as pen:
        if replay_remedies(pen.rows).get(key, Remedies()).refused is not None:
            return False
        pen.append(_REFUSE, at=at, written_at=at, who=who, experiment=key, detail={"reason": why})
    return True


def link_successor(
    journal: Journal, key: str, successor: str, *, at: datetime, who: str, why: str
) -> str:
    """Write that one experiment begins another again, with both.

    Returns:
        The successor as the journal has it: the one that was linked first.
    """
    with journal.pen() as pen:
        known = replay_remedies(pen.rows)
        linked = known.get(key, Remedies()).successor
        if linked is not None:
            successor = linked
        else:
            detail = {"reason": why, "successor": successor}
            pen.append(_SUCCESSOR, at=at, written_at=at, who=who, experiment=key, detail=detail)
        if known.get(successor, Remedies()).predecessor is None:
            detail = {"reason": why, "predecessor": key}
            pen.append(
                _PREDECESSOR, at=at, written_at=at, who=who, experiment=successor, detail=detail
            )
    return successor
