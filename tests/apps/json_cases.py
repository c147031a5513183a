"""Messages and JSON documents at random, and what json_format says of them."""

from __future__ import annotations

import copy
import json
import math
from functools import cache
from random import Random
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from compiled import pool

TYPES = (
    "everything.v1.Everything",
    "kinds.v1.Alone",
    "kinds.v1.Lists",
    "kinds.v1.Maps",
    "edition.v1.Edition",
    "legacy.v1.Legacy",
    "extensions.v1.Groups",
    "google.protobuf.Any",
    "google.protobuf.Duration",
    "google.protobuf.FieldMask",
    "google.protobuf.Struct",
    "google.protobuf.Timestamp",
    "google.protobuf.Value",
    "google.protobuf.FloatValue",
    "google.protobuf.UInt64Value",
)
KIND = FieldDescriptor
INTEGERS = {
    KIND.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    KIND.CPPTYPE_UINT32: (0, 2**32 - 1),
    KIND.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    KIND.CPPTYPE_UINT64: (0, 2**64 - 1),
}
TEXTS = (
    "",
    "a",
    "é",
    "\U0001f600",
    '":',
    '" :',
    "::",
    '"\\',
    "\n\t\0",
    "2026-01-31T12:00:00Z",
    "@type",
    "null",
    "\x7f\u2028",
    "x" * 300,
)
DOUBLES = (
    0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    1e22,
    1e-7,
    5e-324,
    1.7976931348623157e308,
    123456789.125,
    2.0**53,
    math.inf,
    -math.inf,
    math.nan,
)
FLOATS = (
    0.0,
    -0.0,
    1.0,
    0.1,
    1e-45,
    16777216.0,
    3.4028234663852886e38,
    123456.7,
    -math.inf,
    math.inf,
    math.nan,
)
PATHS = ("a", "a_b", "a.b_c", "display_name", "x9", "*", "a,b")
BAD_PATHS = ("aB", "a__b", "_9", "a_", "é_b")


@cache
def protos() -> DescriptorPool:
    """Return the pool that all types are of."""
    return pool()


@cache
def message_class(name: str) -> type[Message]:
    """Return the class of a type by its full name."""
    return GetMessageClass(protos().FindMessageTypeByName(name))


def some_message(random: Random, name: str) -> Message:
    """Return a message of a type, with any of its fields set."""
    message = message_class(name)()
    _fill(random, message, 0)
    return message


def _fill(random: Random, message: Any, depth: int) -> None:
    descriptor = message.DESCRIPTOR
    special = _SPECIAL.get(descriptor.full_name)
    if special is not None:
        special(random, message, depth)
        return
    fields = list(descriptor.fields)
    if descriptor.is_extendable and random.random() < 0.3:
        fields += descriptor.file.pool.FindAllExtensions(descriptor)
    most = (len(fields), 8, 4, 2)[min(depth, 3)]
    for field in random.sample(fields, random.randint(0, min(len(fields), most))):
        _set(random, message, field, depth)


def _set(random: Random, message: Any, field: FieldDescriptor, depth: int) -> None:
    if field.message_type is not None and depth > 3 and not _is_leaf(field.message_type):
        return
    if field.is_extension:
        if field.is_repeated:
            message.Extensions[field].extend(_scalar(random, field) for _ in range(2))
        elif field.message_type is not None:
            _fill(random, message.Extensions[field], depth + 1)
        else:
            message.Extensions[field] = _scalar(random, field)
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        _set_map(random, getattr(message, field.name), field.message_type, depth)
    elif field.is_repeated:
        target = getattr(message, field.name)
        for _ in range(random.choice((0, 1, 2, 3) if depth else (0, 1, 2, 10, 40))):
            if field.message_type is not None:
                _fill(random, target.add(), depth + 1)
            else:
                target.append(_scalar(random, field))
    elif field.message_type is not None:
        child = getattr(message, field.name)
        child.SetInParent()
        _fill(random, child, depth + 1)
    else:
        setattr(message, field.name, _scalar(random, field))


