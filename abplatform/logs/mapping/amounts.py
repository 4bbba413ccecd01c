"""Cells that hold money in its own units, as shops export it → whole millionths."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from abplatform.domain.events import EventRejected

__all__ = ["AMOUNTS", "DECIMALS", "read_amount"]

AMOUNTS: Final = {"value": "value_micros", "cost": "cost_micros"}
"""Word of a mapping's ``money`` to the wire field that it fills."""

DECIMALS: Final = (".", ",")
"""What may stand before the cents."""

_THOUSANDS: Final = "[ '’\u00a0\u202f{other}]"  # noqa: RUF001 -- what exports put there
_MILLION: Final = Decimal(1_000_000)


def _pattern(decimal: str) -> re.Pattern[str]:
    group = _THOUSANDS.replace("{other}", "," if decimal == "." else ".")
    whole = rf"[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]{{1,15}}"
    return re.compile(rf"([+-]?)({whole})(?:{re.escape(decimal)}([0-9]{{1,12}}))?")


_WRITTEN: Final = {decimal: _pattern(decimal) for decimal in DECIMALS}


def read_amount(value: Any, column: str, *, decimal: str) -> int:
    """Return a cell's amount in millionths, halves rounded away from zero.

    Args:
        value: The cell: a number, or text such as ``1.234,50``.
        column: Its column, for messages.
        decimal: What stands before the cents; the other one and spaces may part thousands.

    Raises:
        EventRejected: It is no such amount. A comma that could mean either is never guessed at.
    """
    try:
        amount = Decimal(_digits(str(value).strip(), "." if isinstance(value, float) else decimal))
        return int((amount * _MILLION).to_integral_value(rounding=ROUND_HALF_UP))
    except (InvalidOperation, ValueError):
        example = f"1234{decimal}50"
        detail = f"the column {column!r} is {value!r}, no amount such as {example}"
        raise EventRejected("wrong_type", detail) from None


def _digits(written: str, decimal: str) -> str:
    """Return an amount as Python writes it.

    Raises:
        ValueError: It is written otherwise than asked for.
    """
    found = _WRITTEN[decimal].fullmatch(written)
    if found is None:
        raise ValueError(written)
    sign, whole, cents = found.groups()
    return f"{sign}{re.sub('[^0-9]', '', whole)}.{cents or 0}"
