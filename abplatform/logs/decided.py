"""Decision records read back from the landing: what was eligible, and with which probabilities.

The store keeps of a decision what the analysis counts. The rest of its record stays where it landed
and is read from there when somebody asks how decisions were made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from abplatform.domain.targeting import Context
from abplatform.logs.landing import sealed_segments
from abplatform.logs.store.answering import Store
from abplatform.logs.tape import Tape
from abplatform.workspace import Workspace

__all__ = ["Decided", "Situation", "read_decided"]

_WORDS = ("category", "channel", "country", "placement", "segment")


@dataclass(frozen=True, slots=True)
class Situation:
    """What decisions had in common.

    Args:
        policy: The policy's name.
        snapshot: The sha256 of what it rested on, or None.
        floor: The share that was drawn uniformly.
        context: What was known about the request, as the record tells it.
        eligible: Creative ids.
        probabilities: Theirs, in the same order, floor included.
    """

    policy: str
    snapshot: str | None
    floor: float
    context: Context
    eligible: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """The decisions of a variant.

    Args:
        situations: Each once.
        frame: ``decision_id`` and ``situation``, its place in ``situations``.
    """

    situations: tuple[Situation, ...]
    frame: pl.DataFrame


class _Used(msgspec.Struct):
    name: str
    snapshot: str | None = None
    floor: float = 0.0


class _Assigned(msgspec.Struct):
    experiment: str
    variant: str


class _Record(msgspec.Struct):
    """The fields of a decision record that matter here; others are passed over."""

    event_type: str
    decision_id: str = ""
    assignments: list[_Assigned] = []
    action: str = ""
    policy: _Used | None = None
    eligible: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    category: str | None = None
    asked_category: str | None = None
    channel: str | None = None
    country: str | None = None
    placement: str | None = None
    segment: str | None = None
    attributes: dict[str, str | int | float | bool | None] = {}


def read_decided(workspace: Workspace, store: Store, *, experiment: str, variant: str) -> Decided:
    """Read the records of a variant's decisions to show something.

    Args:
        workspace: Whose landing.
        store: Knows which segments hold them.
        experiment: The experiment's key.
        variant: The variant.
    """
    asked = {"experiment": experiment, "variant": variant}
    numbers = set(store.query("off_policy/decided_segments", **asked)["segment_number"])
    places: dict[Any, int] = {}
    situations: list[Situation] = []
    ids: list[str] = []
    which: list[int] = []
    for segment in sealed_segments(workspace):
        if segment.number not in numbers or not segment.form.startswith("jsonl"):
            continue
        with Tape(segment.path) as tape:
            for record in _records(tape):
                if _Assigned(experiment, variant) not in record.assignments:
                    continue
                key = _key(record)
                if key not in places:
                    places[key] = len(situations)
                    situations.append(_situation(record))
                ids.append(record.decision_id)
                which.append(places[key])
    frame = pl.DataFrame(
        {"decision_id": ids, "situation": which},
        schema={"decision_id": pl.String, "situation": pl.Int64},
    )
    # One that was delivered twice is one decision.
    return Decided(tuple(situations), frame.unique("decision_id", keep="first"))


def _records(tape: Tape) -> Iterator[_Record]:
    """Yield what can be read as the record of a choice; other lines are not this reader's."""
    decoder = msgspec.json.Decoder(_Record)
    for _, line, problem in tape.lines():
        if problem is not None or b"probabilities" not in line:
            continue
        try:
            record = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        same = len(record.eligible) == len(record.probabilities)
        if record.event_type == "decision" and record.policy and record.eligible and same:
            yield record


def _key(record: _Record) -> tuple[Any, ...]:
    assert record.policy is not None  # noqa: S101  # _records lets no other pass
    used = record.policy
    return (
        *(used.name, used.snapshot, used.floor, record.eligible, record.probabilities),
        # By repr, since True equals 1.
        *sorted((name, repr(value)) for name, value in _context(record).items()),
    )


def _situation(record: _Record) -> Situation:
    assert record.policy is not None  # noqa: S101  # _records lets no other pass
    used = record.policy
    return Situation(
        *(used.name, used.snapshot, used.floor),
        *(_context(record), record.eligible, record.probabilities),
    )


def _context(record: _Record) -> Mapping[str, str | int | float | bool | None]:
    words = {name: getattr(record, name) for name in _WORDS}
    words["category"] = record.asked_category or record.category
    return {**record.attributes, **{name: word for name, word in words.items() if word is not None}}
