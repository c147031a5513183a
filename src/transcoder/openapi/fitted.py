"""Values that annotations say in JSON, made to fit what they are said of; or left out.

Annotations hold texts, and whoever wrote them thought of the field: 42 of a 64-bit number, which
JSON has as a text; a message by its proto names. A document with a value that its own schema
refuses is not valid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from transcoder.fields import is_map
from transcoder.protojson.enums import json_names
from transcoder.well_known import well_known

NOTHING: Final = object()
"""In place of a value that does not fit."""

_TEXTS = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}
_LONG = {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}
_SHORT = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32}


def of_field(field: FieldDescriptor, value: Any) -> Any:
    """Return a value of a field, or NOTHING.

    >>> from google.protobuf.struct_pb2 import Value
    >>> of_field(Value.DESCRIPTOR.fields_by_name["string_value"], 5)
    '5'
    """
    if is_map(field):
        return _of_map(field, value)
    if not field.is_repeated:
        return _of_one(field, value)
    if not isinstance(value, list):
        return NOTHING
    found = [_of_one(field, each) for each in value]
    return NOTHING if NOTHING in found else found


def of_message(message: Descriptor, value: Any) -> Any:
    """Return a value of a message, with the JSON names of its fields, or NOTHING."""
    if message.full_name.startswith("google.protobuf.") or well_known(message) is not None:
        # Each has a form of its own; the document's schema of it takes most.
        return value
    if not isinstance(value, Mapping):
        return NOTHING
    fields = {name: each for each in message.fields for name in (each.json_name, each.name)}
    found: dict[str, Any] = {}
    for name, each in value.items():
        field = fields.get(name)
        fits = NOTHING if field is None else of_field(field, each)
        if field is None or fits is NOTHING:
            return NOTHING
        found[field.json_name] = fits
    return found


def of_enum(enum: EnumDescriptor, value: Any) -> Any:
    """Return the name of a value, or NOTHING."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = json_names(enum).get(value)
    return value if value in enum.values_by_name else NOTHING


def _of_map(field: FieldDescriptor, value: Any) -> Any:
    entry = field.message_type
    if entry is None or not isinstance(value, Mapping):
        return NOTHING
    of = entry.fields_by_name["value"]
    found = {key: _of_one(of, each) for key, each in value.items()}
    return NOTHING if NOTHING in found.values() else found


def _of_one(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return of_enum(field.enum_type, value)
    if field.message_type is not None:
        return of_message(field.message_type, value)
    if isinstance(value, list | Mapping) or value is None:
        return NOTHING
    if field.type in _TEXTS:
        return value if isinstance(value, str) else json.dumps(value)
    return _of_number(field.cpp_type, value)


def _of_number(kind: int, value: Any) -> Any:
    if kind == FieldDescriptor.CPPTYPE_BOOL or isinstance(value, bool):
        fits = kind == FieldDescriptor.CPPTYPE_BOOL and isinstance(value, bool)
    elif kind in _LONG:
        value = str(value)
        fits = value.removeprefix("-").isdigit()
    elif kind in _SHORT:
        fits = isinstance(value, int)
    else:
        fits = isinstance(value, int | float)
    return value if fits else NOTHING
