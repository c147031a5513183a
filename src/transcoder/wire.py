"""Serialized messages, read in many short steps.

Protobuf reads a message in one call that no thread can interrupt, and two bytes are enough for a
message within it: a few megabytes hold a process for a second. So what is large is cut between its
fields, and the pieces are merged into one message, in their order. That is what the wire format
means by them (https://protobuf.dev/programming-guides/encoding/#last-one-wins): of a field that
holds one value the last counts, lists are joined, and messages merged.

A large field is cut too if it holds a message. One that is not repeated is cut into several of the
same field. The element of a list, or of a map, is made first, and its pieces are merged into it;
before that, each is read at its place in a message of its own, for that alone tells whether it is
nested too deep.

There is one message that protobuf reads and that is refused here: an entry of a map that is larger
than `ON_LOOP` and has fields besides its key and its value, which nothing writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.fields import is_map
from transcoder.wire_fields import (
    DEPTH,
    END,
    FIXED32,
    FIXED64,
    LENGTH,
    START,
    TRUNCATED,
    VARINT,
    Field,
    Walk,
)

M = TypeVar("M", bound=Message)

PIECE: Final = 32_768
"""Bytes that are read in one call: of the slowest messages they take some 5 ms."""

ON_LOOP: Final = 65_536
"""Bytes of a message that is read at once, whatever is in it."""

_LOOKED_AT = 300
_VALUE = 2 << 3 | LENGTH
"""The tag of the message that a map's entry holds."""
_KEYS: Final = {
    FieldDescriptor.TYPE_STRING: LENGTH,
    FieldDescriptor.TYPE_FIXED64: FIXED64,
    FieldDescriptor.TYPE_SFIXED64: FIXED64,
    FieldDescriptor.TYPE_FIXED32: FIXED32,
    FieldDescriptor.TYPE_SFIXED32: FIXED32,
}
"""What follows the tag of a map's key, where it is no varint."""
_METHODS: Any = Empty
"""Has the methods of all messages; theirs may be hidden by fields of the same names."""


def parse(data: bytes, message_class: type[M], size: int = PIECE) -> M:
    """Return what `FromString` does, without holding other threads for long.

    Args:
        data: the message.
        message_class: what it is.
        size: bytes of a piece.

    Raises:
        DecodeError: it is no such message.

    >>> from google.protobuf.struct_pb2 import ListValue
    >>> len(parse(bytes([10, 0]) * 50_000, ListValue).values)
    50000
    """
    if len(data) <= size:
        return message_class.FromString(data)
    message = message_class()
    try:
        place = _Place(message, message_class.DESCRIPTOR)
        _Parsing(data, message_class, size).merge(place, 0, len(data))
    except IndexError:
        raise DecodeError(TRUNCATED) from None
    return message


def is_heavy(data: bytes, message_class: type[Message]) -> bool:
    """Say whether to read a message would hold others for long, so that `parse` is to be taken.

    What is long because of a few texts, bytes or packed numbers is not.

    >>> from google.protobuf.wrappers_pb2 import BytesValue
    >>> is_heavy(BytesValue(value=bytes(1_000_000)).SerializeToString(), BytesValue)
    False
    """
    if len(data) <= ON_LOOP:
        return False
    look = _Look(data)
    try:
        look.over(message_class.DESCRIPTOR, 0, len(data))
    except (IndexError, DecodeError):
        return True
    return len(data) - look.cheap > ON_LOOP


def class_read_by(deserializer: Callable[..., Any]) -> type[Message] | None:
    """Return the class of which a function is `FromString`; None for any other function.

    >>> class_read_by(Empty.FromString) is Empty
    True
    >>> class_read_by(bytes) is None
    True
    """
    owner = getattr(deserializer, "__self__", None)
    if not isinstance(owner, type) or not issubclass(owner, Message):
        return None
    return owner if deserializer == owner.FromString else None


