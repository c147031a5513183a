"""What it costs to check a request by the rules of protovalidate.

    python benchmarks/validation.py

The messages are those of the example service, with rules for what its comments say of the fields.
CPU time of one message, the best of many rounds: what else the machine does only adds. Exit code
1: a gate was missed.

Left out: decoding before, everything around. The example's protos hold no rules themselves, for
`buf/validate/validate.proto` is in no installed package: its descriptor is protovalidate's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf import duration_pb2, text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from protovalidate import Validator, ViolationPb

from services.user.v1 import user_service_pb2
from transcoder.errors import StatusError
from transcoder.http_rule import bindings
from transcoder.validation import Validation

ROUNDS = 25
SECONDS = 0.02
"""Of a processor, for one round."""

USER = {
    "id": 'string {max_len: 63 pattern: "^[a-z0-9-]*$"}',
    "name": "required: true string {max_len: 200}",
    "email": "required: true string {email: true}",
    "role": "enum {defined_only: true}",
    "quota_bytes": "int64 {gte: 0}",
    "tags": "repeated {max_items: 32 unique: true items {string {min_len: 1}}}",
    "labels": "map {max_pairs: 64 keys {string {min_len: 1}}}",
    "phone": 'string {pattern: "^[+][0-9]{4,15}$"}',
}
ADDRESS = {
    "street": "string {max_len: 200}",
    "postal_code": "string {max_len: 20}",
    "region_code": 'string {pattern: "^([A-Z]{2})?$"}',
}
CREATE = {"user": "required: true"}
EXAMPLE: dict[str, Any] = {
    "id": "ada",
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "role": 2,
    "quota_bytes": 1 << 30,
    "tags": ["mathematics", "poetry", "engines"],
    "labels": {"team": "analysis", "floor": "2"},
    "phone": "+41446681800",
    "address": {"street": "12 St James Square", "city": "London", "region_code": "GB"},
    "newsletter": True,
}


class Case(NamedTuple):
    """What is checked and the microseconds that it may cost; no limit means only shown."""

    what: str
    call: Callable[[], object]
    limit: float | None


def ruled() -> DescriptorPool:
    """Return a pool with the example's protos, and rules."""
    rules = FileDescriptorProto.FromString(ViolationPb.desc().file.proto.to_binary())
    told = DescriptorPool()
    add(told, user_service_pb2.DESCRIPTOR)
    add(told, duration_pb2.DESCRIPTOR)
    told.Add(rules)
    file = FileDescriptorProto()
    user_service_pb2.DESCRIPTOR.CopyToProto(file)
    messages = {message.name: message for message in file.message_type}
    user = messages["User"]
    address = next(each for each in user.nested_type if each.name == "Address")
    create = messages["CreateUserRequest"]
    for message, wanted in ((user, USER), (address, ADDRESS), (create, CREATE)):
        for field in message.field:
            if field.name in wanted:
                annotate(field, wanted[field.name], told)
    made = DescriptorPool()
    add(made, user_service_pb2.DESCRIPTOR, file)
    return made


def add(
    pool: DescriptorPool, file: FileDescriptor, instead: FileDescriptorProto | None = None
) -> None:
    """Add a file with all that it imports to a pool."""
    for needed in file.dependencies:
        add(pool, needed)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    pool.Add(instead or proto)


def annotate(field: FieldDescriptorProto, rules: str, pool: DescriptorPool) -> None:
    """Give a field rules, as they are written in a proto."""
    options = GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FieldOptions"))()
    text_format.Parse(f"[buf.validate.field] {{ {rules} }}", options, descriptor_pool=pool)
    field.options.MergeFromString(options.SerializeToString())


def cost(case: Case) -> float:
    """Return the CPU time of one call in microseconds, the best of some rounds.

    A processor that has slowed down for a while is waited out: more rounds are taken, up to a
    limit, while the gate is missed.
    """
    calls, best = 10, float("inf")
    for turn in range(8 * ROUNDS):
        start = time.process_time()
        for _ in range(calls):
            case.call()
        best = min(best, (time.process_time() - start) / calls * 1e6)
        calls = max(1, int(SECONDS * 1e6 / best))
        if turn > ROUNDS and (case.limit is None or best <= case.limit):
            break
    return best


def cases() -> list[Case]:
    """Return what is checked, with the gates."""
    pool = ruled()
    rpc = pool.FindServiceByName("services.user.v1.UserService").methods_by_name["CreateUser"]
    (binding,) = bindings(rpc)
    request_class: Any = GetMessageClass(rpc.input_type)
    request = request_class(user=EXAMPLE)
    wrong = request_class(user={**EXAMPLE, "email": "ada", "quota_bytes": -1})
    plain: Any = user_service_pb2.CreateUserRequest(user=EXAMPLE)
    validation, library = Validation(), Validator()

    def refused() -> None:
        try:
            validation.over_http(wrong, binding, b"", b"{}")
        except StatusError:
            return
        raise AssertionError("it is not valid")

    refused()
    return [
        Case("the example user", lambda: validation.over_http(request, binding, b"", b"{}"), 10),
        Case("the same on the gRPC port", lambda: validation(request), 10),
        Case("by the library alone", lambda: library.collect_violations(request), None),
        Case("two violations, and their answer", refused, None),
        Case("a message without rules", lambda: validation(plain), 0.5),
    ]


def main() -> int:
    """Print the table; return 1 if a gate was missed."""
    missed = False
    for case in cases():
        figure = cost(case)
        over = case.limit is not None and figure > case.limit
        limit = "" if case.limit is None else f"<= {case.limit:g}"
        print(f"{case.what:34} {figure:8.2f} us {limit:7} {'MISSED' if over else ''}".rstrip())
        missed = missed or over
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
