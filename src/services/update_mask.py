"""Update masks: which fields of a message a change takes over (AIP-134, AIP-161)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

_SERVER_WRITES = {field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IDENTIFIER}


def settable(message: Message) -> tuple[str, ...]:
    """Return the fields that a client may write: all but OUTPUT_ONLY, IDENTIFIER and `etag`."""
    return tuple(
        field.name
        for field in message.DESCRIPTOR.fields
        if field.name != "etag" and _SERVER_WRITES.isdisjoint(_behaviors(field))
    )


def problem(path: str, message: type[Message]) -> str:
    """Return what is wrong with a path of a mask; the empty string if it is right.

    >>> from services.user.v1.user_service_pb2 import User
    >>> problem("address.town", User)
    'services.user.v1.User.Address has no field town'
    """
    descriptor: Any = message.DESCRIPTOR
    *parents, leaf = path.split(".")
    for name in parents:
        field = descriptor.fields_by_name.get(name)
        if field is None:
            return _unknown(name, descriptor)
        if field.is_repeated or field.message_type is None:
            return f"{field.name} can only be named as a whole"
        descriptor = field.message_type
    return "" if leaf in descriptor.fields_by_name else _unknown(leaf, descriptor)


def apply(paths: Sequence[str], source: Message, target: Message) -> None:
    """Copy what `paths` name from `source` to `target`; what has no value there is cleared.

    Args:
        paths: each without a `problem`. `*` is all fields; no path is all fields with a value.
            Fields that only the server writes are passed over.
        source: the message that the client sent.
        target: the message as it was, which is changed.
    """
    allowed = settable(target)
    if "*" in paths:
        paths = allowed
    elif not paths:
        paths = [field.name for field, _ in source.ListFields()]
    for path in paths:
        names = path.split(".")
        if names[0] in allowed:
            _copy(names, source, target)


def _copy(names: Sequence[str], source: Message, target: Message) -> None:
    name, *rest = names
    field = target.DESCRIPTOR.fields_by_name[name]
    if rest:
        # Touching a submessage that neither has would create it, or switch a oneof.
        if source.HasField(name) or target.HasField(name):
            _copy(rest, getattr(source, name), getattr(target, name))
        return
    value = getattr(source, name)
    target.ClearField(name)
    if field.is_repeated:
        getattr(target, name).MergeFrom(value)
    elif field.has_presence and not source.HasField(name):
        return
    elif field.message_type is not None:
        getattr(target, name).CopyFrom(value)
    else:
        setattr(target, name, value)


def _behaviors(field: Any) -> Sequence[int]:
    behaviors: Sequence[int] = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return behaviors


def _unknown(name: str, descriptor: Descriptor) -> str:
    return f"{descriptor.full_name} has no field {name[:64]}"