def enclosed(piece: bytes, fields: Sequence[FieldDescriptor]) -> bytes:
    """Return serialized fields as the content of a field, which is that of another, and so on.

    Args:
        piece: the fields.
        fields: the innermost first.
    """
    before, after, size = [], [], len(piece)
    for field in fields:
        if field.type == FieldDescriptor.TYPE_GROUP:
            head, tail = _number(field.number << 3 | START), _number(field.number << 3 | END)
            after.append(tail)
            size += len(tail)
        else:
            head = _number(field.number << 3 | LENGTH) + _number(size)
        before.append(head)
        size += len(head)
    return b"".join((*reversed(before), piece, *after))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where pieces belong.

    Args:
        message: into which they are merged.
        type: the descriptor of the message that they are part of; it may be inside.
        inside: the fields from `message` to there, the innermost first.
        around: those from the whole message to `message`, likewise.
    """

    message: Any
    type: Any
    inside: tuple[FieldDescriptor, ...] = ()
    around: tuple[FieldDescriptor, ...] = ()

    def value(self, field: FieldDescriptor) -> Any:
        """Return the value of a field there."""
        value = self.message
        for each in (*reversed(self.inside), field):
            if each.is_extension:
                value = _METHODS.Extensions.__get__(value)[each]
            else:
                value = getattr(value, each.name)
        return value


class _Parsing:
    """One message on its way."""

    def __init__(self, data: bytes, message_class: type[Message], size: int) -> None:
        self._data = data
        self._class = message_class
        self._size = size
        self._walk = Walk(data, size)

    def merge(self, place: _Place, start: int, end: int) -> None:
        """Merge a part of the data that consists of fields."""
        for run_end, field in self._walk.pieces(start, end):
            if run_end > start:
                self._merge_piece(place, self._data[start:run_end])
            if field is not None:
                self._merge_field(place, field)
                start = field.end
            else:
                start = run_end

    def _merge_piece(self, place: _Place, piece: bytes) -> None:
        piece = enclosed(piece, place.inside)
        if place.around:
            self._class.FromString(enclosed(piece, place.around))
        _METHODS.MergeFromString(place.message, piece)

    def _merge_field(self, place: _Place, large: Field) -> None:
        field = _message_field(place.type, large.tag)
        if field is None or large.body == large.body_end:
            # Without messages in it, this takes no time worth to speak of.
            self._merge_piece(place, self._data[large.start : large.end])
            return
        if len(place.inside) + len(place.around) >= DEPTH:
            raise DecodeError("the message is nested too deep")
        if is_map(field):
            self._merge_entry(place, field, large)
            return
        inner: Any = field.message_type
        inside = (field, *place.inside)
        if field.is_repeated:
            self._merge_piece(place, enclosed(b"", (field,)))
            item = _Place(place.value(field)[-1], inner, (), (*inside, *place.around))
        else:
            item = _Place(place.message, inner, inside, place.around)
        self.merge(item, large.body, large.body_end)

    def _merge_entry(self, place: _Place, field: FieldDescriptor, large: Field) -> None:
        entry: Any = field.message_type
        value = entry.fields_by_number[2]
        if value.message_type is None:
            self._merge_piece(place, self._data[large.start : large.end])
            return
        tag = 1 << 3 | _KEYS.get(entry.fields_by_number[1].type, VARINT)
        key, is_strange = b"", False
        for part in self._walk.fields(large.body, large.body_end):
            if part.tag == tag:
                key = self._data[part.start : part.end]
            elif part.tag != _VALUE:
                is_strange = True
        if is_strange:
            self._merge_strange(place, large)
            return
        around = (field, *place.inside, *place.around)
        self._check_small(around, large)
        self._merge_piece(place, enclosed(key + enclosed(b"", (value,)), (field,)))
        parsed: Any = GetMessageClass(entry).FromString(key)
        item = place.value(field)[parsed.key]
        inner = _Place(item, value.message_type, (), (value, *around))
        for part in self._walk.fields(large.body, large.body_end):
            if part.tag != _VALUE:
                continue
            if part.size > self._size:
                self.merge(inner, part.body, part.body_end)
            else:
                _METHODS.MergeFromString(item, self._data[part.body : part.body_end])

    def _merge_strange(self, place: _Place, large: Field) -> None:
        """Merge an entry with fields that no entry has, which protobuf keeps apart, as a whole."""
        if large.size > ON_LOOP:
            raise DecodeError("a large entry of a map with unknown fields")
        self._merge_piece(place, self._data[large.start : large.end])

    def _check_small(self, around: tuple[FieldDescriptor, ...], large: Field) -> None:
        """Check the fields of an entry that will not be gone through as a large value is."""
        start = large.body
        for run_end, field in self._walk.pieces(large.body, large.body_end):
            if run_end > start:
                self._class.FromString(enclosed(self._data[start:run_end], around))
            start = run_end if field is None else field.end
            if field is not None and field.tag != _VALUE:
                whole = self._data[field.start : field.end]
                self._class.FromString(enclosed(whole, around))


class _Look:
    """Adds up the bytes of a message that are read in no time, from its first few fields."""

    def __init__(self, data: bytes) -> None:
        self.cheap = 0
        self._walk = Walk(data, PIECE, groups=False)
        self._left = _LOOKED_AT

    def over(self, type_: Any, start: int, end: int) -> None:
        """Look at a part of the data that consists of fields."""
        for field in self._walk.fields(start, end):
            self._left -= 1
            if self._left < 0:
                return
            if field.size <= PIECE or field.tag & 7 != LENGTH:
                continue
            inner = _message_field(type_, field.tag)
            if inner is None:
                self.cheap += field.size
            elif inner.message_type is not None:
                self.over(inner.message_type, field.body, field.body_end)


def _message_field(type_: Any, tag: int) -> FieldDescriptor | None:
    """Return the field of a tag, if it holds messages and the tag is that of a message."""
    field = type_.fields_by_number.get(tag >> 3)
    if field is None and type_.is_extendable:
        try:
            field = type_.file.pool.FindExtensionByNumber(type_, tag >> 3)
        except KeyError:
            return None
    if field is None:
        return None
    wanted = {FieldDescriptor.TYPE_MESSAGE: LENGTH, FieldDescriptor.TYPE_GROUP: START}
    return field if wanted.get(field.type) == tag & 7 else None


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
