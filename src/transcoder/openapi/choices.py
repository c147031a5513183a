"""Choices: fields of a message of which one at most is set, as alternatives of JSON Schema.

A `oneof` is one by how requests are read: an object with two of its members is refused. A
`(buf.validate.message).oneof` is one by a rule on what the message then holds: a member without
presence may be said beside another one, if its value is the one that it has when nobody says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from transcoder.fields import is_map
from transcoder.openapi.scalars import Schema, is_wrapper
from transcoder.protojson.enums import json_names


class Choice(NamedTuple):
    """Some fields of a message, of which one at most is set.

    Args:
        fields: of one message.
        needed: whether one of them must be set.
        ruled: whether a rule says so, rather than a `oneof`.
    """

    fields: Sequence[FieldDescriptor]
    needed: bool
    ruled: bool = False


Unset = Callable[[FieldDescriptor], Sequence[Any]]
"""Tells the JSON values by which a field is said, and not set."""


Key = Callable[[FieldDescriptor], str]
"""Tells under which key a field stands in JSON."""


def alternatives(choice: Choice, key: Key, unset: Unset) -> Schema:
    """Return the schema of objects that keep to a choice; an open one when all of them do."""
    found = [_set(key(field), unset(field) if choice.ruled else ()) for field in choice.fields]
    if choice.needed:
        return {"oneOf": found} if found else {}
    if len(found) < 2:
        return {}
    return {"oneOf": [*found, {"not": {"anyOf": [dict(each) for each in found]}}]}


def _set(key: str, unset: Sequence[Any]) -> Schema:
    """Return the schema of objects in which the field of a key is set."""
    found: Schema = {"required": [key]}
    if unset:
        found["properties"] = {key: {"not": {"enum": list(unset)}}}
    return found


def unset(field: FieldDescriptor) -> list[Any]:
    """Return the JSON values by which a request says a field, and does not set it.

    >>> from google.protobuf.type_pb2 import Field
    >>> unset(Field.DESCRIPTOR.fields_by_name["packed"])
    [False]
    """
    if field.is_repeated:
        return [{}] if is_map(field) else [[]]
    message = field.message_type
    if message is not None:
        return [None] if is_wrapper(message) else []
    return [] if field.has_presence else zeros(field)


def zeros(field: FieldDescriptor) -> list[Any]:
    """Return the JSON values by which a request says zero; none of lists, maps and messages."""
    if field.is_repeated or field.message_type is not None:
        return []
    if field.enum_type is not None:
        return names(field.enum_type, [0])
    return list(_ZEROS.get(field.cpp_type, (0,)))


_ZEROS: dict[int, Sequence[Any]] = {
    FieldDescriptor.CPPTYPE_BOOL: (False,),
    FieldDescriptor.CPPTYPE_STRING: ("",),
    FieldDescriptor.CPPTYPE_INT64: ("0", "-0"),
    FieldDescriptor.CPPTYPE_UINT64: ("0",),
}
"""The zeros of what is no number in JSON."""


def names(enum: EnumDescriptor, numbers: Iterable[int]) -> list[str]:
    """Return all names that requests may say some values of an enum by."""
    wanted, printed = set(numbers), json_names(enum)
    values = [value for value in enum.values if value.number in wanted]
    return list(
        dict.fromkeys(name for value in values for name in (printed[value.number], value.name))
    )
