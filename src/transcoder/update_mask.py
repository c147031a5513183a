"""Which fields a body says: for the update mask of a PATCH that has none, and beside a query."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from transcoder.errors import InvalidRequest
from transcoder.fields import FieldPath, FieldPathError
from transcoder.protojson.enums import json_names
from transcoder.well_known import well_known

_FIELD_MASK = "google.protobuf.FieldMask"
_WHOLE = {
    # A path would have to name a type, or keys that no path can spell: `a.b`, none at all, `aB`
    # which reads as a_b. `FieldMask.MergeMessage` takes none of them.
    "google.protobuf.Any",
    "google.protobuf.Struct",
    "google.protobuf.Value",
}


def mask_field(message: Descriptor) -> FieldDescriptor | None:
    """Return the one FieldMask among a message's fields; None when there is none, or several."""
    found = [
        field
        for field in message.fields
        if field.message_type is not None and field.message_type.full_name == _FIELD_MASK
    ]
    return found[0] if len(found) == 1 and not found[0].is_repeated else None


def mask_paths(body: bytes, message: Descriptor) -> list[str]:
    """Return the paths that a JSON body says, sorted, in proto names.

    A list, a map, a Struct or Value, an Any and null are said as a whole; so is an empty object,
    but for the body itself. A body that has no fields says nothing, and neither does what a decoder
    that ignores the unknown passes over: keys of no field, and names of no value of an enum.

    Args:
        body: a JSON document that was found to be a `message`.
        message: what the body is.

    Raises:
        InvalidRequest: it says an extension, which no path names.

    >>> from google.protobuf.descriptor_pb2 import FileDescriptorProto
    >>> body = b'{"name": "a", "options": {"goPackage": "b", "deprecated": null}}'
    >>> mask_paths(body, FileDescriptorProto.DESCRIPTOR)
    ['name', 'options.deprecated', 'options.go_package']
    """
    document = json.loads(body)
    if not isinstance(document, dict) or not document or message.full_name in _WHOLE:
        return []
    return sorted(set(_inside(document, message, "", "")))


def _inside(value: dict[str, Any], message: Descriptor, prefix: str, written: str) -> Iterator[str]:
    """Yield the paths under a non-empty object.

    Args:
        value: the object.
        message: its type.
        prefix: of the paths.
        written: the same in the client's names.
    """
    for key, item in value.items():
        if key.startswith("["):
            raise InvalidRequest("an update mask cannot name an extension", f"{written}{key}")
        field = _field(message, key)
        if field is None or _is_passed_over(field, item):
            continue
        path = f"{prefix}{field.name}"
        below = _below(field)
        if below is None or not isinstance(item, dict) or not item:
            yield path
        else:
            yield from _inside(item, below, f"{path}.", f"{written}{key}.")


def _is_passed_over(field: FieldDescriptor, item: Any) -> bool:
    """Say whether a value is the name of none of an enum's; numbers may be written as texts."""
    enum = field.enum_type
    if enum is None or field.is_repeated or not isinstance(item, str) or not item[:1].isalpha():
        return False
    return item not in enum.values_by_name and item not in json_names(enum).values()


def said_fields(body: bytes, message: Descriptor) -> set[tuple[str, ...]]:
    """Return the paths of the singular fields that a JSON body says, its defaults and nulls too.

    Args:
        body: a JSON document that was found to be a `message`, or nothing.
        message: what the body is.

    >>> from google.protobuf.descriptor_pb2 import FileDescriptorProto
    >>> body = b'{"name": "", "options": {"goPackage": "b"}, "dependency": ["c"]}'
    >>> sorted(said_fields(body, FileDescriptorProto.DESCRIPTOR))
    [('name',), ('options', 'go_package')]
    """
    document = json.loads(body) if body else None
    return set(_said(document, message, ())) if isinstance(document, dict) else set()


def _said(
    value: dict[str, Any], message: Descriptor, above: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    for key, item in value.items():
        field = _field(message, key)
        if field is None:
            continue
        inside, path = field.message_type, (*above, field.name)
        if field.is_repeated:
            continue
        if inside is not None and well_known(inside) is None and isinstance(item, dict):
            yield from _said(item, inside, path)
        else:
            yield path


def _field(message: Descriptor, key: str) -> FieldDescriptor | None:
    if "." in key:
        return None
    try:
        return FieldPath.resolve(message, key).leaf
    except FieldPathError:
        return None


def _below(field: FieldDescriptor) -> Descriptor | None:
    """Return the message in which the paths go on; None if the field is said as a whole."""
    message = field.message_type
    if message is None or field.is_repeated or message.full_name in _WHOLE:
        return None
    return message
