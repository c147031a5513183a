from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from compiled import descriptor_set, pool
from cost import BOUND, cost
from serialized import group, heaviest, item, nested, number, repeated, varint
from transcoder import wire
from transcoder.wire import PIECE, is_heavy, parse

POOL = pool()
TYPES = (
    "everything.v1.Everything",
    "kinds.v1.Alone",
    "kinds.v1.Lists",
    "kinds.v1.Maps",
    "edition.v1.Edition",
    "legacy.v1.Legacy",
    "extensions.v1.Groups",
    "google.protobuf.Struct",
)


def class_of(name: str, pool: DescriptorPool = POOL) -> Any:
    return GetMessageClass(pool.FindMessageTypeByName(name))


EVERYTHING = class_of("everything.v1.Everything")
MAPS = class_of("kinds.v1.Maps")
LEGACY = class_of("legacy.v1.Legacy")


def outcome(read: Any, *arguments: Any) -> bytes | None:
    """Return what a message is when it is printed again, or None if it is refused."""
    try:
        message = read(*arguments)
    except DecodeError:
        return None
    data: bytes = message.SerializePartialToString(deterministic=True)
    return data


def check(data: bytes, message_class: Any, size: int) -> None:
    expected = outcome(message_class.FromString, data)

    assert expected == outcome(parse, data, message_class, size)


@st.composite
def contents(draw: st.DrawFn, descriptor: Any, depth: int = 4) -> bytes:
    """Return fields of a message, most of them its own and of the kind that they should have."""
    fields = [*descriptor.fields]
    if descriptor.is_extendable:
        fields += descriptor.file.pool.FindAllExtensions(descriptor)
    parts = []
    for _ in range(draw(st.integers(0, 4))):
        field = draw(st.sampled_from(fields)) if fields else None
        if field is None:
            parts.append(draw(scalars(1)))
        elif field.message_type is not None and depth:
            inner = draw(contents(field.message_type, depth - 1))
            wrap = group if draw(st.integers(0, 9)) == 0 or is_group(field) else item
            parts.append(wrap(field.number, inner))
        else:
            at = field.number if draw(st.integers(0, 9)) else draw(st.integers(1, 3000))
            parts.append(draw(scalars(at)))
    return b"".join(parts)


def is_group(field: Any) -> bool:
    return bool(field.type == FieldDescriptor.TYPE_GROUP)


def scalars(at: int) -> st.SearchStrategy[bytes]:
    """Return a field of any kind without messages in it."""
    fixed = st.sampled_from([(1, 8), (5, 4)])
    return st.one_of(
        st.integers(0, 2**64 - 1).map(lambda value: varint(at, value)),
        st.one_of(st.binary(max_size=5), st.text(max_size=3).map(str.encode)).map(
            lambda value: item(at, value)
        ),
        fixed.map(lambda kind: number(at << 3 | kind[0]) + b"\1" * kind[1]),
    )


@given(st.data())
def test_as_protobuf_does(data: st.DataObject) -> None:
    """In pieces of any size, messages of all kinds are what they are in one."""
    message_class = class_of(data.draw(st.sampled_from(TYPES)))
    serialized = data.draw(contents(message_class.DESCRIPTOR))

    check(serialized, message_class, data.draw(st.integers(1, 40)))


@given(st.data())
def test_refuses_as_protobuf_does(data: st.DataObject) -> None:
    """What is cut off, or changed anywhere, is refused or read as protobuf does."""
    message_class = class_of(data.draw(st.sampled_from(TYPES)))
    serialized = bytearray(data.draw(contents(message_class.DESCRIPTOR)))
    for _ in range(data.draw(st.integers(0, 3))):
        if serialized:
            at = data.draw(st.integers(0, len(serialized) - 1))
            serialized[at] = data.draw(st.sampled_from([0, 1, 3, 4, 11, 12, 127, 128, 255]))
    end = data.draw(st.integers(0, len(serialized)))

    check(bytes(serialized[:end]), message_class, data.draw(st.integers(1, 40)))