def _set_map(random: Random, target: Any, entry: Descriptor, depth: int) -> None:
    key_field, value_field = (entry.fields_by_name[name] for name in ("key", "value"))
    for _ in range(random.randint(0, 2)):
        key = _scalar(random, key_field)
        if value_field.message_type is not None:
            _fill(random, target[key], depth + 1)
        else:
            target[key] = _scalar(random, value_field)


def _is_leaf(descriptor: Descriptor) -> bool:
    return descriptor.full_name in {"google.protobuf.Timestamp", "google.protobuf.Duration"}


def _scalar(random: Random, field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        return _enum(random, field.enum_type)
    if field.cpp_type in INTEGERS:
        low, high = INTEGERS[field.cpp_type]
        return random.choice((0, 1, low, high, random.randint(low, high), random.randint(0, 99)))
    if field.cpp_type == KIND.CPPTYPE_BOOL:
        return random.random() < 0.5
    if field.cpp_type in {KIND.CPPTYPE_FLOAT, KIND.CPPTYPE_DOUBLE}:
        edges = FLOATS if field.cpp_type == KIND.CPPTYPE_FLOAT else DOUBLES
        return random.choice((*edges, random.gauss(0, 1000)))
    if field.type == KIND.TYPE_BYTES:
        return random.randbytes(random.randint(0, 7))
    return random.choice(TEXTS)


def _enum(random: Random, enum: EnumDescriptor) -> int:
    numbers = [value.number for value in enum.values]
    return random.choice(numbers if enum.is_closed else [*numbers, 99, -(2**31)])


def _timestamp(random: Random, message: Any, depth: int) -> None:
    low, high = -62_135_596_800, 253_402_300_799
    message.seconds = random.choice((0, low, high, random.randint(low, high), 1_769_860_800))
    message.nanos = random.choice((0, 0, 1, 20_000_000, 123_456_000, 999_999_999))
    if random.random() < 0.01:
        message.seconds = random.choice((low - 1, high + 1, 10**15))


def _duration(random: Random, message: Any, depth: int) -> None:
    sign = random.choice((1, -1))
    message.seconds = sign * random.choice((0, 1, 315_576_000_000, random.randint(0, 99)))
    message.nanos = sign * random.choice((0, 0, 1, 20_000_000, 123_456_000, 999_999_999))
    if random.random() < 0.01:
        message.nanos = -message.nanos


def _mask(random: Random, message: Any, depth: int) -> None:
    message.paths.extend(random.choices(PATHS, k=random.randint(0, 3)))
    if random.random() < 0.01:
        message.paths.append(random.choice(BAD_PATHS))


def _value(random: Random, message: Any, depth: int) -> None:
    kind = random.randint(0, 4 if depth > 3 else 6)
    if kind == 0:
        message.null_value = 0
    elif kind == 1:
        message.bool_value = random.random() < 0.5
    elif kind == 2:
        message.string_value = random.choice(TEXTS)
    elif kind == 3:
        message.number_value = random.choice(DOUBLES[: 12 if random.random() < 0.98 else None])
    elif kind == 5:
        message.struct_value.SetInParent()
        _struct(random, message.struct_value, depth + 1)
    elif kind == 6:
        message.list_value.SetInParent()
        _list(random, message.list_value, depth + 1)


def _struct(random: Random, message: Any, depth: int) -> None:
    for _ in range(random.randint(0, 3)):
        _value(random, message.fields[random.choice(TEXTS)], depth + 1)


def _list(random: Random, message: Any, depth: int) -> None:
    for _ in range(random.randint(0, 3)):
        _value(random, message.values.add(), depth + 1)


def _any(random: Random, message: Any, depth: int) -> None:
    if random.random() < 0.1:
        return
    name = random.choice(TYPES if depth < 3 else TYPES[8:12])
    inner = message_class(name)()
    _fill(random, inner, depth + 2)
    host = "type.googleapis.com" if random.random() < 0.98 else "example.com/a"
    message.type_url = f"{host}/{name if random.random() < 0.99 else 'no.Such'}"
    message.value = inner.SerializePartialToString()


_SPECIAL: dict[str, Any] = {
    "google.protobuf.Any": _any,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": _mask,
    "google.protobuf.ListValue": _list,
    "google.protobuf.Struct": _struct,
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Value": _value,
}


ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    7,
    2**31,
    2**32,
    2**53 + 1,
    2**63,
    2**64,
    -(2**63) - 1,
    10**40,
    0.0,
    -0.0,
    1.0,
    1.5,
    1e2,
    1e20,
    3.5e38,
    math.nan,
    math.inf,
    [],
    {},
    [None],
    [1, "1"],
    ["a"],
    [[]],
    [{}],
    {"a": 1},
    {"": None},
    {"1": "1", "01": "2"},
    {"1": 1, "1.0": 2},
    {"true": True},
    {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"},
    {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s", "x": 1},
    {"@type": "type.googleapis.com/google.protobuf.Value", "value": None},
    {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": None},
    {"@type": "type.googleapis.com/google.protobuf.Empty"},
    {"@type": "type.googleapis.com/google.protobuf.Empty", "value": {}},
    {"@type": "type.googleapis.com/kinds.v1.Alone", "int32": 1},
    {"@type": "type.googleapis.com/legacy.v1.Legacy"},
    {"@type": "http://169.254.169.254/kinds.v1.Alone"},
    {"@type": "kinds.v1.Alone"},
    {"@type": 1},
    "",
    "a",
    "1",
    "-0",
    "01",
    "+1",
    " 1",
    "1 ",
    "1_000",
    "٣",
    "1.0",
    "1e2",
    "1e400",
    "1.5",
    ".5",
    "1.",
    "0x1",
    "9007199254740993",
    "9007199254740993.0",
    "18446744073709551615",
    "18446744073709551616",
    "3.5e38",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "true",
    "RED",
    "LEFT",
    "LINKS",
    "DARK",
    "NULL_VALUE",
    "red",
    "QQ==",
    "QQ=",
    "QQ",
    "QR==",
    "-_8",
    "+/8=",
    "+_8",
    "a*b=",
    "Q",
    "QQ==\n",
    "QQ==QQ==",
    "=",
    "é",
    "\ud800",
    "\udc00\ud800",
    "2026-01-31T12:00:00Z",
    "2026-01-31T12:00:00.5Z",
    "2026-01-31T12:00:00.123456789+01:30",
    "2026-01-31T12:00:00.1234567891Z",
    "2026-01-31T12:00:00+25:00",
    "2026-01-31T12:00:00.Z",
    "2026-01-31T12:00:60Z",
    "2026-01-31T24:00:00Z",
    "2026-02-30T12:00:00Z",
    "2026-1-31T12:00:00Z",
    "2026-01-31t12:00:00z",
    "2026-01-31 12:00:00Z",
    "2026-01-31T12:00:00",
    "\u0662\u066026-01-31T12:00:00Z",
    "0001-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59.999999999Z",
    "9999-12-31T23:59:59-00:01",
    "1s",
    "-1.5s",
    "0.000000001s",
    "1.0000000001s",
    "315576000000s",
    "315576000001s",
    "01s",
    "+1s",
    "1_0s",
    "1.s",
    "--1s",
    "1",
    "1e3s",
    "-0.5s",
    "a,bC",
    "a_b",
    "É",
    "aÉ",
    "a,,b",
)


def some_document(random: Random, name: str) -> bytes:
    """Return JSON for a type, right, nearly right or wrong."""
    tree = _tree(random, name)
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        tree = _changed(random, tree, name)
    data = _written(random, tree).encode("utf-8", "surrogatepass")
    if random.random() < 0.1:
        place = random.randrange(len(data))
        data = data[:place] + random.choice((b"", b'"', b",", b"\xff", b" ")) + data[place + 1 :]
    return data


def _tree(random: Random, name: str) -> Any:
    while True:
        try:
            return json_format.MessageToDict(
                some_message(random, name),
                preserving_proto_field_name=random.random() < 0.2,
                use_integers_for_enums=random.random() < 0.2,
                unquote_int64_if_possible=random.random() < 0.2,
                always_print_fields_with_no_presence=random.random() < 0.2,
                descriptor_pool=protos(),
            )
        except Exception:  # noqa: BLE001, S112  what cannot be printed makes no document
            continue


def _changed(random: Random, tree: Any, name: str) -> Any:
    """Change one place of a tree."""
    places: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict | list):
            steps = item.items() if isinstance(item, dict) else enumerate(item)
            places += ((item, step) for step, _ in steps)
            waiting += item.values() if isinstance(item, dict) else item
    if not places or random.random() < 0.05:
        return _added(random, tree, name)
    inside, step = random.choice(places)
    way = random.random()
    if way < 0.7:
        inside[step] = _odd(random)
    elif way < 0.8:
        del inside[step]
    elif isinstance(inside, dict):
        key = random.choice(("nope", "[x.y]", "@type", "value", "1", "é", "\ud800", step.upper()))
        inside[key] = random.choice((inside[step], None, {"a": [{"b": 1}]}))
    return tree


def _odd(random: Random) -> Any:
    return copy.deepcopy(random.choice(ODD))


def _added(random: Random, tree: Any, name: str) -> Any:
    """Give any field of the type any value, in either spelling."""
    if not isinstance(tree, dict) or random.random() < 0.1:
        return _odd(random)
    descriptor: Any = message_class(name).DESCRIPTOR
    field = random.choice(descriptor.fields)
    spellings = random.sample((field.name, field.json_name), random.randint(1, 2))
    for spelling in spellings:
        tree[spelling] = _odd(random)
    return tree


def _written(random: Random, tree: Any) -> str:
    """Write JSON, now and then with a key twice, or with other whitespace and escapes."""
    text = json.dumps(
        tree,
        ensure_ascii=random.random() < 0.5,
        indent=random.choice((None, None, None, 1, "\t")),
        separators=random.choice((None, (",", ":"), (",", ":"), (" ,\n", "\t: "))),
    )
    if random.random() < 0.05 and isinstance(tree, dict) and tree:
        key = json.dumps(random.choice(list(tree)))
        escaped = "".join(f"\\u{ord(char):04x}" for char in key[1:-1] if ord(char) < 0x10000)
        again = random.choice((key, f'"{escaped}"'))
        text = f"{{{again}{random.choice((':', ' :'))}null,{text[1:]}"
    return text


def json_format_reads(data: bytes, name: str, *, ignore_unknown: bool) -> Message | None:
    """Return what json_format reads, None when it refuses."""
    message = message_class(name)()
    try:
        return json_format.Parse(
            data, message, ignore_unknown_fields=ignore_unknown, descriptor_pool=protos()
        )
    except Exception:  # noqa: BLE001  it raises anything
        return None


def json_format_prints(message: Message, **options: bool) -> str | None:
    """Return what json_format prints, None when it cannot."""
    try:
        tree = json_format.MessageToDict(message, descriptor_pool=protos(), **options)
    except Exception:  # noqa: BLE001  it raises anything
        return None
    return canonical(tree)


def canonical(tree: Any) -> str:
    """Return a JSON tree as text that is equal for equal trees only; -0.0 is not 0.0."""
    return json.dumps(tree, sort_keys=True)


def same(one: Message, other: Message) -> bool:
    """Say whether two messages are the same to the bit, NaN and maps within Any included."""
    if one.SerializePartialToString(deterministic=True) == other.SerializePartialToString(
        deterministic=True
    ):
        return True
    # Maps within Any may have other orders.
    text = json_format_prints(one)
    return text is not None and text == json_format_prints(other)
