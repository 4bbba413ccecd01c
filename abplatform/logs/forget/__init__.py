"""Forgetting: a unit everywhere, or all that is older than logs are kept."""

from __future__ import annotations

from abplatform.logs.forget.expiry import Expired, find_expired, forget_expired
from abplatform.logs.forget.forgetting import Forgotten, Reckoning, forget_units, reckon
from abplatform.logs.forget.proof import Proof, search

__all__ = [
    "Expired",
    "Forgotten",
    "Proof",
    "Reckoning",
    "find_expired",
    "forget_expired",
    "forget_units",
    "reckon",
    "search",
]
