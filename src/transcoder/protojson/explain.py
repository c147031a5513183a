"""Why a JSON document is not a message: the first place where it stops to fit, in plain words.

Called only after a document was refused, so it may take its time. It walks the document beside
the descriptor and returns the JSON path and what was expected there; never the value, never a
list of fields.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import InvalidRequest
from transcoder.values import suggestion

Problem = tuple[str, str]

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
_WELL_KNOWN = {
    "google.protobuf.Timestamp": "an RFC 3339 time such as 2026-01-31T12:00:00Z",
    "google.protobuf.Duration": "a duration in seconds such as 1.5s",
    "google.protobuf.FieldMask": "field names in lowerCamelCase, joined by commas",
}
_DEPTH = 100


def explain(
    data: bytes, message_class: type[Message], *, ignore_unknown: bool = False
) -> InvalidRequest:
    """Return the error that tells a client why its document was refused."""
    descriptor: Any = message_class.DESCRIPTOR
    try:
        document = json.loads(data.decode(), object_pairs_hook=_Pairs)
    except UnicodeDecodeError as error:
        return InvalidRequest(f"the JSON is not UTF-8: bad byte at offset {error.start}")
    except json.JSONDecodeError as error:
        problem = error.msg[:1].lower() + error.msg[1:]
        return InvalidRequest(f"not JSON: line {error.lineno}, column {error.colno}: {problem}")
    except ValueError:
        return InvalidRequest("not JSON of this message: a number is too long")
    except RecursionError:
        return InvalidRequest(f"not JSON of this message: nested over {_DEPTH} levels deep")
    found = next(_Walk(ignore_unknown=ignore_unknown).message(document, descriptor, "", 0), None)
    if found is None:
        return InvalidRequest("the JSON does not fit the message")
    path, problem = found
    return InvalidRequest(problem, path)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys in order, duplicates kept."""


class _Walk:
    def __init__(self, *, ignore_unknown: bool) -> None:
        self.ignore_unknown = ignore_unknown

    def message(
        self, value: Any, descriptor: Descriptor, path: str, depth: int
    ) -> Iterator[Problem]:
        if depth > _DEPTH:
            yield path, f"nested over {_DEPTH} levels deep"
        elif descriptor.full_name.startswith("google.protobuf.") and _is_special(descriptor):
            yield from _special(value, descriptor, path)
        elif not isinstance(value, _Pairs):
            yield path, f"expected an object, got {_kind(value)}"
        else:
            yield from self._fields(value, descriptor, path, depth)

    def _fields(self, pairs: _Pairs, of: Descriptor, path: str, depth: int) -> Iterator[Problem]:
        seen: dict[str, str] = {}
        oneofs: dict[str, str] = {}
        fields = _fields_by_key(of)
        for key, value in pairs:
            where = f"{path}.{key}" if path else key
            field = fields.get(key)
            if field is None:
                if not self.ignore_unknown:
                    yield where, "no such field" + suggestion(key, json_names(of))
                continue
            if field.name in seen:
                yield where, f"given twice, as {seen[field.name]} before"
            seen[field.name] = key
            oneof = field.containing_oneof
            if oneof is not None and value is not None:
                if oneof.name in oneofs:
                    yield where, f"only one of {oneofs[oneof.name]} and {key} may be set"
                oneofs[oneof.name] = key
            if value is not None or _takes_null(field):
                yield from self._field(value, field, where, depth)

    def _field(
        self, value: Any, field: FieldDescriptor, path: str, depth: int
    ) -> Iterator[Problem]:
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            yield from self._map(value, entry, path, depth)
        elif field.is_repeated:
            if not isinstance(value, list) or isinstance(value, _Pairs):
                yield path, f"expected an array, got {_kind(value)}"
                return
            for index, item in enumerate(value):
                yield from self._single(item, field, f"{path}[{index}]", depth)
        else:
            yield from self._single(value, field, path, depth)

    def _map(self, value: Any, entry: Descriptor, path: str, depth: int) -> Iterator[Problem]:
        if not isinstance(value, _Pairs):
            yield path, f"expected an object, got {_kind(value)}"
            return
        key_field = entry.fields_by_name["key"]
        seen = set()
        for key, item in value:
            where = f"{path}.{key}"
            if key in seen:
                yield where, "given twice"
            seen.add(key)
            for _, problem in _map_key(key, key_field):
                yield where, f"as a key, {problem}"
            yield from self._single(item, entry.fields_by_name["value"], where, depth)

    def _single(
        self, value: Any, field: FieldDescriptor, path: str, depth: int
    ) -> Iterator[Problem]:
        if field.message_type is not None:
            yield from self.message(value, field.message_type, path, depth + 1)
        else:
            yield from _scalar(value, field, path)


def _is_special(descriptor: Descriptor) -> bool:
    return descriptor.file.name.removeprefix("google/protobuf/") in {
        "any.proto",
        "duration.proto",
        "field_mask.proto",
        "struct.proto",
        "timestamp.proto",
        "wrappers.proto",
    }


