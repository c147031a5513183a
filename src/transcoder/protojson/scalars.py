"""Scalars that JSON writes in a way of its own: base64, float32, numbers in quotes."""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from ctypes import c_float
from math import copysign

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*+(={0,2})")
_STANDARD = str.maketrans("-_", "+/")


def is_json_number(text: str) -> bool:
    """Say whether a text is spelled as RFC 8259, section 6, spells numbers.

    >>> [is_json_number(text) for text in ("-1.5e3", "+1", "01", "1_000", " 1", "٣", ".5")]
    [True, False, False, False, False, False, False]
    """
    return _NUMBER.fullmatch(text) is not None


def is_base64(text: str) -> bool:
    """Say whether a text is base64 of either alphabet, padded in full or not at all.

    >>> [is_base64(text) for text in ("+/8=", "-_8", "QQ=", "Q", "a*b=")]
    [True, True, False, False, False]
    """
    found = _BASE64.fullmatch(text)
    if found is None:
        return False
    return len(text) % 4 == 0 if found[1] else len(text) % 4 != 1


def from_base64(text: str) -> bytes:
    r"""Return the bytes of a base64 text that `is_base64`.

    Raises:
        ValueError: it is not.

    >>> from_base64("-_8")
    b'\xfb\xff'
    """
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        if not is_base64(text):
            raise
    standard = text.translate(_STANDARD)
    return a2b_base64(standard + "=" * (-len(standard) % 4), strict_mode=True)


def to_base64(data: bytes) -> str:
    """Return the padded base64 text of bytes, in the standard alphabet."""
    return b2a_base64(data, newline=False).decode()


def is_negative_zero(value: float) -> bool:
    """Say whether a zero is the negative one, which is a value where zero is the default."""
    return copysign(1.0, value) < 0.0


def finite(value: float) -> float | str:
    """Return a double as JSON has it: the three that are no numbers become strings.

    >>> finite(1.5), finite(float("-inf"))
    (1.5, '-Infinity')
    """
    if value - value == 0.0:
        return value
    if value != value:  # noqa: PLR0124  NaN is what differs from itself
        return "NaN"
    return "Infinity" if value > 0.0 else "-Infinity"


def shortest(value: float) -> float | str:
    """Return a float32 as the shortest number that reads back to it, of at least 6 digits.

    >>> shortest(0.10000000149011612)
    0.1
    """
    if value - value != 0.0:
        return finite(value)
    for digits in (6, 7, 8):
        near = float(f"{value:.{digits}g}")
        if c_float(near).value == value:
            return near
    return float(f"{value:.9g}")


def all_finite(values: list[float]) -> list[float | str] | list[float]:
    """Return doubles as JSON has them.

    >>> all_finite([1.0, float("nan")])
    [1.0, 'NaN']
    """
    total = sum(values)
    # One NaN or infinity makes the sum one; a sum that overflows only costs the second look.
    return values if total - total == 0.0 else [finite(value) for value in values]
