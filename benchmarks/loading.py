"""What it costs to load an API surface as large as Google's: 12,000 rules until the first match.

    python benchmarks/loading.py

CPU time, best of the rounds, for each step: a descriptor set to descriptors, rules to bindings
and request decoders, routes to a router. Each round begins with the bytes of the set. Every file
holds a few resources; each has the five standard methods and a custom one, with request messages
of their own, as the API design guide has them.

Left out: reading the file from the disk, source info, the import of the modules, JSON.

Gate: 2 s in all; on a processor that is slow just now as much more as `yardstick.py` takes longer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, field_mask_pb2
from yardstick import Yardstick

from transcoder.descriptors import read_descriptors
from transcoder.transcoder import Transcoder

GATE = 2.0
ROUNDS = 5
FILES = 400
RESOURCES = 5
RULES = FILES * RESOURCES * 6
Field = descriptor_pb2.FieldDescriptorProto
HTTP: Any = annotations_pb2.http
IMPORTS = (descriptor_pb2, http_pb2, annotations_pb2, field_mask_pb2)
PARENT = "projects/*/locations/*"

MESSAGES = {
    "{}": ["name", "display_name", "etag", "state", "labels", "uid"],
    "List{}sRequest": ["parent", "page_token", "filter", "order_by"],
    "List{}sResponse": ["next_page_token"],
    "Get{}Request": ["name"],
    "Create{}Request": ["parent", "thing_id", "thing:{}"],
    "Update{}Request": ["thing:{}", "update_mask:.google.protobuf.FieldMask"],
    "Delete{}Request": ["name", "etag"],
    "Cancel{}Request": ["name"],
}


def rules(plural: str) -> dict[str, http_pb2.HttpRule]:
    """Return the rules of a resource's methods, by the part of their names before the resource."""
    one = f"{PARENT}/{plural}/*"
    return {
        "List": http_pb2.HttpRule(get=f"/v1/{{parent={PARENT}}}/{plural}"),
        "Get": http_pb2.HttpRule(get=f"/v1/{{name={one}}}"),
        "Create": http_pb2.HttpRule(post=f"/v1/{{parent={PARENT}}}/{plural}", body="thing"),
        "Update": http_pb2.HttpRule(patch=f"/v1/{{thing.name={one}}}", body="thing"),
        "Delete": http_pb2.HttpRule(delete=f"/v1/{{name={one}}}"),
        "Cancel": http_pb2.HttpRule(post=f"/v1/{{name={one}}}:cancel", body="*"),
    }


def file(number: int) -> descriptor_pb2.FileDescriptorProto:
    """Return a file of one service."""
    package = f"bench.api{number}.v1"
    made = descriptor_pb2.FileDescriptorProto(
        name=f"bench/api{number}.proto",
        package=package,
        syntax="proto3",
        dependency=["google/api/annotations.proto", "google/protobuf/field_mask.proto"],
    )
    service = made.service.add(name="Api")
    for index in range(RESOURCES):
        resource = f"Thing{number}x{index}"
        for name, fields in MESSAGES.items():
            message = made.message_type.add(name=name.format(resource))
            for position, field in enumerate(fields, 1):
                add_field(message, position, field.format(f".{package}.{resource}"))
        for verb, rule in rules(f"things{number}x{index}").items():
            plural = "s" if verb == "List" else ""
            method = service.method.add(
                name=f"{verb}{resource}{plural}",
                input_type=f".{package}.{verb}{resource}{plural}Request",
                output_type=f".{package}.{resource}",
            )
            method.options.Extensions[HTTP].CopyFrom(rule)
    return made


def add_field(message: descriptor_pb2.DescriptorProto, number: int, text: str) -> None:
    """Add a field, text or `name:type`."""
    name, _, type_name = text.partition(":")
    kind = Field.TYPE_MESSAGE if type_name else Field.TYPE_STRING
    field = message.field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
    if type_name:
        field.type_name = type_name


def descriptor_set() -> bytes:
    """Return the set of all files."""
    files = [file(number) for number in range(FILES)]
    for module in IMPORTS:
        module.DESCRIPTOR.CopyToProto(made := descriptor_pb2.FileDescriptorProto())
        files.append(made)
    return descriptor_pb2.FileDescriptorSet(file=files).SerializeToString()


def steps(data: bytes) -> Iterator[float]:
    """Load once; yield the CPU time of each step, in seconds."""
    start = time.process_time()
    descriptors = read_descriptors(data, "bench.binpb")
    yield time.process_time() - start
    start = time.process_time()
    transcoder = Transcoder(descriptors.services)
    yield time.process_time() - start
    start = time.process_time()
    transcoder.compile()
    yield time.process_time() - start
    assert len(transcoder.routes) == RULES
    match = transcoder.match("GET", "/v1/projects/p/locations/l/things7x3/t")
    assert match.route.name == "bench.api7.v1.Api.GetThing7x3"


def main() -> int:
    """Print the figures; 1 if the gate is missed."""
    data = descriptor_set()
    rounds, stick = [], Yardstick()
    for _ in range(ROUNDS):
        rounds.append(list(steps(data)))
        for _ in range(20):
            stick.measure()
    names = ["descriptors", "bindings and decoders", "router"]
    for name, taken in zip(names, zip(*rounds, strict=True), strict=True):
        print(f"{name:24} {min(taken):6.2f} s")
    total, gate = min(map(sum, rounds)), GATE * stick.slowness
    print(f"{RULES} rules in all       {total:6.2f} s   (gate {gate:.2f} s)")
    print(stick)
    return int(total > gate)


if __name__ == "__main__":
    sys.exit(main())