def _special(value: Any, descriptor: Descriptor, path: str) -> Iterator[Problem]:
    """Let json_format judge one well-known value; only the words are ours."""
    try:
        message = GetMessageClass(descriptor)()
        if isinstance(value, str):
            text: Any = value
            json_format.ParseDict(text, message)
        else:
            json_format.Parse(json.dumps(_plain(value)), message)
    except Exception:  # noqa: BLE001  it raises anything, by the input
        name = descriptor.full_name
        if descriptor.file.name.endswith("wrappers.proto"):
            yield from _scalar(value, descriptor.fields_by_name["value"], path)
        elif name == "google.protobuf.Any":
            yield path, 'expected an object with the "@type" of a known message, and its fields'
        else:
            expected = _WELL_KNOWN.get(name, f"a {descriptor.name}")
            got = "" if isinstance(value, str) else f", got {_kind(value)}"
            yield path, f"expected {expected}{got}"


def _scalar(value: Any, field: FieldDescriptor, path: str) -> Iterator[Problem]:
    kind = field.cpp_type
    check = _CHECKS.get(kind)
    if kind in _RANGES:
        yield from _integer(value, kind, path)
    elif field.enum_type is not None:
        yield from _enum(value, field.enum_type, path)
    elif check is not None and not check(value):
        yield path, f"expected {_EXPECTED[kind]}, got {_kind(value)}"
    elif isinstance(value, str):
        yield from _text(value, field, path)


def _text(value: str, field: FieldDescriptor, path: str) -> Iterator[Problem]:
    """Judge a string where a string may stand: text, base64, or a number in quotes."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        if not value.isascii() or not re.fullmatch(r"[\w+/-]*={0,2}", value):
            yield path, "expected base64"
        elif len(value.rstrip("=")) % 4 == 1:
            yield path, "expected base64, and this one ends early"
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        if any("\ud800" <= char <= "\udfff" for char in value):
            yield path, "holds half of a surrogate pair"
    elif not _is_number(value):
        yield path, "expected a number"


def _integer(value: Any, kind: int, path: str) -> Iterator[Problem]:
    low, high = _RANGES[kind]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        yield path, f"expected {_INTEGERS[kind]}, got {_kind(value)}"
        return
    try:
        number = int(value) if not isinstance(value, float) else _whole(value)
    except ValueError:
        yield path, f"expected {_INTEGERS[kind]}"
        return
    if not low <= number <= high:
        yield path, f"expected {_INTEGERS[kind]}, from {low} to {high}"


def _whole(value: float) -> int:
    if not math.isfinite(value) or value != int(value):
        raise ValueError
    return int(value)


def _enum(value: Any, enum: EnumDescriptor, path: str) -> Iterator[Problem]:
    if isinstance(value, str):
        names = {each.name for each in enum.values}
        if value not in names and not value.lstrip("-").isdecimal():
            yield path, f"no such value of {enum.name}" + suggestion(value, names)
    elif isinstance(value, bool) or not isinstance(value, int):
        yield path, f"expected a name or number of {enum.name}, got {_kind(value)}"
    elif not -(2**31) <= value < 2**31:
        yield path, f"expected a number of {enum.name}"


def _map_key(key: str, field: FieldDescriptor) -> Iterator[Problem]:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if key not in {"true", "false"}:
            yield "", "expected true or false"
    elif field.cpp_type in _RANGES:
        yield from _integer(key, field.cpp_type, "")


@functools.lru_cache(maxsize=1024)
def _fields_by_key(descriptor: Descriptor) -> Mapping[str, FieldDescriptor]:
    # A descriptor's own maps fail when they are asked for half a surrogate pair.
    by_name = {field.name: field for field in descriptor.fields}
    return by_name | {field.json_name: field for field in descriptor.fields}


def json_names(descriptor: Descriptor) -> Iterator[str]:
    """Yield the JSON names of a message's fields."""
    return (field.json_name for field in descriptor.fields)


def _takes_null(field: FieldDescriptor) -> bool:
    message = field.message_type
    return message is not None and message.full_name == "google.protobuf.Value"


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {key: _plain(item) for key, item in value}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, _Pairs):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return "a number"


def _is_float(value: Any) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


_CHECKS: dict[int, Callable[[Any], bool]] = {
    FieldDescriptor.CPPTYPE_BOOL: lambda value: isinstance(value, bool),
    FieldDescriptor.CPPTYPE_STRING: lambda value: isinstance(value, str),
    FieldDescriptor.CPPTYPE_FLOAT: _is_float,
    FieldDescriptor.CPPTYPE_DOUBLE: _is_float,
}
_EXPECTED = {
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
    FieldDescriptor.CPPTYPE_STRING: "a string",
    FieldDescriptor.CPPTYPE_FLOAT: "a number",
    FieldDescriptor.CPPTYPE_DOUBLE: "a number",
}
