"""Field paths such as `user.address.city`: from a name to descriptors, and on to a setter.

A setter is compiled once for each path and then given a message and a text:

>>> from google.protobuf.descriptor_pb2 import FileDescriptorProto
>>> set_package = setter(FieldPath.resolve(FileDescriptorProto.DESCRIPTOR, "options.goPackage"))
>>> proto = FileDescriptorProto()
>>> set_package(proto, "example.com/x")
>>> proto.options.go_package
'example.com/x'
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from transcoder.values import BadValue, scalar, suggestion
from transcoder.well_known import is_weighed, well_known

_ANY = "google.protobuf.Any"
_INTEGERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)

Setter = Callable[[Message, str], None]
"""Sets, or appends to, one field of a message from text; raises BadValue."""
KeySetter = Callable[[Message, str, str], None]
"""Sets one entry of a map from the texts of its key and its value; raises BadValue."""
Guard = Callable[[Message], None]
"""Refuses a message that has another member of the same oneof set; raises BadValue."""


class FieldPathError(ValueError):
    """A path does not lead to a field.

    Args:
        problem: what is wrong there.
        depth: which name of the path, counted from 0.
    """

    def __init__(self, problem: str, depth: int = 0) -> None:
        super().__init__(problem)
        self.depth = depth


class UnknownField(FieldPathError):
    """A name of a path names no field.

    Args:
        name: as it was written.
        message: where it was looked for.
        depth: which name of the path, counted from 0.
    """

    def __init__(self, name: str, message: Descriptor, depth: int) -> None:
        super().__init__("no such field", depth)
        self.name = name
        self.message = message

    def __str__(self) -> str:
        # Asked for only by who tells it: to find the nearest name takes longer than all else.
        return f"no such field{suggestion(self.name, self.message.fields_by_name)}"


@dataclass(frozen=True, slots=True)
class FieldPath:
    """The fields from a message down to one of its leaves; singular messages all but the last."""

    fields: tuple[FieldDescriptor, ...]

    @classmethod
    def resolve(cls, message: Descriptor, path: str, *, json_names: bool = True) -> FieldPath:
        """Return the fields that a dotted path names.

        Args:
            message: where the path starts.
            path: names joined by dots.
            json_names: whether a name may also be the JSON name of its field.

        Raises:
            UnknownField: a name is no field's.
            FieldPathError: the path goes on after a scalar, a list or a map.
        """
        fields: list[FieldDescriptor] = []
        inside: Descriptor | None = message
        for depth, name in enumerate(path.split(".")):
            if inside is None:
                raise FieldPathError(f"{fields[-1].name} is not a message", depth - 1)
            # Asked for half a surrogate pair, which JSON can write, the descriptor's map fails.
            field = inside.fields_by_name.get(name) if name.isascii() else None
            if field is None and json_names:
                field = _by_json_name(inside).get(name)
            if field is None:
                raise UnknownField(name, inside, depth)
            fields.append(field)
            inside = None if field.is_repeated else field.message_type
        return cls(tuple(fields))

    @property
    def leaf(self) -> FieldDescriptor:
        """The last field."""
        return self.fields[-1]

    @property
    def names(self) -> tuple[str, ...]:
        """The proto names."""
        return tuple(field.name for field in self.fields)

    def __str__(self) -> str:
        return ".".join(self.names)


@functools.lru_cache(maxsize=1024)
def _by_json_name(message: Descriptor) -> Mapping[str, FieldDescriptor]:
    return {field.json_name: field for field in message.fields}


def is_map(field: FieldDescriptor) -> bool:
    """Say whether a field is a map, which descriptors show as a repeated entry message."""
    entry = field.message_type
    return field.is_repeated and entry is not None and entry.GetOptions().map_entry


def is_weighed_leaf(path: FieldPath) -> bool:
    """Say whether one text of the last field holds as much as it likes."""
    message = path.leaf.message_type
    if message is not None and is_map(path.leaf):
        message = message.fields_by_name["value"].message_type
    return message is not None and is_weighed(message)


def parent_of(path: FieldPath) -> Callable[[Message], Any]:
    """Return the way from the message to the one that holds the leaf."""
    if len(path.fields) == 1:
        return itself
    return operator.attrgetter(".".join(path.names[:-1]))


def value_of(path: FieldPath) -> Callable[[Message], Any]:
    """Return the way from the message to the leaf's value."""
    parent, name = parent_of(path), path.leaf.name
    return lambda message: getattr(parent(message), name)


def itself(message: Message) -> Any:
    """Return the message: where a way has no step."""
    return message


def setter(path: FieldPath) -> Setter:
    """Compile the setter of a singular field, or the appender of a repeated one.

    Raises:
        FieldPathError: the leaf is a map, a message that no text says, or within one of any type.
    """
    field = path.leaf
    depth = len(path.fields) - 1
    refuse_any(path)
    if is_map(field):
        raise FieldPathError(f"{field.name} is a map: write {field.name}[key]=value", depth)
    if field.message_type is not None:
        fill = well_known(field.message_type)
        if fill is None:
            raise FieldPathError(_no_text(field, field.message_type), depth)
        return _fill_repeated(path, fill) if field.is_repeated else _fill_singular(path, fill)
    read = scalar(field)
    if field.is_repeated:
        return _append(path, read)
    if field.type == FieldDescriptor.TYPE_STRING and not depth:
        return _set_text(field.name)
    if depth:
        return _set_nested(path, read)
    is_integer = field.cpp_type in _INTEGERS
    return _set_integer(field.name, read) if is_integer else _set(field.name, read)


