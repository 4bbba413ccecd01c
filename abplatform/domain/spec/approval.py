"""Keys that say who lets creatives into traffic."""

from __future__ import annotations

from collections.abc import Iterator

from abplatform.domain.experiment import Approval
from abplatform.errors import SpecError
from abplatform.yaml_text import Node
from abplatform.yaml_text.lists import ListOf
from abplatform.yaml_text.quantities import Share
from abplatform.yaml_text.shapes import Choice, Text
from abplatform.yaml_text.tables import Field, Table

__all__ = ["APPROVAL", "approval_conflicts"]

_PLACES = ListOf(Text(max_length=100), min_items=1, max_items=300, unique=True)

APPROVAL = Table(
    make=Approval,
    shorthand="by",
    fields=(
        Field(
            "by",
            Choice({"rules": "the inspector and the rules that follow", "human": "a person"}),
            "Who lets generated creatives into traffic where nobody has reviewed them.",
        ),
        Field("min_fit", Share(), "The least fit of product and background, 0 to 1."),
        Field("min_win", Share(), "The least predicted chance to win over the baseline, 0 to 1."),
        Field("channels", _PLACES, "The channels in which the rules let in; all without."),
        Field("countries", _PLACES, "The countries in which the rules let in; all without."),
    ),
)


def approval_conflicts(root: Node, approval: Approval | None) -> Iterator[SpecError]:
    """Return what is wrong: rules have no effect where a person decides."""
    if approval is None or approval.by != "human" or approval == Approval(by="human"):
        return
    yield root.child("approval").error(
        "these rules have no effect where a person approves",
        code="conflict",
        remedy="write `by: rules`, or delete all but `by: human`",
        key="by",
    )
