"""What a policy has worked out before: many small answers and a few large ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Final, TypeVar

__all__ = ["MOST_LARGE", "MOST_SMALL", "SMALL", "remembered"]

SMALL: Final = 16
"""So many creatives make a small question."""

MOST_SMALL: Final = 50_000
"""So many small answers are kept: some 40 MB at most."""

MOST_LARGE: Final = 500
"""So many large ones: with a hundred products' creatives some 15 MB."""

_Told = TypeVar("_Told", bound=Hashable)
_Answer = TypeVar("_Answer")


def remembered(
    work_out: Callable[[tuple[str, ...], _Told], _Answer],
) -> Callable[[tuple[str, ...], _Told], _Answer]:
    """Return the same function, but one that remembers; memory is bounded whatever is asked.

    Args:
        work_out: Answers for some creatives and what is told about the request, purely.
    """
    small = lru_cache(maxsize=MOST_SMALL)(work_out)
    large = lru_cache(maxsize=MOST_LARGE)(work_out)

    def recall(creatives: tuple[str, ...], told: _Told) -> _Answer:
        return small(creatives, told) if len(creatives) <= SMALL else large(creatives, told)

    return recall
