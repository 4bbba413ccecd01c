"""The careful tier: one line or row at a time, decoded and checked by msgspec. The authority."""

from __future__ import annotations

from abplatform.domain.events import EventRejected
from abplatform.logs.mapping import MappedRow
from abplatform.logs.validate import Door, Events, validate_fields, validate_line

__all__ = ["judge_line", "judge_row"]


def judge_line(
    number: int, line: bytes, problem: EventRejected | None, *, door: Door, found: Events
) -> None:
    """Add what a line of JSON is to what was found; a blank one is nothing.

    Args:
        number: Of the line.
        line: Its bytes.
        problem: What is wrong with it already, or None.
        door: What it must fit.
        found: Gets the event or the reject.
    """
    if problem is not None:
        found.reject(number, line, problem)
    elif line.strip():
        try:
            found.accept(number, validate_line(line, door))
        except EventRejected as error:
            found.reject(number, line, error)


def judge_row(row: MappedRow, door: Door, found: Events) -> None:
    """Add what a row of a table stands for to what was found.

    Args:
        row: Its line, bytes and fields of events.
        door: What they must fit.
        found: Gets the events or the reject.
    """
    if row.problem is not None:
        found.reject(row.line, row.raw, row.problem)
    for fields in row.events:
        try:
            found.accept(row.line, validate_fields(fields, door))
        except EventRejected as error:
            found.reject(row.line, row.raw, error)
            # What follows from a row that is no event is none either: no click without its
            # impression.
            break
