"""Serialized messages, field by field, and those that take protobuf longest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

_KINDS = "everything.v1.Everything", "kinds.v1.Lists", "kinds.v1.Maps"


def number(value: int) -> bytes:
    """Return a varint."""
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def varint(at: int, value: int) -> bytes:
    """Return a field that holds a number."""
    return number(at << 3) + number(value)


def item(at: int, content: bytes) -> bytes:
    """Return a field that holds a message, a text, bytes, or packed numbers."""
    return number(at << 3 | 2) + number(len(content)) + content


def group(at: int, content: bytes) -> bytes:
    """Return a field that is a group."""
    return number(at << 3 | 3) + content + number(at << 3 | 4)


def nested(numbers: Sequence[int], content: bytes) -> bytes:
    """Return a field in a field, and so on; the outermost is the first."""
    for at in reversed(numbers):
        content = item(at, content)
    return content


def repeated(at: int, size: int, content: bytes = b"") -> bytes:
    """Return the same field again and again, in so many bytes at most."""
    one = item(at, content)
    return one * (size // len(one))


@cache
def heaviest(size: int) -> dict[str, tuple[str, bytes]]:
    """Return the type and the bytes of messages that take long for their size, by name.

    Args:
        size: bytes at most, or a few.
    """
    everything, lists, maps = _KINDS
    room = size - 20
    numbers = varint(20, 1)
    entries = [item(31, varint(1, i) + varint(2, 1)) for i in range(max(room // 10, 0))]
    return {
        "children": (everything, repeated(25, size)),
        "nested": (everything, item(70, repeated(25, room))),
        "in-a-list": (everything, item(25, repeated(25, room))),
        "in-a-map": (everything, item(34, item(1, b"k") + item(2, repeated(25, room)))),
        "grandchildren": (everything, repeated(25, size, repeated(25, 120))),
        "numbers": (everything, numbers * (size // len(numbers))),
        "map": (everything, b"".join(entries)),
        "map-of-messages": (maps, repeated(16, size)),
        "lists": (lists, repeated(20, size)),
        "unknown-group": (everything, group(999, varint(1, 1) * (room // 2))),
    }
