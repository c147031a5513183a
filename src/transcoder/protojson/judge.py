"""What is wrong with one JSON value as the value of a scalar field, in plain words.

Numbers in quotes are spelled as JSON spells numbers. Integers may have a fraction or an exponent
as long as a double holds them exactly, for that is what json_format makes of them.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from transcoder.protojson.document import Number, Pairs
from transcoder.protojson.enums import custom_numbers
from transcoder.protojson.scalars import is_base64, is_json_number
from transcoder.values import FLOAT_MAX, NON_FINITE, suggestion

_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: "a 32-bit integer",
    FieldDescriptor.CPPTYPE_UINT32: "an unsigned 32-bit integer",
    FieldDescriptor.CPPTYPE_INT64: "a 64-bit integer",
    FieldDescriptor.CPPTYPE_UINT64: "an unsigned 64-bit integer",
}
_HUGE = 2**64
_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")


def judge(value: Any, field: FieldDescriptor, *, ignore_unknown: bool = False) -> str | None:
    """Return what is wrong with a value of a scalar or enum field, None when nothing is.

    Args:
        value: from `document.parse`.
        field: whether it repeats does not matter.
        ignore_unknown: a name that no value of an enum has is passed over.
    """
    if field.cpp_type in _RANGES:
        return _integer(value, field.cpp_type)
    if field.enum_type is not None:
        return _enum(value, field.enum_type, ignore_unknown=ignore_unknown)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return None if isinstance(value, bool) else f"expected true or false, got {kind(value)}"
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _text(value, is_bytes=field.type == FieldDescriptor.TYPE_BYTES)
    limit = FLOAT_MAX if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT else math.inf
    return _floating(value, limit)


def judge_key(key: str, field: FieldDescriptor) -> str | None:
    """Return what is wrong with a key of a map, None when nothing is."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return None if key in {"true", "false"} else "expected true or false"
    return judge(key, field)


def key_value(key: str, field: FieldDescriptor) -> Any:
    """Return the value that a key of a map, found right, stands for."""
    return int(Decimal(key)) if field.cpp_type in _RANGES else key


def judge_text(text: str) -> str | None:
    """Return what is wrong with a string as text."""
    return "holds half of a surrogate pair" if _SURROGATE.search(text) else None


def judge_number(value: float) -> str | None:
    """Return what is wrong with a JSON number as a double."""
    return None if _is_within(value, math.inf) else "expected a number that a double can hold"


def kind(value: Any) -> str:
    """Return what a JSON value is, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Pairs):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return "a number"


def _integer(value: Any, cpp_type: int) -> str | None:
    low, high = _RANGES[cpp_type]
    expected = f"expected {_INTEGERS[cpp_type]}"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return f"{expected}, got {kind(value)}"
    exact = _exact(value)
    if exact is None:
        return expected
    if not low <= exact <= high:
        return f"{expected}, from {low} to {high}"
    # From a fraction or an exponent, json_format goes through a double.
    if isinstance(exact, int) or int(float(exact)) == exact == int(exact):
        return None
    return expected


def _exact(value: float | str) -> Decimal | int | None:
    """Return the very number that is written, None when it is none."""
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        if _INTEGER.fullmatch(value):
            return int(value) if len(value) < 21 else _HUGE
        return _decimal(value) if is_json_number(value) else None
    if not isinstance(value, Number):
        return None
    if len(value.spelling) < 16 and -1e15 < value < 1e15 and value.is_integer():
        # Two decimals of at most 15 digits are never the same double, so this one is the integer.
        return int(value)
    return _decimal(value.spelling)


def _decimal(spelling: str) -> Decimal | None:
    try:
        return Decimal(spelling)
    except ArithmeticError:  # An exponent beyond all bounds.
        return None


def _enum(value: Any, enum: EnumDescriptor, *, ignore_unknown: bool) -> str | None:
    expected = f"expected a name or number of {enum.name}"
    if isinstance(value, int) and not isinstance(value, bool):
        return _enum_number(value, enum)
    if not isinstance(value, str):
        return f"{expected}, got {kind(value)}"
    if _INTEGER.fullmatch(value):
        return _enum_number(int(value) if len(value) < 12 else 2**31, enum)
    if _is_python_integer(value):
        return expected
    names = _names(enum)
    known = value in names or ignore_unknown
    return None if known else f"no such value of {enum.name}{suggestion(value, names)}"


@lru_cache(1_000)
def _names(enum: EnumDescriptor) -> frozenset[str]:
    return frozenset(each.name for each in enum.values) | custom_numbers(enum).keys()


def _enum_number(number: int, enum: EnumDescriptor) -> str | None:
    if not -(2**31) <= number < 2**31:
        return f"expected a number of {enum.name}"
    if enum.is_closed and number not in enum.values_by_number:
        return f"no such value of {enum.name}"
    return None


def _is_python_integer(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _text(value: Any, *, is_bytes: bool) -> str | None:
    if not isinstance(value, str):
        return f"expected a string, got {kind(value)}"
    if not is_bytes:
        return judge_text(value)
    if is_base64(value):
        return None
    cut = is_base64(value.rstrip("=") + "A")
    return "expected base64, and this one ends early" if cut else "expected base64"


def _floating(value: Any, limit: float) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return f"expected a number, got {kind(value)}"
    if isinstance(value, str):
        if value in NON_FINITE:
            return None
        if not is_json_number(value):
            return "expected a number"
        value = float(value)
    if _is_within(value, limit):
        return None
    size = "float" if limit == FLOAT_MAX else "double"
    return f"expected a number that a {size} can hold"


def _is_within(value: float, limit: float) -> bool:
    try:
        number = float(value)
    except OverflowError:
        return False
    return math.isfinite(number) and -limit <= number <= limit
