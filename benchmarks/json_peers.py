"""What there is for protobuf JSON in Python, side by side: what it costs and what it gets wrong.

Each peer prints and reads the user of 320 bytes and a list of fifty, in CPU time, turn by turn,
the median over the rounds; each reads what it printed itself, and has no time where it cannot.
Then each goes through a table of the mapping (https://protobuf.dev/programming-guides/json/), one
row a fact.

The packages that ask a field for its label stop at protobuf 7, which has none; they run here with
that one question mended, as if they were kept. What they make of a message is a dict, and orjson
makes the JSON, times included. They are optional: `pip install --group bench`.

Left out, for they do not take a message of protobuf's own classes or have no build for this
platform: betterproto, proto-plus (which calls json_format), pure-protobuf, protoruf, fastproto,
cprotobuf, pyrobuf; json-protobuf and protojson are for C++ and for another format. More forks of
protobuf-to-dict do what protobuf3-to-dict does.

    python benchmarks/json_peers.py
"""

from __future__ import annotations

import base64
import contextlib
import functools
import importlib.util
import json
import math
import re
import statistics
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import orjson
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    json_format,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from json_codec import cost
from one_user import sample

from services.user.v1 import user_service_pb2
from transcoder.protojson import from_json, to_json

ROUNDS = 15
CALLS = 20

