"""What JSON costs both ways, against json_format in the same run.

CPU time of both, turn by turn, so that the machine's moods hit both alike; the ratio is the median
over the rounds. json_format runs as it is used at its best: without indent, on a type that it has
seen before. Every check of ours is on. First use is the cost of compiling a type of 50 fields of
ten kinds, shapes all different.

Left out: what stands around the codec in a server, threads, and documents that are refused or
left to json_format, which cost what json_format costs and a walk beside the descriptor.

Other peers, and what each of them gets wrong, are in json_peers.py.

    python benchmarks/json_codec.py [encode|decode]
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.api import distribution_pb2
from google.protobuf import descriptor_pb2, json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from one_user import sample

from services.user.v1 import user_service_pb2
from transcoder.protojson import from_json, to_json

ROUNDS = 31
ROUND = 4_000_000
"""Nanoseconds of json_format's work in a round."""
FIRST_USE = 3.0
"""Milliseconds."""

Field = descriptor_pb2.FieldDescriptorProto


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line of the table."""

    name: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    gate: float
    goal: float


def numbers() -> tuple[Message, Message]:
    """Return messages of 1000 doubles and of 1000 64-bit integers."""
    some = random.Random(1)
    doubles = distribution_pb2.Distribution.BucketOptions.Explicit(
        bounds=[some.random() for _ in range(1000)]
    )
    integers = distribution_pb2.Distribution(
        bucket_counts=[some.randrange(10**12) for _ in range(1000)]
    )
    return doubles, integers


def cases() -> dict[str, list[Case]]:
    """Return the lines of the table, by direction."""
    user = sample()
    users = user_service_pb2.ListUsersResponse(users=[user] * 50)
    doubles, integers = numbers()
    return {
        "encode": [
            encoding("user, 320 B", user, 4, 5),
            encoding("list of 50", users, 3.5, 4.5),
            encoding("1000 doubles", doubles, 15, 19),
            encoding("1000 int64", integers, 5, 6),
            encoding("same user, defaults printed", user, 4, 5, print_defaults=True),
        ],
        "decode": [
            decoding("user, 320 B", user, 6, 8),
            decoding("list of 50", users, 6, 9),
            decoding("1000 doubles", doubles, 20, 25),
            decoding("1000 int64", integers, 4, 5),
        ],
    }


def encoding(
    name: str, message: Message, gate: float, goal: float, *, print_defaults: bool = False
) -> Case:
    """Return a line about printing a message."""
    return Case(
        name=name,
        ours=lambda: to_json(message, print_defaults=print_defaults),
        theirs=lambda: json_format.MessageToJson(
            message,
            indent=None,
            ensure_ascii=False,
            always_print_fields_with_no_presence=print_defaults,
        ).encode(),
        gate=gate,
        goal=goal,
    )


def decoding(name: str, message: Message, gate: float, goal: float) -> Case:
    """Return a line about reading what a message was printed to."""
    data, wanted = to_json(message), type(message)
    assert from_json(data, wanted) == message == json_format.Parse(data, wanted())
    return Case(
        name=name,
        ours=lambda: from_json(data, wanted),
        theirs=lambda: json_format.Parse(data, wanted()),
        gate=gate,
        goal=goal,
    )


def cost(call: Callable[[], object], calls: int) -> float:
    """Return the CPU time of a call, in microseconds."""
    start = time.process_time_ns()
    for _ in range(calls):
        call()
    return (time.process_time_ns() - start) / calls / 1_000


def measure(case: Case) -> tuple[float, float, float]:
    """Return our cost, theirs and the ratio, each the median of the rounds."""
    case.ours()
    calls = max(1, round(ROUND / 1_000 / cost(case.theirs, 3)))
    often = calls * max(1, round(case.gate))
    rounds = [(cost(case.ours, often), cost(case.theirs, calls)) for _ in range(ROUNDS)]
    ours, theirs = zip(*rounds, strict=True)
    ratio = statistics.median(their / our for our, their in rounds)
    return statistics.median(ours), statistics.median(theirs), ratio


def type_of_50(shape: int) -> type[Message]:
    """Return a message class that nobody has seen, with 50 fields of ten kinds."""
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    file.enum_type.add(name="E").value.add(name="E_UNSPECIFIED", number=0)
    file.message_type.add(name="S").field.add(name="x", number=1, type=9, label=1)
    message = file.message_type.add(name="T")
    kinds = (
        Field.TYPE_STRING,
        Field.TYPE_INT64,
        Field.TYPE_DOUBLE,
        Field.TYPE_BOOL,
        Field.TYPE_BYTES,
        Field.TYPE_INT32,
        Field.TYPE_ENUM,
        Field.TYPE_MESSAGE,
        Field.TYPE_FLOAT,
        Field.TYPE_UINT64,
    )
    for index in range(50):
        field = message.field.add(
            name=f"field_number_{index}",
            number=index + shape + 1,
            type=kinds[(index + shape) % 10],
            label=Field.LABEL_REPEATED if index % 5 == 0 else Field.LABEL_OPTIONAL,
        )
        if field.type == Field.TYPE_ENUM:
            field.type_name = ".t.E"
        if field.type == Field.TYPE_MESSAGE:
            field.type_name = ".t.S"
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("t.T"))


def first_use() -> tuple[float, float]:
    """Return what the first message of a type costs each way, in milliseconds."""
    printing, reading = [], []
    for shape in range(21):
        wanted = type_of_50(shape)
        message: Any = wanted()
        for field in wanted.DESCRIPTOR.fields:
            if field.message_type is not None and not field.is_repeated:
                getattr(message, field.name).x = "a"
        start = time.process_time_ns()
        data = to_json(message)
        middle = time.process_time_ns()
        from_json(data, wanted)
        printing.append((middle - start) / 1e6)
        reading.append((time.process_time_ns() - middle) / 1e6)
    return statistics.median(printing), statistics.median(reading)


def main() -> int:
    """Print the table; return 1 when a gate is missed."""
    missed = 0
    for direction, lines in cases().items():
        if sys.argv[1:] and direction not in sys.argv[1:]:
            continue
        print(f"{direction:29} ours µs  json_format µs    ratio     gate (goal)")
        for case in lines:
            ours, theirs, ratio = measure(case)
            missed += ratio < case.gate
            mark = "" if ratio >= case.gate else "   MISSED"
            told = f"{case.gate:g}x ({case.goal:g}x)"
            print(f"{case.name:27} {ours:9.2f} {theirs:15.2f} {ratio:7.1f}x {told:>15}{mark}")
    for direction, took in zip(("encode", "decode"), first_use(), strict=True):
        missed += took > FIRST_USE
        mark = "" if took <= FIRST_USE else "   MISSED"
        print(f"first use, {direction}: {took:.2f} ms, gate {FIRST_USE:g} ms{mark}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
