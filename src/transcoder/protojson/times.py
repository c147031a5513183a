"""Timestamp and Duration as text.

Timestamps are those of RFC 3339, section 5.6, with `T` and `Z` in capitals and at most nine
digits of a second, from year 1 to 9999; durations are seconds with at most nine digits, then `s`.
Digits are ASCII.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Any

from transcoder.well_known import FIRST_SECOND, LAST_SECOND, LONGEST

_EPOCH = date(1970, 1, 1).toordinal()
_GIGA = 1_000_000_000

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_RFC3339 = re.compile(
    r"([^T]{10})(T(?:[01]\d|2[0-3]):[0-5]\d:)([0-5]\d)(?:\.(\d{1,9}))?"
    r"(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_SECONDS = re.compile(r"(-?)(0|[1-9]\d{0,11})(?:\.(\d{1,9}))?s", re.ASCII)

# A moment's text is put together from what is written already, and taken apart the same way.
_MINUTES = tuple(f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(1440))
_SECONDS_UTC = tuple(f"{second:02}Z" for second in range(60))
MINUTES_OF_DAY = {text: minute * 60 for minute, text in enumerate(_MINUTES)}
"""`T12:00:` to seconds since midnight."""
SECONDS_OF_MINUTE = {text: second for second, text in enumerate(_SECONDS_UTC)}
"""`00Z` to seconds."""


def read_timestamp(text: str) -> tuple[int, int]:
    """Return seconds since 1970 and nanoseconds.

    Raises:
        ValueError: the text is no timestamp, or not one of the years 1 to 9999.

    >>> read_timestamp("1970-01-01T01:00:00.5+01:00")
    (0, 500000000)
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not a timestamp")
    day, minute, second, fraction, sign, hours, minutes = match.groups()
    seconds = midnight(day) + MINUTES_OF_DAY[minute] + int(second)
    if sign is not None:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds += offset if sign == "-" else -offset
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        raise ValueError("not a timestamp of the years 1 to 9999")
    return seconds, int(fraction.ljust(9, "0")) if fraction else 0


@lru_cache(4_000)
def midnight(day: str) -> int:
    """Return the seconds from 1970 to the beginning of a day, in UTC.

    Raises:
        ValueError: it is not written as in 2026-01-31, or not a day.
    """
    if _DAY.fullmatch(day) is None:
        raise ValueError("not a day")
    return (date.fromisoformat(day).toordinal() - _EPOCH) * 86_400


def read_duration(text: str) -> tuple[int, int]:
    """Return seconds and nanoseconds, both of the duration's sign.

    Raises:
        ValueError: the text is no duration, or one over 10,000 years.

    >>> read_duration("-1.5s")
    (-1, -500000000)
    """
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise ValueError("not a duration")
    sign, whole, fraction = match.groups()
    seconds = int(whole)
    nanos = int(fraction.ljust(9, "0")) if fraction else 0
    if seconds > LONGEST:
        raise ValueError("not a duration of at most 10,000 years")
    return (-seconds, -nanos) if sign else (seconds, nanos)


def timestamp_text(moment: Any) -> str:
    """Return the RFC 3339 text of a Timestamp, with 0, 3, 6 or 9 digits of a second.

    Raises:
        ValueError: it is out of range.

    >>> from google.protobuf.timestamp_pb2 import Timestamp
    >>> timestamp_text(Timestamp(nanos=20_000_000))
    '1970-01-01T00:00:00.020Z'
    """
    seconds: int = moment.seconds
    nanos: int = moment.nanos
    days, rest = divmod(seconds, 86_400)
    if nanos:
        if not 0 < nanos < _GIGA:
            raise ValueError("a timestamp out of range")
        return f"{_date(days)}{_MINUTES[rest // 60]}{rest % 60:02}{_fraction(nanos)}Z"
    return _date(days) + _MINUTES[rest // 60] + _SECONDS_UTC[rest % 60]


@lru_cache(4_000)
def _date(days: int) -> str:
    ordinal = days + _EPOCH
    if not 0 < ordinal <= date.max.toordinal():
        raise ValueError("a timestamp out of range")
    return date.fromordinal(ordinal).isoformat()


def duration_text(duration: Any) -> str:
    """Return a Duration as seconds with 0, 3, 6 or 9 digits.

    Raises:
        ValueError: it is out of range, or its parts differ in sign.

    >>> from google.protobuf.duration_pb2 import Duration
    >>> duration_text(Duration(seconds=-1, nanos=-500_000_000))
    '-1.500s'
    """
    seconds, nanos = duration.seconds, duration.nanos
    if not (-LONGEST <= seconds <= LONGEST and -_GIGA < nanos < _GIGA):
        raise ValueError("a duration out of range")
    if (seconds < 0 < nanos) or (nanos < 0 < seconds):
        raise ValueError("a duration with two signs")
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{_fraction(abs(nanos))}s"


def _fraction(nanos: int) -> str:
    if not nanos:
        return ""
    if not nanos % 1_000_000:
        return f".{nanos // 1_000_000:03}"
    if not nanos % 1_000:
        return f".{nanos // 1_000:06}"
    return f".{nanos:09}"
