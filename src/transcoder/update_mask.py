"""Which fields a body says: for the update mask of a PATCH that has none, and beside a query."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from transcoder.errors import InvalidRequest
from transcoder.fields import FieldPath, FieldPathError, UnknownField
from transcoder.well_known import well_known

_FIELD_MASK = "google.protobuf.FieldMask"
_ANY = "google.protobuf.Any"
_FREE_FORM = {"google.protobuf.Struct", "google.protobuf.Value"}


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

    A list, a map and null are said as a whole; so is an empty object, but for the body itself.

    Args:
        body: a JSON document that was found to be a `message`.
        message: what the body is.

    Raises:
        InvalidRequest: a key names no field, which not every decoder refuses.

    >>> from google.protobuf.descriptor_pb2 import FileDescriptorProto
    >>> body = b'{"name": "a", "options": {"goPackage": "b", "deprecated": null}}'
    >>> mask_paths(body, FileDescriptorProto.DESCRIPTOR)
    ['name', 'options.deprecated', 'options.go_package']
    """
    document = json.loads(body)
    if not isinstance(document, dict) or not document:
        return []
    return sorted(set(_inside(document, message, "")))


def _inside(value: dict[str, Any], message: Descriptor | None, prefix: str) -> Iterator[str]:
    """Yield the paths under a non-empty object; without a message, its keys are names."""
    for key, item in value.items():
        if message is None:
            name, below, whole = key, None, False
        else:
            field = _field(message, key, prefix)
            name, below, whole = field.name, _below(field), not _is_open(field)
        path = f"{prefix}{name}"
        if whole or not isinstance(item, dict) or not item:
            yield path
        else:
            yield from _inside(item, below, f"{path}.")


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
        try:
            field = _field(message, key, "")
        except InvalidRequest:
            continue
        inside, path = field.message_type, (*above, field.name)
        if field.is_repeated:
            continue
        if inside is not None and well_known(inside) is None and isinstance(item, dict):
            yield from _said(item, inside, path)
        else:
            yield path


def _field(message: Descriptor, key: str, prefix: str) -> FieldDescriptor:
    try:
        if "." in key:
            raise UnknownField(key, message, 0)
        return FieldPath.resolve(message, key).leaf
    except FieldPathError as error:
        raise InvalidRequest(str(error), f"{prefix}{key}") from None


def _is_open(field: FieldDescriptor) -> bool:
    """Say whether the paths go on inside a field."""
    message = field.message_type
    return message is not None and not field.is_repeated and message.full_name != _ANY


def _below(field: FieldDescriptor) -> Descriptor | None:
    message = field.message_type
    return None if message is None or message.full_name in _FREE_FORM else message
