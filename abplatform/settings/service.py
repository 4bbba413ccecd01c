"""What abp.yaml says of the decision service: who may call it, how often, and where it is seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from abplatform.yaml_text.lists import MapOf
from abplatform.yaml_text.quantities import Duration, Number
from abplatform.yaml_text.shapes import Text
from abplatform.yaml_text.tables import Field, Table

__all__ = ["SERVICE", "TOKENS", "Service"]


@dataclass(frozen=True, slots=True)
class Service:
    """How the decision service answers.

    Args:
        valid: How long an answer may be shown; a minute at most, so that what is withdrawn is
            gone within a minute everywhere.
        click_window: How long impression and click URLs are good for.
        rate: Decisions and events that one token may ask for in a second.
        public_url: Under which clients reach the service, without a slash at its end; None for
            the address at which they called it.
    """

    valid: timedelta = timedelta(seconds=60)
    click_window: timedelta = timedelta(hours=24)
    rate: float = 20_000.0
    public_url: str | None = None


SERVICE: Final = Table(
    make=Service,
    fields=(
        Field(
            "valid",
            Duration(minimum=timedelta(seconds=1), maximum=timedelta(seconds=60)),
            "How long an answer may be shown.",
        ),
        Field(
            "click_window",
            Duration(minimum=timedelta(minutes=1), maximum=timedelta(days=30)),
            "How long impression and click URLs are good for.",
        ),
        Field(
            "rate",
            Number(1, 1e7),
            "Decisions and events that one token may ask for in a second.",
        ),
        Field(
            "public_url",
            Text(
                pattern=r"https?://[^\s/?#]+(/[^\s?#]*[^\s/?#])?",
                expects="a URL",
                remedy="write it like https://ads.example.com, without a slash at its end",
                max_length=500,
            ),
            "Under which clients reach the service.",
        ),
    ),
)
"""The shape of ``service``."""

TOKENS: Final = MapOf(
    Text(
        pattern="[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        expects="a caller's name",
        remedy="use letters, digits, dots, dashes and underscores, 64 at most",
    ),
    Text(
        pattern="sha256:[0-9a-f]{64}|env:[A-Za-z_][A-Za-z0-9_]*",
        expects="the token's sha256 or the environment variable that holds it",
        remedy="write sha256:<64 hex digits> or env:NAME; the token itself never stands here",
    ),
)
"""The shape of ``tokens``: a caller's name to what its token is compared with."""
