"""Text of a path variable or a query parameter into a message of a well-known type.

Times, durations, field masks and wrappers read as their JSON strings do without the quotes, what
has no such string as JSON text. What a type takes besides is said at its reader. `protojson` has
readers of its own, which take only what json_format does, and many values at a time; both know the
same limits.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from transcoder.values import BadValue, Read, scalar

Fill = Callable[[Message, str], None]
"""Text into a fresh message of a well-known type; raises BadValue."""


def well_known(descriptor: Descriptor) -> Fill | None:
    """Return how text fills a message of this type; None for types that no text says.

    >>> from google.protobuf.duration_pb2 import Duration
    >>> delay = Duration()
    >>> well_known(Duration.DESCRIPTOR)(delay, "1m30s")
    >>> delay.seconds
    90
    """
    name = descriptor.full_name
    if name in _WRAPPERS:
        return _wrapper(scalar(descriptor.fields_by_name["value"]))
    return _FILLS.get(name)


def is_weighed(descriptor: Descriptor) -> bool:
    """Say whether a text of this message type holds as much as it likes: JSON, or a field mask."""
    return descriptor.full_name in _JSON or descriptor.full_name == "google.protobuf.FieldMask"


def fits_path(descriptor: Descriptor) -> bool:
    """Say whether a path variable may be of this message type: one that reads as plain text."""
    return descriptor.full_name in _WRAPPERS or descriptor.full_name in _PLAIN


def _wrapper(read: Read) -> Fill:
    def fill(message: Message, text: str) -> None:
        message.value = read(text)  # type: ignore[attr-defined]  # a message of any pool

    return fill


_EPOCH = dt.date(1970, 1, 1).toordinal()
FIRST_SECOND = -62_135_596_800
LAST_SECOND = 253_402_300_799
"""Seconds of the years 1 to 9999, counted from 1970."""
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])"
    r"(?:\.([0-9]{1,9}))?(?:Z|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)


def _timestamp(message: Any, text: str) -> None:
    """Read RFC 3339; there is no leap second in a `google.protobuf.Timestamp`."""
    found = _TIME.fullmatch(text)
    if found is None:
        hint = "; in a query, + must be sent as %2B" if " " in text else ""
        raise BadValue(f"expected an RFC 3339 time such as 2026-01-31T12:00:00Z{hint}")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, sign, off_hours, off_minutes = found.groups()[6:]
    try:
        days = dt.date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        raise BadValue("no such day in the calendar") from None
    seconds = days * 86_400 + hour * 3_600 + minute * 60 + second
    if sign:
        offset = int(off_hours) * 3_600 + int(off_minutes) * 60
        seconds += offset if sign == "-" else -offset
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        raise BadValue("out of the range of a time, year 1 to 9999")
    message.seconds = seconds
    message.nanos = int((fraction or "").ljust(9, "0"))


_NANOS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
LONGEST = 315_576_000_000
"""Whole seconds of a `google.protobuf.Duration`; any fraction may follow."""
_DURATION_PART = re.compile(r"(?=\.?[0-9])([0-9]{0,18})(?:\.([0-9]{0,9}))?(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"-?(?:0|(?:{_DURATION_PART.pattern})+)")


def _duration(message: Any, text: str) -> None:
    """Read seconds as ProtoJSON writes them, and what Go's `time.ParseDuration` reads.

    That is sums of units such as `1h2m` or `300ms`, `.5s`, `1.s` and a bare `0`; no plus sign.
    """
    if not _DURATION.fullmatch(text):
        raise BadValue("expected a duration such as 1.5s")
    nanos = 0
    for whole, fraction, unit in _DURATION_PART.findall(text):
        nanos += int(whole or 0) * _NANOS[unit]
        nanos += int(fraction.ljust(9, "0")) * _NANOS[unit] // 1_000_000_000
    seconds, rest = divmod(nanos, 1_000_000_000)
    if seconds > LONGEST:
        raise BadValue("out of the range of a duration, 10,000 years")
    sign = -1 if text.startswith("-") else 1
    message.seconds = sign * seconds
    message.nanos = sign * rest


_LENGTH_LIMIT = 8192
"""Characters of a JSON text or a field mask: what fits into a query, wherever it was sent."""


def _check_length(text: str) -> None:
    if len(text) > _LENGTH_LIMIT:
        raise BadValue(f"over the limit of {_LENGTH_LIMIT} characters")


_SEGMENT = r"(?:[A-Za-z0-9_]+|\*|`[^`]+`)"
_MASK_PATH = re.compile(rf"{_SEGMENT}(?:\.{_SEGMENT})*")


def _field_mask(message: Any, text: str) -> None:
    """Read paths in snake_case or lowerCamelCase, `*` and back-quoted map keys (AIP-161)."""
    _check_length(text)
    position = 0
    while position < len(text):
        found = _MASK_PATH.match(text, position)
        if found is None or text[found.end() : found.end() + 1] not in {"", ","}:
            raise BadValue("expected field names joined by commas")
        message.paths.append(_snake(found.group()))
        position = found.end() + 1
    if text.endswith(","):
        raise BadValue("expected field names joined by commas")


def _snake(path: str) -> str:
    if path.islower():
        return path
    return ".".join(_snake_segment(part) for part in re.findall(_SEGMENT, path))


def _snake_segment(segment: str) -> str:
    # Neither a proto name such as HTTP_port nor a map key is in lowerCamelCase.
    if "_" in segment or not segment[0].islower():
        return segment
    return re.sub("[A-Z]", lambda capital: f"_{capital.group().lower()}", segment)


def _json(message: Message, text: str) -> None:
    """Read JSON text; NaN, overflows and repeated keys are refused."""
    _check_length(text)
    try:
        value = json.loads(
            text,
            parse_int=_finite,
            parse_float=_finite,
            parse_constant=_finite,
            object_pairs_hook=_without_duplicates,
        )
        json_format.ParseDict(value, message)
    except (ValueError, TypeError, RecursionError, json_format.Error):
        raise BadValue(f"expected the JSON text of a {message.DESCRIPTOR.name}") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


_PLAIN: dict[str, Fill] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": _field_mask,
}
_JSON: dict[str, Fill] = {
    "google.protobuf.Value": _json,
    "google.protobuf.Struct": _json,
    "google.protobuf.ListValue": _json,
}
_FILLS: dict[str, Fill] = {**_PLAIN, **_JSON}
_WRAPPERS = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
