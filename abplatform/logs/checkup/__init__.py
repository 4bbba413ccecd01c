"""Is everything on the disk what it should be: landing, warehouse, published tables, space.

Looking changes nothing. Where something is wrong, each finding says what to do.
"""

from __future__ import annotations

from abplatform.logs.checkup.finding import Finding
from abplatform.logs.checkup.landing import check_landing
from abplatform.logs.checkup.stores import check_published, check_space, check_warehouse

__all__ = ["Finding", "check_landing", "check_published", "check_space", "check_warehouse"]
