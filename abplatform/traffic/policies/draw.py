"""Random numbers that can be drawn again: a decision's id and a salt give always the same one."""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["unit_draw"]

_UNIT = 2.0**-53


def unit_draw(salt: str, decision_id: str) -> float:
    """Return a number in [0, 1), uniform over decision ids and the same for the same words.

    It is the high 53 bits of BLAKE2b-64 of ``salt ‖ 0 ‖ decision_id``, both in UTF-8, divided by
    2⁵³: every value is a double, and 1 is never reached (BLAKE2: RFC 7693).

    Args:
        salt: What is drawn, such as ``choice``; without a zero byte.
        decision_id: The decision.
    """
    digest = blake2b(f"{salt}\0{decision_id}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * _UNIT