@given(st.binary(max_size=40), st.sampled_from(TYPES), st.integers(1, 8))
def test_any_bytes(data: bytes, name: str, size: int) -> None:
    """Any bytes are read or refused as protobuf does."""
    check(data, class_of(name), size)


@pytest.mark.parametrize("depth", [96, 97, 98, 99, 100, 101, 102])
@pytest.mark.parametrize("size", [1, 50, 400])
@pytest.mark.parametrize(
    "path",
    [(70,), (25,), (34, 2), (42,), (25, 70), (70, 34, 2), (34, 2, 25)],
    ids=str,
)
def test_depth(path: tuple[int, ...], size: int, depth: int) -> None:
    """As many messages may nest as in one piece, whatever they are nested in."""
    numbers = (path * depth)[:depth]

    check(nested(numbers, b"\x18\x01"), EVERYTHING, size)


@pytest.mark.parametrize("depth", [98, 99, 100, 101])
@pytest.mark.parametrize("at", [5, 77])
def test_depth_of_groups(at: int, depth: int) -> None:
    """Groups that are known and that are not count like messages."""
    data = b""
    for _ in range(depth):
        data = group(at, data)

    check(data, LEGACY, 7)


@pytest.mark.parametrize(
    ("message_class", "data"),
    [
        pytest.param(EVERYTHING, item(70, varint(3, 1)) + item(70, varint(4, 2)), id="merged"),
        pytest.param(
            EVERYTHING,
            item(42, varint(3, 1)) + varint(40, 7) + item(42, varint(4, 2) * 9),
            id="a oneof that changes",
        ),
        pytest.param(EVERYTHING, item(42, b"") + varint(40, 7), id="the last of a oneof"),
        pytest.param(EVERYTHING, item(70, item(42, varint(3, 1) * 20)) * 2, id="twice"),
        pytest.param(
            MAPS,
            item(16, item(1, b"k") + item(2, item(1, varint(1, 5) + item(2, b"x")))) * 2,
            id="an entry of the same key",
        ),
        pytest.param(
            MAPS, item(16, item(2, item(7, item(1, b"a") * 9)) + item(1, b"late")), id="key last"
        ),
        pytest.param(
            MAPS, item(16, item(1, b"a") + item(2, varint(9, 1)) * 2 + item(1, b"b")), id="2 keys"
        ),
        pytest.param(MAPS, item(16, item(2, varint(99, 1) * 9)), id="no key"),
        pytest.param(MAPS, item(16, item(1, b"k") + varint(9, 1) * 9), id="unknown in an entry"),
        pytest.param(MAPS, item(16, item(1, b"\xff") + item(2, b"")), id="a key that is no text"),
        pytest.param(
            MAPS, item(16, item(1, b"\xff") + item(1, b"k") + item(2, b"")), id="nor is the first"
        ),
        pytest.param(MAPS, item(16, varint(1, 7) + item(2, varint(99, 1))), id="of another kind"),
        pytest.param(LEGACY, item(102, item(101, b"word") * 9) * 2, id="an extension"),
        pytest.param(LEGACY, group(5, item(6, b"a") + item(6, b"b")) * 2, id="a group"),
        pytest.param(LEGACY, b"\x2b\x32\x01a\x2c", id="a known group"),
        pytest.param(LEGACY, b"\x2b\x32\x01a\x34", id="another's end"),
        pytest.param(LEGACY, b"\x2c", id="an end without a group"),
        pytest.param(EVERYTHING, group(999, b"\x00\x01"), id="number 0 in an unknown group"),
        pytest.param(EVERYTHING, b"\x18\x01\x00\x01", id="number 0"),
        pytest.param(EVERYTHING, b"\x0e\x01\x01", id="kind 6"),
        pytest.param(EVERYTHING, b"\x98\x80\x80\x00\x01", id="a long tag"),
        pytest.param(EVERYTHING, b"\xf8\xff\xff\xff\x1f\x01", id="too large a tag"),
        pytest.param(EVERYTHING, b"\x72\x81\x80\x80\x80\x00a", id="a long length"),
        pytest.param(EVERYTHING, b"\x72\xff\xff\xff\xff\x0f", id="too large a length"),
        pytest.param(EVERYTHING, b"\x18" + b"\xff" * 9 + b"\x7f", id="the longest number"),
        pytest.param(EVERYTHING, b"\x18" + b"\xff" * 10 + b"\x01", id="a longer one"),
        pytest.param(EVERYTHING, item(70, b"\x18"), id="a field cut off inside"),
        pytest.param(EVERYTHING, item(70, b"\x72\x05") + b"abcde", id="a field beyond its message"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_odd_messages(message_class: Any, data: bytes, size: int) -> None:
    """Where the wire format has a second meaning to offer, it is protobuf's."""
    check(data, message_class, size)


EXTENDED = """
syntax = "proto2";
package extended.v1;
message Extended { extensions 100 to 199; repeated int32 numbers = 1; }
extend Extended { repeated Extended more = 100; optional Extended one = 101; }
"""


@pytest.mark.parametrize("size", [1, 3, 9])
@pytest.mark.parametrize("path", [(100,), (101,), (101, 100), (100, 101, 100, 100)], ids=str)
def test_extensions(path: tuple[int, ...], size: int) -> None:
    """Messages in extensions are gone through like those in fields."""
    made = DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptor_set(EXTENDED)).file:
        made.Add(file)

    check(nested(path, varint(1, 5) * 9) * 2, class_of("extended.v1.Extended", made), size)


@pytest.mark.parametrize(("size", "is_read"), [(60_000, True), (70_000, False)])
def test_entries_with_unknown_fields(size: int, is_read: bool) -> None:  # noqa: FBT001
    """A large entry of a map is refused if it has fields that no entry has."""
    data = item(34, varint(3, 1) + item(2, repeated(25, size)))

    assert (outcome(parse, data, EVERYTHING) is not None) is is_read


def test_small_messages_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message of one piece is not gone through."""
    monkeypatch.delattr(wire, "_Parsing")

    assert parse(repeated(25, PIECE), EVERYTHING) == EVERYTHING.FromString(repeated(25, PIECE))


@pytest.mark.parametrize("name", heaviest(1))
def test_large_messages(name: str) -> None:
    """A large message is what it is in one piece."""
    type_, data = heaviest(300_000)[name]
    message_class = class_of(type_)

    assert parse(data, message_class) == message_class.FromString(data)


@pytest.mark.parametrize(
    ("data", "heavy"),
    [
        pytest.param(repeated(25, 60_000), False, id="small"),
        pytest.param(repeated(25, 70_000), True, id="messages"),
        pytest.param(repeated(21, 70_000), True, id="empty texts"),
        pytest.param(item(14, b"x" * 1_000_000), False, id="a text"),
        pytest.param(item(20, b"\1" * 1_000_000), False, id="packed"),
        pytest.param(item(70, item(15, b"x" * 1_000_000)), False, id="bytes in a message"),
        pytest.param(item(15, b"x" * 90_000) + repeated(25, 70_000), True, id="bytes and more"),
        pytest.param(item(25, repeated(25, 70_000)), True, id="messages in a message"),
        pytest.param(group(999, varint(1, 1) * 50_000), True, id="a group"),
        pytest.param(item(14, b"x" * 100_000)[:-1], True, id="cut off"),
        pytest.param(b"\xff" * 100_000, True, id="nothing"),
    ],
)
def test_is_heavy(data: bytes, heavy: bool) -> None:  # noqa: FBT001  a table's column
    """What takes long is what has many fields, not what has many bytes."""
    assert is_heavy(data, EVERYTHING) is heavy


@pytest.mark.parametrize("name", heaviest(1))
def test_to_look_takes_a_moment(name: str) -> None:
    """Whether a message is heavy is said at once."""
    type_, data = heaviest(4 << 20)[name]

    assert cost(lambda: is_heavy(data, class_of(type_))) < BOUND
