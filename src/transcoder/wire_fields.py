"""The fields of a serialized message, found without reading what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

VARINT, FIXED64, LENGTH, START, END, FIXED32 = range(6)
"""What follows a tag (https://protobuf.dev/programming-guides/encoding/#structure)."""

DEPTH: Final = 100
"""Messages and groups that may nest; protobuf reads no more."""

TRUNCATED: Final = "the message is truncated"

_VARINT_AT_MOST = 10
_TAG_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Field:
    """A field on the wire: where it begins, and its value, and where both end."""

    tag: int
    start: int
    body: int
    body_end: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes it takes, its tag included."""
        return self.end - self.start


class Walk:
    """Goes through fields as protobuf does; what is wrong inside of them is left to it.

    Args:
        data: what it goes through.
        size: bytes of a run of fields at most, and of a small field.
        groups: whether there may be any; they have to be gone through to find their ends.
    """

    def __init__(self, data: bytes, size: int, *, groups: bool = True) -> None:
        self._data = data
        self._size = size
        self._groups = groups
        self._ends: dict[int, tuple[int, int]] = {}

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """Return all fields of a part of the data."""
        for _, field in self._cut(start, end, 0):
            if field is not None:
                yield field

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, Field | None]]:
        """Return where runs of small fields end, with the larger field that follows, if one does.

        Args:
            start: of the first field.
            end: of the last.
        """
        return self._cut(start, end, self._size)

    def _cut(self, start: int, end: int, size: int) -> Iterator[tuple[int, Field | None]]:
        data, begun, at = self._data, start, start
        while at < end:
            first = at
            tag = data[at]
            at += 1
            if tag > 127:
                tag, at = self._tag(first)
            kind = tag & 7
            body = at
            if kind == LENGTH:
                length = data[at]
                body = at = at + 1
                if length > 127:
                    length, body = _varint(data, at - 1, _TAG_AT_MOST)
                at = body + length
            elif kind == VARINT and data[at] < 128:
                at += 1
            else:
                at = self._after(tag, at, end)
            if at > end:
                raise DecodeError(TRUNCATED)
            if at - first > size:
                body_end = at if kind != START else self._ends.get(body, (at, at))[0]
                yield first, Field(tag, first, body, body_end, at)
                begun = at
            elif at - begun > size:
                yield first, None
                begun = first
        if at > begun:
            yield at, None

    def _after(self, tag: int, at: int, end: int) -> int:
        """Return where the value ends that begins here."""
        kind = tag & 7
        if kind == VARINT:
            return _varint(self._data, at, _VARINT_AT_MOST)[1]
        if kind == LENGTH:
            length, at = _varint(self._data, at, _TAG_AT_MOST)
            return at + length
        if kind == START:
            return self._after_group(tag, at, end)
        if kind in {FIXED64, FIXED32}:
            return at + (8 if kind == FIXED64 else 4)
        raise DecodeError("a field of no known kind")

    def _after_group(self, tag: int, at: int, end: int) -> int:
        """Return where a group ends, and note where those inside of it do."""
        if not self._groups:
            raise DecodeError("a group")
        if at in self._ends:
            return self._ends[at][1]
        open_ = [(tag, at)]
        while open_:
            before = at
            inner, at = self._tag(at)
            if inner & 7 == START:
                open_.append((inner, at))
                if len(open_) > DEPTH:
                    raise DecodeError("the message is nested too deep")
            elif inner & 7 == END:
                started, body = open_.pop()
                if started + 1 != inner:
                    raise DecodeError("a group has another's end")
                # Whoever is given a small one does not look inside.
                if at - body + _TAG_AT_MOST > self._size:
                    self._ends[body] = before, at
            else:
                at = self._after(inner, at, end)
            if at > end:
                raise DecodeError(TRUNCATED)
        return at

    def _tag(self, at: int) -> tuple[int, int]:
        tag, after = _varint(self._data, at, _TAG_AT_MOST)
        if tag >> 32:
            raise DecodeError("a field of no known number")
        return tag, after


def _varint(data: bytes, at: int, at_most: int) -> tuple[int, int]:
    value = 0
    for index in range(at_most):
        byte = data[at + index]
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, at + index + 1
    raise DecodeError("a number is too long")