def refuse_any(path: FieldPath) -> None:
    """Refuse a path into an Any: JSON names its type, which is looked for, and not its bytes.

    Raises:
        FieldPathError: it goes into one.
    """
    for depth, field in enumerate(path.fields[:-1]):
        if field.message_type is not None and field.message_type.full_name == _ANY:
            raise FieldPathError(_no_text(field, field.message_type), depth)


def _no_text(field: FieldDescriptor, message: Descriptor) -> str:
    if field.is_repeated:
        return f"{field.name} holds messages: send it in the body"
    if message.full_name == _ANY:
        return f"{field.name} holds a message of any type, which only a JSON body says"
    if not message.fields:
        return f"{field.name} is a message without fields, which only a JSON body says"
    return f"{field.name} is a message: set its fields one by one"


def _set(name: str, read: Callable[[str], Any]) -> Setter:
    def set_(message: Message, text: str) -> None:
        setattr(message, name, read(text))

    return set_


def _set_integer(name: str, read: Callable[[str], Any]) -> Setter:
    def set_(message: Message, text: str) -> None:
        # Nine digits fit every type.
        short = len(text) < 10 and text.isdigit() and text.isascii()
        setattr(message, name, int(text) if short else read(text))

    return set_


def _set_text(name: str) -> Setter:
    def set_(message: Message, text: str) -> None:
        setattr(message, name, text)

    return set_


def _set_nested(path: FieldPath, read: Callable[[str], Any]) -> Setter:
    parent, name = parent_of(path), path.leaf.name

    def set_(message: Message, text: str) -> None:
        setattr(parent(message), name, read(text))

    return set_


def _append(path: FieldPath, read: Callable[[str], Any]) -> Setter:
    values = operator.attrgetter(str(path))

    def append(message: Message, text: str) -> None:
        values(message).append(read(text))

    return append


def _fill_singular(path: FieldPath, fill: Setter) -> Setter:
    value = operator.attrgetter(str(path))

    def set_(message: Message, text: str) -> None:
        target = value(message)
        cls = type(target)  # Its fields may have the names of its methods, and go before them.
        cls.Clear(target)
        # An empty duration is a duration: the field is there even when all in it is zero.
        cls.SetInParent(target)
        fill(target, text)

    return set_


def _fill_repeated(path: FieldPath, fill: Setter) -> Setter:
    values = operator.attrgetter(str(path))

    def append(message: Message, text: str) -> None:
        fill(values(message).add(), text)

    return append


def key_setter(path: FieldPath) -> KeySetter:
    """Compile the setter of a map's entries.

    Raises:
        FieldPathError: the leaf is not a map, or its values are messages that no text says.
    """
    depth = len(path.fields) - 1
    refuse_any(path)
    entry_type = path.leaf.message_type
    if entry_type is None or not is_map(path.leaf):
        raise FieldPathError(f"{path.leaf.name} is not a map", depth)
    entry = entry_type.fields_by_name
    entries = operator.attrgetter(str(path))
    read_key = scalar(entry["key"])
    value = entry["value"]
    message = value.message_type
    put = _put_scalar(scalar(value)) if message is None else _put_message(message)
    if put is None:
        raise FieldPathError(f"{path.leaf.name} holds messages: send it in the body", depth)

    def set_(message: Message, key: str, text: str) -> None:
        target = entries(message)
        read = read_key(key)
        if read in target:
            raise BadValue("too many values: this key takes one")
        put(target, read, text)

    return set_


def _put_scalar(read: Callable[[str], Any]) -> Callable[[Any, Any, str], None]:
    def put(entries: Any, key: Any, text: str) -> None:
        entries[key] = read(text)

    return put


def _put_message(message: Descriptor) -> Callable[[Any, Any, str], None] | None:
    fill = well_known(message)
    if fill is None:
        return None

    def put(entries: Any, key: Any, text: str) -> None:
        # Reading a key that is not there makes its entry.
        fill(entries[key], text)

    return put


def oneof_guard(path: FieldPath) -> Guard | None:
    """Compile the check that no other member of a oneof on the path is set; None without oneofs."""
    steps = []
    last = 0
    for depth, field in enumerate(path.fields, 1):
        oneof = field.containing_oneof
        # A proto3 `optional` is a oneof of one member, which nothing can be in conflict with.
        guarded = oneof is not None and len(oneof.fields) > 1
        steps.append((field.name, oneof.name if oneof is not None and guarded else ""))
        if guarded:
            last = depth
    if not last:
        return None
    steps = steps[:last]

    def guard(message: Message) -> None:
        inside: Any = message
        for name, oneof_name in steps:
            if oneof_name:
                member = type(inside).WhichOneof(inside, oneof_name)
                if member is not None and member != name:
                    raise BadValue(f"only one of {member} and {name} may be set")
            inside = getattr(inside, name)

    return guard
