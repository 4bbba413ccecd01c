"""Report cards: what a model promised of a week that came after it, and what came true.

```
<root>/cards/<week>-<sha256, 12 digits>.json    one model on one week's pairs
```

A model that ranks creatives also says how often it will be right. Pairs from experiments that ran
after it was frozen show whether that holds; where it does not, what the model has learned no longer
fits what people click, whatever its accuracy was on the day of its promotion.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from abplatform.durable import replace_durably
from abplatform.errors import CheckpointError

__all__ = ["Grade", "ReportCard", "find_alarms", "keep_card", "read_cards"]

WEEKS_BELOW = 2
"""So many weeks below what was predicted, one after the other, raise an alarm."""

MANY_PAIRS = 200
"""A category with so many pairs in a week raises it alone, and at once."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Grade:
    """Predicted against realised wins, of one category or of all.

    Args:
        category: The first level of its path; None for all together.
        pairs: How many were judged.
        predicted: Share of pairs in which the model's side should win in the log, labels being
            unsure themselves.
        low: Lower end of the interval in which that share falls for 19 models in 20 that are right
            about themselves; of categories, for 19 in 20 such models in every category at once.
        high: Upper end.
        realised: Share in which it did; a tie counts one half.
    """

    category: str | None
    pairs: int
    predicted: float
    low: float
    high: float
    realised: float

    @property
    def is_below(self) -> bool:
        """Whether less came true than the model's own doubts allow."""
        return self.realised < self.low - _ROUNDING


@dataclass(frozen=True, slots=True)
class ReportCard:
    """One model on one week.

    Args:
        week: ISO week whose experiments ran after the model was frozen.
        checkpoint: The model's sha256.
        grades: All categories together first, then each of the first level.
    """

    week: str
    checkpoint: str
    grades: tuple[Grade, ...]

    @property
    def overall(self) -> Grade:
        """The grade of all categories together."""
        return self.grades[0]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        rows = [{**asdict(grade), "below": grade.is_below} for grade in self.grades]
        return {"week": self.week, "checkpoint": self.checkpoint, "grades": rows}


def keep_card(root: Path, card: ReportCard) -> None:
    """Keep a card in the store; the same week and model are kept once."""
    path = root / "cards" / f"{card.week}-{card.checkpoint[:12]}.json"
    replace_durably(path, (json.dumps(card.to_json(), indent=2) + "\n").encode())


def read_cards(root: Path, checkpoint: str | None = None) -> list[ReportCard]:
    """Return every card, or those of one model, oldest week first.

    Raises:
        CheckpointError: A card is damaged.
    """
    cards = [_read(path) for path in sorted((root / "cards").glob("*.json"))]
    return [card for card in cards if checkpoint in {None, card.checkpoint}]


def find_alarms(cards: Iterable[ReportCard]) -> tuple[str, ...]:
    """Say where a model is right less often than it promised; nothing where it is not.

    Args:
        cards: Of one model.
    """
    newest = sorted(cards, key=lambda card: card.week)[-WEEKS_BELOW:]
    found = []
    if len(newest) == WEEKS_BELOW and all(card.overall.is_below for card in newest):
        weeks = " and ".join(f"{card.week} ({_told(card.overall)})" for card in newest)
        found.append(f"realised wins fell below what was predicted in {weeks}")
    found += [
        f"realised wins in {grade.category} fell below what was predicted in "
        f"{newest[-1].week} ({_told(grade)}, {grade.pairs:,} pairs)"
        for grade in (newest[-1].grades[1:] if newest else ())
        if grade.is_below and grade.pairs >= MANY_PAIRS
    ]
    return tuple(found)


def _told(grade: Grade) -> str:
    return f"{grade.realised:.1%} of {grade.predicted:.1%}, at least {grade.low:.1%}"


def _read(path: Path) -> ReportCard:
    try:
        table: Mapping[str, Any] = json.loads(path.read_bytes())
        grades = tuple(
            Grade(**{name: row[name] for name in Grade.__dataclass_fields__})
            for row in table["grades"]
        )
        grades[0]  # a card without any is damaged too
        return ReportCard(table["week"], table["checkpoint"], grades)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CheckpointError(
            f"the report card cannot be read: {error}",
            path=path,
            remedy="remove the file; `abp retrain --week` of that week writes it anew",
        ) from error
