"""Text that is not UTF-8, which proto2 lets in, and json_format prints as Python spells bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


def check_texts(message: Message, pool: DescriptorPool) -> None:
    """Refuse a message that holds text which is not UTF-8, also in an Any.

    Args:
        message: of any type.
        pool: where the types inside `google.protobuf.Any` are looked up.

    Raises:
        ValueError: it does.
        KeyError: an Any is of an unknown type.
        DecodeError: the bytes of an Any are not of its type.
    """
    descriptor: Any = type(message).DESCRIPTOR
    if descriptor.full_name == "google.protobuf.Any":
        _check_within(message, pool)
    for field, value in type(message).ListFields(message):
        for kind, parts in _parts(field, value):
            for part in parts:
                if isinstance(part, Message):
                    check_texts(part, pool)
                elif kind == FieldDescriptor.TYPE_STRING and isinstance(part, bytes):
                    raise ValueError(f"{field.name} is not UTF-8")


def _check_within(message: Any, pool: DescriptorPool) -> None:
    name = message.type_url.rpartition("/")[2]
    if name:
        check_texts(
            GetMessageClass(pool.FindMessageTypeByName(name)).FromString(message.value), pool
        )


def _parts(field: FieldDescriptor, value: Any) -> Iterator[tuple[int, Iterable[Any]]]:
    """Yield what a field holds, by type: a map has parts of two."""
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        yield entry.fields_by_name["key"].type, value
        yield entry.fields_by_name["value"].type, (value[key] for key in value)
    else:
        yield field.type, value if field.is_repeated else [value]
