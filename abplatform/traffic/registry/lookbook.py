"""The lookbook: looks that were taken, one row of the journal each, never taken again.

What a look found is a fact from then on: numbers, what they decided, and on which data. Rows that
came in later change estimates, never a look. Only looks under an alarm of the sample ratio check,
which decided nothing, are set aside when the source that broke the split is excluded: the journal
keeps their rows, and the looks are taken again without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from abplatform.traffic.journal import Journal, JournalRow

__all__ = [
    "LOOK",
    "SETS_LOOKS_ASIDE",
    "RecordedLook",
    "keep_looks",
    "read_look",
    "read_looks",
]

LOOK = "look"
"""The journal's action."""

SETS_LOOKS_ASIDE = "sets_looks_aside"
"""In the detail of a row of any action: looks written before it do not count."""


@dataclass(frozen=True, slots=True)
class RecordedLook:
    """One look at an experiment, at all of its treatments that were still undecided.

    Args:
        look: Counted from 1.
        day: The last workspace day whose rows it counts.
        at: The end of that day.
        data_version: What was loaded when it was taken.
        treatments: Treatment to what was found, as JSON data that analysis writes and reads.
    """

    look: int
    day: date
    at: datetime
    data_version: str
    treatments: Mapping[str, Mapping[str, Any]]


def read_look(row: JournalRow) -> RecordedLook:
    """Return the look that a row of the journal keeps."""
    detail = row.detail
    return RecordedLook(
        look=detail["look"],
        day=date.fromisoformat(detail["day"]),
        at=row.at,
        data_version=detail["data_version"],
        treatments=detail["treatments"],
    )


def read_looks(journal: Journal, key: str) -> tuple[RecordedLook, ...]:
    """Return the looks at one experiment, as the journal has them now."""
    return tuple(_recorded(journal.rows(), key).values())


def keep_looks(
    journal: Journal,
    key: str,
    looks: Sequence[RecordedLook],
    *,
    written_at: datetime,
    who: str,
) -> tuple[RecordedLook, ...]:
    """Write those looks that the journal does not hold yet.

    Calling it again, or from two processes at once, adds nothing twice: the first row counts.

    Args:
        journal: Of the workspace.
        key: The experiment.
        looks: In order of time.
        written_at: Now.
        who: Who looks.

    Returns:
        All looks at the experiment, as the journal has them now.
    """
    known = _recorded(journal.rows(), key)
    if all(look.look in known for look in looks):
        return tuple(known.values())
    with journal.pen() as pen:
        known = _recorded(pen.rows, key)
        for look in looks:
            if look.look in known:
                continue
            detail = {
                "look": look.look,
                "day": look.day.isoformat(),
                "data_version": look.data_version,
                "treatments": look.treatments,
            }
            row = pen.append(
                LOOK, at=look.at, written_at=written_at, who=who, experiment=key, detail=detail
            )
            known[look.look] = read_look(row)
    return tuple(known.values())


def _recorded(rows: Iterable[JournalRow], key: str) -> dict[int, RecordedLook]:
    known: dict[int, RecordedLook] = {}
    for row in rows:
        if row.experiment != key:
            continue
        if row.action == LOOK:
            look = read_look(row)
            known[look.look] = look
        elif row.detail.get(SETS_LOOKS_ASIDE):
            known.clear()
    return known