Field = descriptor_pb2.FieldDescriptorProto
USED: tuple[Any, ...] = (
    any_pb2,
    duration_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
KINDS: dict[str, Any] = {
    "display_name": Field.TYPE_STRING,
    "count": Field.TYPE_INT64,
    "data": Field.TYPE_BYTES,
    "ratio": Field.TYPE_DOUBLE,
    "share": Field.TYPE_FLOAT,
    "size": Field.TYPE_INT32,
    "is_on": Field.TYPE_BOOL,
    "mode": ".json_peers.Mode",
    "time": ".google.protobuf.Timestamp",
    "duration": ".google.protobuf.Duration",
    "mask": ".google.protobuf.FieldMask",
    "wrapped": ".google.protobuf.Int64Value",
    "any": ".google.protobuf.Any",
    "struct": ".google.protobuf.Struct",
    "value": ".google.protobuf.Value",
}
"""The fields of the table's message, and their types."""

Print = Callable[[Message], bytes]
Read = Callable[[bytes, type[Message]], Message]


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to print and to read."""

    name: str
    print: Print
    read: Read


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of the mapping.

    Args:
        name: of the fact.
        text: what is read.
        fields: what the message has; None when the text has to be refused.
        printed: what is printed of it; by default the text.
    """

    name: str
    text: str
    fields: dict[str, Any] | None
    printed: str = ""


def message_class() -> type[Message]:
    """Return the class of the table's message."""
    made = descriptor_pb2.FileDescriptorProto(
        name="json_peers.proto", package="json_peers", syntax="proto3"
    )
    made.dependency.extend(module.DESCRIPTOR.name for module in USED)
    mode = made.enum_type.add(name="Mode")
    mode.value.add(name="MODE_OFF", number=0)
    mode.value.add(name="MODE_ON", number=1)
    message = made.message_type.add(name="Row", oneof_decl=[{"name": "one"}])
    message.field.add(name="text", number=20, type=Field.TYPE_STRING, label=1, oneof_index=0)
    message.field.add(name="number", number=21, type=Field.TYPE_INT32, label=1, oneof_index=0)
    for number, (name, kind) in enumerate(KINDS.items(), 1):
        field = message.field.add(name=name, number=number, label=1)
        if isinstance(kind, str):
            field.type_name = kind
        else:
            field.type = kind
    pool: Any = descriptor_pool.Default()
    pool.Add(made)
    return GetMessageClass(pool.FindMessageTypeByName("json_peers.Row"))


def rows() -> list[Row]:
    """Return the table."""
    held = any_pb2.Any()
    held.Pack(duration_pb2.Duration(seconds=1))
    host = "type.googleapis.com/google.protobuf.Duration"
    time_of = timestamp_pb2.Timestamp
    return [
        Row("lowerCamelCase", '{"displayName":"a"}', {"display_name": "a"}),
        Row("proto names", '{"display_name":"a"}', {"display_name": "a"}, '{"displayName":"a"}'),
        Row("int64 in quotes", '{"count":"9007199254740993"}', {"count": 2**53 + 1}),
        Row("base64", '{"data":"+/8="}', {"data": b"\xfb\xff"}),
        Row("base64 for URLs", '{"data":"-_8"}', {"data": b"\xfb\xff"}, '{"data":"+/8="}'),
        Row("enum names", '{"mode":"MODE_ON"}', {"mode": 1}),
        Row("enum numbers", '{"mode":1}', {"mode": 1}, '{"mode":"MODE_ON"}'),
        Row("unknown enum", '{"mode":7}', {"mode": 7}),
        Row("NaN", '{"ratio":"NaN"}', {"ratio": math.nan}),
        Row("-Infinity", '{"ratio":"-Infinity"}', {"ratio": -math.inf}),
        Row("shortest float", '{"share":0.1}', {"share": 0.1}),
        Row("1e2 for an int32", '{"size":1e2}', {"size": 100}, '{"size":100}'),
        Row("Timestamp", '{"time":"2026-01-31T12:00:00Z"}', {"time": time_of(seconds=1769860800)}),
        Row("nanoseconds", '{"time":"1970-01-01T00:00:00.000000001Z"}', {"time": time_of(nanos=1)}),
        Row("Duration", '{"duration":"1.500s"}', {"duration": {"seconds": 1, "nanos": 5 * 10**8}}),
        Row(
            "FieldMask",
            '{"mask":"displayName,mode"}',
            {"mask": {"paths": ["display_name", "mode"]}},
        ),
        Row("wrapper", '{"wrapped":"5"}', {"wrapped": {"value": 5}}),
        Row("wrapper of zero", '{"wrapped":"0"}', {"wrapped": {"value": 0}}),
        Row("Any", f'{{"any":{{"@type":"{host}","value":"1s"}}}}', {"any": held}),
        Row("Struct", '{"struct":{"a":[1.0,null]}}', {"struct": struct({"a": [1, None]})}),
        Row("Value", '{"value":"a"}', {"value": {"string_value": "a"}}),
        Row("null for a Value", '{"value":null}', {"value": {"null_value": 0}}),
        Row(
            "null", '{"count":null,"displayName":"a"}', {"display_name": "a"}, '{"displayName":"a"}'
        ),
        Row("zero in a oneof", '{"number":0}', {"number": 0}),
        Row("a key twice", '{"size":1,"size":2}', None),
        Row("both spellings", '{"displayName":"a","display_name":"b"}', None),
        Row("both of a oneof", '{"text":"a","number":1}', None),
        Row("unknown field", '{"nope":1}', None),
        Row("1 for a bool", '{"isOn":1}', None),
        Row("true for a double", '{"ratio":true}', None),
        Row("1.5 for an int32", '{"size":1.5}', None),
        Row("1_000", '{"size":"1_000"}', None),
        Row("2**31 for an int32", '{"size":2147483648}', None),
        Row("bad base64", '{"data":"a*b="}', None),
        Row("bare NaN", '{"ratio":NaN}', None),
        Row("offset +25:00", '{"time":"2026-01-31T12:00:00+25:00"}', None),
    ]


def struct(fields: dict[str, Any]) -> struct_pb2.Struct:
    """Return a Struct."""
    made = struct_pb2.Struct()
    made.update(fields)
    return made


def peers() -> list[Peer]:
    """Return what is there, and tell what is not."""
    found = [
        Peer("transcoder", to_json, from_json),
        Peer(
            "json_format",
            lambda message: json_format.MessageToJson(
                message, indent=None, ensure_ascii=False
            ).encode(),
            lambda data, wanted: json_format.Parse(data, wanted()),
        ),
        Peer(
            "json_format, orjson",
            lambda message: orjson.dumps(json_format.MessageToDict(message)),
            lambda data, wanted: json_format.ParseDict(orjson.loads(data), wanted()),
        ),
    ]
    for name, module, printer, reader in (
        ("protobuf3-to-dict", "protobuf_to_dict", protobuf3, protobuf3_read),
        ("pb2dict", "pb2dict", pb2dict, pb2dict_read),
    ):
        source = mended(module)
        if source is None:
            print(f"{name}: not installed, see `pip install --group bench`")
        else:
            found.append(Peer(f"{name} {metadata.version(name)}", printer(source), reader(source)))
    return found


def mended(name: str) -> Any:
    """Return a module that asks fields whether they repeat, not for their label."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    with open(spec.origin, encoding="utf-8") as file:  # noqa: PTH123  its origin is a str
        source = re.sub(r"\b(\w+)\.label\b", r"(3 if \1.is_repeated else 1)", file.read())
    module = types.ModuleType(name)
    exec(compile(source, spec.origin, "exec"), module.__dict__)  # noqa: S102  as import does
    return module


def protobuf3(module: Any) -> Print:
    """Return how protobuf3-to-dict prints, at its best."""
    return lambda message: orjson.dumps(module.protobuf_to_dict(message, use_enum_labels=True))


def protobuf3_read(module: Any) -> Read:
    """Return how it reads."""
    return lambda data, wanted: module.dict_to_protobuf(wanted, orjson.loads(data))


def pb2dict(module: Any) -> Print:
    """Return how pb2dict prints, at its best: what it does to bytes can be chosen."""
    kinds = {module.fields.BYTES: lambda data: base64.b64encode(data).decode()}
    return lambda message: orjson.dumps(module.to_dict(message, kinds, use_enum_labels=True))


def pb2dict_read(module: Any) -> Read:
    """Return how it reads."""
    kinds = {module.fields.BYTES: base64.b64decode}
    return lambda data, wanted: module.to_message(wanted, orjson.loads(data), kinds)


def wrong(peer: Peer, row: Row, wanted: type[Message]) -> str:
    """Return what a peer gets wrong of a row, nothing if it is right."""
    if row.fields is None:
        try:
            peer.read(row.text.encode(), wanted)
        except Exception:  # noqa: BLE001  a refusal, of any kind
            return ""
        return "read, not refused"
    message = wanted(**row.fields)
    told = []
    try:
        printed = peer.print(message).decode()
        if json.loads(printed) != json.loads(row.printed or row.text):
            told.append(f"printed {printed}")
    except Exception as error:  # noqa: BLE001  of any kind
        told.append(f"print: {type(error).__name__}")
    try:
        read = peer.read(row.text.encode(), wanted)
        if read.SerializeToString() != message.SerializeToString():
            told.append("read wrong")
    except Exception as error:  # noqa: BLE001  of any kind
        told.append(f"read: {type(error).__name__}")
    return ", ".join(told)


def times(found: list[Peer], message: Message) -> dict[str, tuple[float, float]]:
    """Return the microseconds of printing and reading by peer; NaN where the message is lost."""
    calls: dict[tuple[str, int], Callable[[], object]] = {}
    for peer in found:
        with contextlib.suppress(Exception):
            data = peer.print(message)
            calls[peer.name, 0] = functools.partial(peer.print, message)
            peer.read(data, type(message))
            calls[peer.name, 1] = functools.partial(peer.read, data, type(message))
    rounds = [{key: cost(call, CALLS) for key, call in calls.items()} for _ in range(ROUNDS)]

    def median(key: tuple[str, int]) -> float:
        return statistics.median(each[key] for each in rounds) if key in calls else math.nan

    return {peer.name: (median((peer.name, 0)), median((peer.name, 1))) for peer in found}


def main() -> int:
    """Print both tables; return 1 when we get a row wrong."""
    started = time.monotonic()
    found = peers()
    user = sample()
    users = user_service_pb2.ListUsersResponse(users=[user] * 50)
    wanted, table = message_class(), rows()
    faults = {
        peer.name: {row.name: fault for row in table if (fault := wrong(peer, row, wanted))}
        for peer in found
    }
    one, fifty = times(found, user), times(found, users)
    print(
        f"{'CPU µs':26}{'user: print':>12}{'read':>9}{'list of 50: print':>20}{'read':>9}   wrong"
    )
    for peer in found:
        cells = zip((*one[peer.name], *fifty[peer.name]), (12, 9, 20, 9), strict=True)
        line = "".join(
            f"{'-' if math.isnan(value) else f'{value:.1f}':>{width}}" for value, width in cells
        )
        print(f"{peer.name:26}{line}   {len(faults[peer.name])} of {len(table)}")
    for name, told in faults.items():
        print(f"\n{name}: {'nothing wrong' if not told else ''}")
        for row, fault in told.items():
            print(f"  {row:20} {fault[:100]}")
    print(f"\n{time.monotonic() - started:.0f} s")
    return int(bool(faults["transcoder"]))


if __name__ == "__main__":
    sys.exit(main())
