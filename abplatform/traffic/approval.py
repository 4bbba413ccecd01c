"""Approval of creative sets: who said what about one, where and until when that holds.

A set is all sizes and texts of one scene; its master's id names it. Its life is generated →
inspected → pending → approved, or rejected, expired or withdrawn; people say so by reviews, or an
experiment's ``approval`` rules do. The newest word that covers a place counts there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from abplatform.domain.catalog import Lineage
from abplatform.domain.experiment import Approval
from abplatform.traffic.registry import Review

__all__ = [
    "EVERYWHERE",
    "ApprovalState",
    "Clause",
    "Clauses",
    "Place",
    "approval_state",
    "clauses_of",
    "covers",
    "group_reviews",
    "split_clauses",
    "why_not",
]

EXPIRED: Final = "expired"
NOT_HERE: Final = "not_approved_here"
PENDING: Final = "pending_review"
REJECTED: Final = "rejected"


class ApprovalState(StrEnum):
    """How far a creative set has come."""

    GENERATED = "generated"
    INSPECTED = "inspected"
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Place(NamedTuple):
    """Where and when something would be shown; None: nobody says where."""

    channel: str | None
    country: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Clause:
    """One word on a creative set.

    Args:
        reason: Why it is kept out; None lets it in.
        channels: Where the word holds; empty: in every channel.
        countries: Likewise.
        until: From then on what was let in is expired; None: it stays.
    """

    reason: str | None
    channels: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    until: datetime | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it holds everywhere and for good."""
        return not (self.channels or self.countries or self.until)


Clauses = tuple[Clause, ...]
"""What was said of one creative set, the newest first; the last one covers every place."""

EVERYWHERE: Final = Clause(None)


def clauses_of(
    creative: Lineage, reviews: Sequence[Review], approval: Approval | None = None
) -> Clauses:
    """Return what holds for one creative set.

    Args:
        creative: Its master.
        reviews: What people said of it, the oldest first.
        approval: Who lets generated ones in where nobody said anything; None and baselines: all.
    """
    said = [
        Clause(
            None if review.decision == "approved" else REJECTED,
            frozenset(review.channels),
            frozenset(review.countries),
            review.until,
        )
        for review in reversed(reviews)
    ]
    if approval is None or creative.source == "baseline":
        return (*said, EVERYWHERE)
    if approval.by == "human":
        # Who approved it for some places has looked: elsewhere it is not waiting but left out.
        return (*said, Clause(NOT_HERE if said else PENDING))
    missed = missed_rule(creative, approval)
    if missed is not None:
        return (*said, Clause(missed))
    channels, countries = frozenset(approval.channels), frozenset(approval.countries)
    if channels or countries:
        return (*said, Clause(None, channels, countries), Clause(NOT_HERE))
    return (*said, EVERYWHERE)


def missed_rule(creative: Lineage, approval: Approval) -> str | None:
    """Return the rule that a creative misses, None where it meets them all.

    A creative that was never screened has no predicted win to miss: it was drawn to show what
    screening saves.
    """
    scores = creative.inspector.get("scores")
    fit = scores.get("fit") if isinstance(scores, Mapping) else None
    if approval.min_fit > 0 and not (isinstance(fit, int | float) and fit >= approval.min_fit):
        return "min_fit"
    predicted = creative.screening.get("predicted_win") if creative.screening else None
    if isinstance(predicted, int | float) and predicted < approval.min_win:
        return "min_win"
    return None


def why_not(clauses: Clauses, place: Place) -> str | None:
    """Return why a creative set may not be shown at a place, None where it may."""
    for clause in clauses:
        if covers(clause, place):
            if clause.reason is None and clause.until is not None and place.at >= clause.until:
                return EXPIRED
            return clause.reason
    return NOT_HERE


def covers(said: Clause | Review, place: Place) -> bool:
    """Tell whether a word says anything of a place; one without a name is covered by all only."""
    return (not said.channels or place.channel in said.channels) and (
        not said.countries or place.country in said.countries
    )


def split_clauses(
    every: Mapping[str, Clauses],
) -> tuple[dict[str, str], dict[str, Clauses]]:
    """Part what is kept out everywhere from what depends on the place or the moment.

    Returns:
        Creative to the reason why nobody sees it; creative to its clauses, of those that some may
        see. What everybody may see is in neither.
    """
    nowhere, somewhere = {}, {}
    for creative_id, clauses in every.items():
        newest = clauses[0]
        if not newest.is_plain:
            somewhere[creative_id] = clauses
        elif newest.reason is not None:
            nowhere[creative_id] = newest.reason
    return nowhere, somewhere


def approval_state(
    creative: Lineage,
    reviews: Sequence[Review],
    place: Place,
    *,
    approval: Approval | None = None,
    withdrawn: bool = False,
) -> tuple[ApprovalState, str | None]:
    """Return how far a creative set has come, and why it went no further.

    Args:
        creative: Its master.
        reviews: What people said of it, the oldest first.
        place: Where it would be shown.
        approval: An experiment's rules; without them a person's word is waited for.
        withdrawn: Whether it was taken back.
    """
    if withdrawn:
        return ApprovalState.WITHDRAWN, None
    said = tuple(one for one in clauses_of(creative, reviews)[:-1] if covers(one, place))
    if said:
        why = why_not(said, place)
        states = {None: ApprovalState.APPROVED, EXPIRED: ApprovalState.EXPIRED}
        return states.get(why, ApprovalState.REJECTED), None
    return _unreviewed_state(creative, place, approval)


def _unreviewed_state(
    creative: Lineage, place: Place, approval: Approval | None
) -> tuple[ApprovalState, str | None]:
    """How far a set has come of which nobody said anything that holds here."""
    if creative.source == "baseline":
        return ApprovalState.APPROVED, None  # the shop's own picture needs nobody's word
    if not creative.inspector:
        return ApprovalState.GENERATED, None
    if creative.inspector.get("usable") is False:
        return ApprovalState.INSPECTED, "unusable"
    if approval is None or approval.by == "human":
        return ApprovalState.PENDING, None
    why = why_not(clauses_of(creative, (), approval), place)
    return (ApprovalState.APPROVED, "rules") if why is None else (ApprovalState.INSPECTED, why)


def group_reviews(reviews: Iterable[Review]) -> dict[str, list[Review]]:
    """Return every creative's reviews, the oldest first."""
    found: dict[str, list[Review]] = {}
    for review in reviews:
        found.setdefault(review.creative_id, []).append(review)
    return found
