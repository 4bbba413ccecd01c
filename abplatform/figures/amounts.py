"""Fractions written for people."""

from __future__ import annotations

__all__ = ["MINUS", "interval_text", "percent", "share", "shorten"]

MINUS = "\N{MINUS SIGN}"


def percent(value: float, *, digits: int = 1) -> str:
    """Write a fraction as a signed percentage with a real minus sign: ``+4.2%``."""
    text = f"{value:+.{digits}%}"
    # Nothing is less than nothing: -0.0% reads as a loss.
    text = text if any(digit in text for digit in "123456789") else f"{0:.{digits}%}"
    return text.replace("-", MINUS)


def interval_text(low: float | None, high: float | None) -> str:
    """Write an interval of fractions, an open end as infinity: ``+1.0% … +7.5%``."""
    least = f"{MINUS}\N{INFINITY}" if low is None else percent(low)
    most = "+\N{INFINITY}" if high is None else percent(high)
    return f"{least} \N{HORIZONTAL ELLIPSIS} {most}"


def share(value: float) -> str:
    """Return a share with just the digits it needs: ``12%``, ``0.4%``, ``<0.1%``, ``>99%``."""
    if 0 < value < 0.001:
        return "<0.1%"
    if 0.99 < value < 1:
        return ">99.9%" if value > 0.999 else ">99%"
    return f"{value:.1%}" if 0 < value < 0.1 else f"{value:.0%}"


def shorten(text: str, length: int) -> str:
    """Return a text of at most so many signs, the last an ellipsis where something is left out."""
    return text if len(text) <= length else text[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"
