"""What abp.yaml says under ``privacy``: pseudonyms at the door, and how long logs are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from abplatform.yaml_text.quantities import Duration
from abplatform.yaml_text.shapes import Text
from abplatform.yaml_text.tables import Field, Table

__all__ = ["PRIVACY", "Privacy"]


@dataclass(frozen=True, slots=True)
class Privacy:
    """How units are protected.

    Args:
        key_file: The key with which unit ids become pseudonyms before anything lands, relative to
            the workspace; None: ids land as they come.
        retention: How long logs are kept after their newest event; None: for good.
    """

    key_file: str | None = None
    retention: timedelta | None = None


def _privacy(**values: Any) -> Privacy:
    return Privacy(values.get("pseudonyms"), values.get("retention"))


def _key_file(key_file: str) -> str:
    return key_file


PRIVACY: Final = Table(
    make=Privacy,
    build=_privacy,
    fields=(
        Field(
            "pseudonyms",
            Table(
                make=dict,
                build=_key_file,
                fields=(
                    Field(
                        "key_file",
                        Text(max_length=1000),
                        "A file outside `data/` with a secret of 32 bytes or more.",
                        required=True,
                    ),
                ),
            ),
            "Unit ids become HMAC-SHA256 pseudonyms at the door; fixed for a workspace.",
        ),
        Field(
            "retention",
            Duration(minimum=timedelta(days=1), maximum=timedelta(days=36_500)),
            "`abp forget --expired` removes logs whose newest event is older.",
        ),
    ),
)
"""The shape of ``privacy``."""
