"""Text of a path variable or a query parameter to the value of a field.

One reading for each type of the protobuf language guide, section "ProtoJSON format", without
the quotes that JSON puts around it; what a type takes besides is said at its reader. Text is
read strictly: no blanks, no signs, digits or separators that `int` and `float` would let pass.
"""

from __future__ import annotations

import binascii
import datetime as dt
import difflib
import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

Read = Callable[[str], Any]
"""Text to a scalar or an enum number; raises BadValue."""
Fill = Callable[[Message, str], None]
"""Text into a fresh message of a well-known type; raises BadValue."""


class BadValue(ValueError):
    """A text is not a value of its field; says what was expected, never what was sent."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` when a known name is near, else nothing.

    >>> suggestion("pagesize", ["page_size", "page_token"])
    '; did you mean page_size?'
    """
    folded = {each.lower().replace("_", ""): each for each in known}
    wanted = name[:64].lower().replace("_", "")
    likely: Iterable[str] = folded
    if len(folded) > _COMPARED:
        likely = [each for each in folded if _is_likely(each, wanted)]
        if len(likely) > _COMPARED:
            return ""
    near = difflib.get_close_matches(wanted, likely, n=1, cutoff=0.7)
    return f"; did you mean {folded[near[0]]}?" if near else ""


_COMPARED = 64
"""Names that one is compared with: each takes up to a tenth of a millisecond."""


def _is_likely(name: str, wanted: str) -> bool:
    """Say, at little cost, whether two names may be alike: most typos leave the first letter."""
    return name[:1] == wanted[:1] and abs(len(name) - len(wanted)) <= 2


def scalar(field: FieldDescriptor) -> Read:
    """Return the reader of one value of a scalar or enum field.

    >>> from google.protobuf.descriptor_pb2 import FieldDescriptorProto
    >>> scalar(FieldDescriptorProto.DESCRIPTOR.fields_by_name["number"])("7")
    7
    """
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes
    return _SCALARS[field.cpp_type]


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


def _integer(low: int, high: int, kind: str) -> Read:
    def read(text: str) -> int:
        digits = text if text.isdigit() else text.removeprefix("-")
        # `int` takes other scripts, blanks and underscores too, and quadratic time for a long text;
        # 20 digits hold every 64-bit number.
        if len(digits) > 20 or not digits.isascii() or not digits.isdigit():
            raise BadValue(f"expected {kind}")
        number = int(text)
        if low <= number <= high:
            return number
        raise BadValue(f"expected {kind}, from {low} to {high}")

    return read


_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NAMED_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_FLOAT_OVERFLOW = float.fromhex("0x1.ffffffp+127")
"""The least double that rounds to infinity as a float; 3.4028235e38 is still below it."""


def _number(limit: float, kind: str) -> Read:
    def read(text: str) -> float:
        if text in _NAMED_NUMBERS:
            return _NAMED_NUMBERS[text]
        if not _NUMBER.fullmatch(text):
            raise BadValue("expected a number, NaN, Infinity or -Infinity")
        number = float(text)
        if abs(number) < limit:
            return number
        raise BadValue(f"out of the range of a {kind}")

    return read


_BOOLS = {"true": True, "false": False, "1": True, "0": False}


def _bool(text: str) -> bool:
    try:
        return _BOOLS[text]
    except KeyError:
        raise BadValue("expected true or false") from None


def _string(text: str) -> str:
    return text


_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}")


def _bytes(text: str) -> bytes:
    """Read base64 in either alphabet of RFC 4648, with or without padding."""
    digits = text.rstrip("=")
    padded = len(digits) != len(text)
    if not _BASE64.fullmatch(text) or len(digits) % 4 == 1 or (padded and len(text) % 4):
        hint = "; in a query, + must be sent as %2B" if " " in text else ""
        raise BadValue(f"expected base64{hint}")
    standard = digits.replace("-", "+").replace("_", "/")
    return binascii.a2b_base64(standard + "=" * (-len(digits) % 4))


def _enum(enum: EnumDescriptor) -> Read:
    numbers = {value.name: value.number for value in enum.values}
    closed = frozenset(numbers.values()) if enum.is_closed else None
    integer = _integer(-(2**31), 2**31 - 1, f"a name or number of {enum.name}")

    def read(text: str) -> int:
        number = numbers.get(text)
        if number is not None:
            return number
        if not text.lstrip("-").isdigit():
            raise BadValue(f"no such value of {enum.name}{suggestion(text, numbers)}")
        number = int(integer(text))
        if closed is not None and number not in closed:
            raise BadValue(f"no such number in {enum.name}")
        return number

    return read


_SCALARS: dict[int, Read] = {
    FieldDescriptor.CPPTYPE_INT32: _integer(-(2**31), 2**31 - 1, "a 32-bit integer"),
    FieldDescriptor.CPPTYPE_INT64: _integer(-(2**63), 2**63 - 1, "a 64-bit integer"),
    FieldDescriptor.CPPTYPE_UINT32: _integer(0, 2**32 - 1, "an unsigned 32-bit integer"),
    FieldDescriptor.CPPTYPE_UINT64: _integer(0, 2**64 - 1, "an unsigned 64-bit integer"),
    FieldDescriptor.CPPTYPE_FLOAT: _number(_FLOAT_OVERFLOW, "float"),
    FieldDescriptor.CPPTYPE_DOUBLE: _number(math.inf, "double"),
    FieldDescriptor.CPPTYPE_BOOL: _bool,
    FieldDescriptor.CPPTYPE_STRING: _string,
}


def _wrapper(read: Read) -> Fill:
    def fill(message: Message, text: str) -> None:
        message.value = read(text)  # type: ignore[attr-defined]  # a message of any pool

    return fill


_EPOCH = dt.date(1970, 1, 1).toordinal()
_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799
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
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
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
_LONGEST = 315_576_000_000
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
    if seconds > _LONGEST:
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
