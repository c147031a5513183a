"""Text of a path variable or a query parameter to a scalar or an enum number.

One reading for each type of the protobuf language guide, section "ProtoJSON format", without
the quotes that JSON puts around it; what a type takes besides is said at its reader. Text is
read strictly: no blanks, no signs, digits or separators that `int` and `float` would let pass.
`protojson` has readers of its own, which take what json_format takes; both know the same limits.
"""

from __future__ import annotations

import binascii
import difflib
import math
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

Read = Callable[[str], Any]
"""Text to a scalar or an enum number; raises BadValue."""


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
NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""What JSON, which has no such numbers, has in their place."""

FLOAT_MAX = float.fromhex("0x1.fffffep+127")
"""The largest float32; json_format takes no more, so 3.4028235e38, its shortest text, is none."""


def _number(limit: float, kind: str) -> Read:
    def read(text: str) -> float:
        if text in NON_FINITE:
            return NON_FINITE[text]
        if not _NUMBER.fullmatch(text):
            raise BadValue("expected a number, NaN, Infinity or -Infinity")
        number = float(text)
        if abs(number) <= limit:
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
    FieldDescriptor.CPPTYPE_FLOAT: _number(FLOAT_MAX, "float"),
    FieldDescriptor.CPPTYPE_DOUBLE: _number(sys.float_info.max, "double"),
    FieldDescriptor.CPPTYPE_BOOL: _bool,
    FieldDescriptor.CPPTYPE_STRING: _string,
}
