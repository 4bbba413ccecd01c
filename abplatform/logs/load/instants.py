"""RFC 3339 moments as text → microseconds since 1970, many at once.

The digits are read eight bytes at a time as 64-bit words. Only the plain layouts are read here:
``YYYY-MM-DDTHH:MM:SS``, perhaps a fraction of one to six digits, then ``Z`` or an offset. Whatever
else RFC 3339 allows (a small t or z, a blank for the T, leap seconds, more digits) is left to the
decoder of single events.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no stubs

__all__ = ["micros_of"]

_Ints = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]
_Words = npt.NDArray[np.uint64]

_SECONDS: Final = 19
_SHORTEST: Final = 20
_OFFSET: Final = 6
_MOST_DIGITS: Final = 6
_DIGIT: Final = np.uint64(0x3030303030303030)
_HIGH: Final = np.uint64(0xF0F0F0F0F0F0F0F0)
_LOW: Final = np.uint64(0x0F0F0F0F0F0F0F0F)
_SIX: Final = np.uint64(0x0606060606060606)
_BYTE: Final = np.uint64(0xFF)
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2199


def micros_of(texts: pl.Series) -> tuple[_Ints, _Flags]:
    """Return the moments and whether each was read, both of shape (n,).

    Args:
        texts: n strings; null is read as no moment.
    """
    lengths = texts.str.len_bytes().fill_null(0).to_numpy()
    micros = np.zeros(len(texts), dtype=np.int64)
    good = np.zeros(len(texts), dtype=np.bool_)
    for length in np.unique(lengths):
        if length < _SHORTEST or length > _SECONDS + 1 + _MOST_DIGITS + _OFFSET:
            continue
        if length == lengths[0] and (lengths == length).all():
            return _read(_bytes_of(texts, int(length)))
        rows = np.flatnonzero(lengths == length)
        micros[rows], good[rows] = _read(_bytes_of(texts.gather(rows), int(length)))
    return micros, good


def _bytes_of(texts: pl.Series, length: int) -> npt.NDArray[np.uint8]:
    """Return n strings of one length as bytes, shape (n, length)."""
    array: Any = texts.to_arrow()
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    array = array.cast(pa.large_binary())
    offsets = np.frombuffer(array.buffers()[1], np.int64)
    data = np.frombuffer(array.buffers()[2], np.uint8)
    start = int(offsets[array.offset])
    return data[start : start + len(texts) * length].reshape(-1, length)


def _read(texts: npt.NDArray[np.uint8]) -> tuple[_Ints, _Flags]:
    """Read moments of one length."""
    length = texts.shape[1]
    zone = 1 if _is_all(texts[:, -1], ord("Z")) else _OFFSET
    if zone == 1 or not (texts[:, -1] == ord("Z")).any():
        return _read_alike(texts, length - zone - _SECONDS, zone)
    micros = np.zeros(len(texts), dtype=np.int64)
    good = np.zeros(len(texts), dtype=np.bool_)
    is_utc = texts[:, -1] == ord("Z")
    for rows in (np.flatnonzero(is_utc), np.flatnonzero(~is_utc)):
        micros[rows], good[rows] = _read(np.ascontiguousarray(texts[rows]))
    return micros, good


def _read_alike(texts: npt.NDArray[np.uint8], fraction: int, zone: int) -> tuple[_Ints, _Flags]:
    """Read moments of one layout; ``fraction`` counts the dot, too."""
    if fraction not in {0, *range(2, _MOST_DIGITS + 2)}:
        return np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=np.bool_)
    date, good = _word(texts, 0, "0000-00-")
    hours, fine = _word(texts, 8, "00T00:00")
    good &= fine
    good &= (texts[:, 16] == ord(":")) & _are_digits(texts[:, 17:_SECONDS])
    year = _pair(date, 0) * 100 + _pair(date, 2)
    month, day = _pair(date, 5), _pair(hours, 0)
    hour, minute = _pair(hours, 3), _pair(hours, 6)
    second = _number(texts[:, 17:_SECONDS])
    good &= (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month >= 1) & (month <= 12)
    good &= (day >= 1) & (hour <= 23) & (minute <= 59) & (second <= 59)
    # Calendar arithmetic is numpy's: months since 1970 → days.
    months = ((year - _FIRST_YEAR) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    good &= days.astype("datetime64[M]") == months
    seconds = ((days.astype(np.int64) * 24 + hour) * 60 + minute) * 60 + second
    micros = seconds * 1_000_000
    if fraction:
        digits = texts[:, _SECONDS + 1 : _SECONDS + fraction]
        good &= (texts[:, _SECONDS] == ord(".")) & _are_digits(digits)
        micros += _number(digits) * 10 ** (_MOST_DIGITS + 1 - fraction)
    if zone == _OFFSET:
        ahead, fine = _offset(texts[:, -_OFFSET:])
        good &= fine
        micros -= ahead
    return micros, good


def _offset(texts: npt.NDArray[np.uint8]) -> tuple[_Ints, _Flags]:
    """Read ``+HH:MM``."""
    hours, minutes = _number(texts[:, 1:3]), _number(texts[:, 4:6])
    is_behind = texts[:, 0] == ord("-")
    good = (is_behind | (texts[:, 0] == ord("+"))) & (texts[:, 3] == ord(":"))
    good &= _are_digits(texts[:, 1:3]) & _are_digits(texts[:, 4:6])
    good &= (hours <= 23) & (minutes <= 59)
    ahead = (hours * 60 + minutes) * 60_000_000
    return np.where(is_behind, -ahead, ahead), good


def _word(texts: npt.NDArray[np.uint8], at: int, pattern: str) -> tuple[_Words, _Flags]:
    """Return each row's eight bytes from ``at`` as pairs of digits, and whether they fit.

    Byte i of a result holds ten times digit i plus digit i + 1. In the pattern, 0 stands for any
    digit and everything else for itself.
    """
    rows, length = texts.shape
    words = np.ndarray((rows,), "<u8", texts, at, (length,)).copy()
    shape = np.frombuffer(pattern.encode(), "<u8")[0]
    digits = np.frombuffer(bytes(255 * (sign == "0") for sign in pattern), "<u8")[0]
    fits = (words & ((_HIGH & digits) | ~digits)) == shape
    fits &= (((words & digits) + (_SIX & digits)) & _HIGH & digits) == (_DIGIT & digits)
    values = words & _LOW
    return values * np.uint64(10) + (values >> np.uint64(8)), fits


def _pair(words: _Words, at: int) -> _Ints:
    return ((words >> np.uint64(8 * at)) & _BYTE).astype(np.int64)


def _number(digits: npt.NDArray[np.uint8]) -> _Ints:
    value = np.zeros(len(digits), dtype=np.int64)
    for column in range(digits.shape[1]):
        value *= 10
        value += digits[:, column]
    return value - int("1" * digits.shape[1]) * ord("0")


def _are_digits(digits: npt.NDArray[np.uint8]) -> _Flags:
    # Below "0" the difference wraps around and is large.
    is_digit: npt.NDArray[np.bool_] = (digits - np.uint8(ord("0"))) <= 9
    fits: _Flags = np.logical_and.reduce(is_digit, axis=1)
    return fits


def _is_all(column: npt.NDArray[np.uint8], sign: int) -> bool:
    return bool((column == sign).all())
