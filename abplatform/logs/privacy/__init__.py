"""What protects units before anything lands: pseudonyms, and refusing those that were forgotten."""

from __future__ import annotations

from abplatform.logs.privacy.guard import (
    FORGOTTEN_LINE,
    WIRE_FIELDS,
    Guard,
    GuardWatch,
    guard_of,
    stand_in,
)
from abplatform.logs.privacy.pseudonyms import Pseudonyms, pseudonyms_of
from abplatform.logs.privacy.tombstones import Tombstones, bury, tombstones_of

__all__ = [
    "FORGOTTEN_LINE",
    "WIRE_FIELDS",
    "Guard",
    "GuardWatch",
    "Pseudonyms",
    "Tombstones",
    "bury",
    "guard_of",
    "pseudonyms_of",
    "stand_in",
    "tombstones_of",
]
