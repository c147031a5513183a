"""What binding a request costs: path variables and query parameters to a message.

    python benchmarks/binding.py

CPU time of one request, the best of many rounds: what else the machine does only adds. Exit code
1: a gate was missed; on a processor that is slow just now it is as much wider as `yardstick.py`
takes longer. The gate is on what a list request pays on top of its match: the message
made, and the query searched for Google's system parameters.

Left out: the match that comes before, JSON bodies, everything around the transcoder. The messages
are described below, so that there is nothing to generate.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from google.api.http_pb2 import HttpRule
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from yardstick import Yardstick

from transcoder.http_rule import bindings
from transcoder.profile import GOOGLE
from transcoder.query import QueryBinder
from transcoder.query_string import QueryLimits
from transcoder.request import RequestDecoder

ROUNDS = 25
SECONDS = 0.02
"""Of a processor, for one round."""
Field = descriptor_pb2.FieldDescriptorProto


class Case(NamedTuple):
    """A request and the microseconds that it may cost; no limit means that it is only shown."""

    what: str
    call: Callable[[], object]
    limit: float | None


def decoder(template: str) -> RequestDecoder:
    """Return the decoder of a GET rule on a message of the usual list request."""
    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", package="bench", syntax="proto3")
    message = file.message_type.add(name="ListBooksRequest")
    kinds = {
        "parent": Field.TYPE_STRING,
        "shelf": Field.TYPE_INT64,
        "page_size": Field.TYPE_INT32,
        "page_token": Field.TYPE_STRING,
        "filter": Field.TYPE_STRING,
        "show_deleted": Field.TYPE_BOOL,
    }
    for number, (name, kind) in enumerate(kinds.items(), 1):
        message.field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
    service = file.service.add(name="Books")
    service.method.add(
        name="List", input_type=".bench.ListBooksRequest", output_type=".bench.ListBooksRequest"
    )
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    rpc = pool.FindServiceByName("bench.Books").methods_by_name["List"]
    (binding,) = bindings(rpc, HttpRule(get=template))
    return RequestDecoder(binding, GetMessageClass(rpc.input_type), GOOGLE)


def cost(case: Case, stick: Yardstick) -> float:
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
        stick.measure()
        if turn > ROUNDS and (case.limit is None or best <= case.limit * stick.slowness):
            break
    return best


def bound(decode: RequestDecoder, values: tuple[str, ...], query: bytes) -> Callable[[], object]:
    """Return all that is done with the path's values and the query of one request."""

    def call() -> None:
        decode.system_parameters(query)
        decode(values, query, b"", "")

    return call


def ignored(query: bytes) -> Callable[[], object]:
    """Return the binding of a long query that says nothing."""
    message_class = GetMessageClass(Field.DESCRIPTOR)
    limits = QueryLimits(size=len(query))

    def call() -> None:
        binder = QueryBinder(Field.DESCRIPTOR, unknown="ignore", limits=limits)
        binder(message_class(), query)

    return call


def cases() -> list[Case]:
    """Return the requests, with the gates."""
    one, two = decoder("/v1/{parent}/books"), decoder("/v1/{parent}/shelves/{shelf}/books")
    plain = b"page_size=50&pageToken=abc&filter=title&show_deleted=true"
    escaped = b"page_size=50&pageToken=a%2Fb&filter=title+x&show_deleted=true"
    unknown = b"&".join(b"field%d=1" % number for number in range(1000))
    return [
        Case("one string path variable, no query", bound(one, ("a",), b""), None),
        Case("two path variables, no query", bound(two, ("a", "7"), b""), None),
        Case("two path variables, four parameters", bound(two, ("a", "7"), plain), 6),
        Case("the same with escapes", bound(two, ("a", "7"), escaped), None),
        Case("1000 unknown parameters, ignored", ignored(unknown), 20_000),
        Case("40000 empty parameters", ignored(b"&" * 40_000), 5_000),
    ]


def main() -> int:
    """Print the table; return 1 if a gate was missed."""
    missed, stick = False, Yardstick()
    for case in cases():
        figure = cost(case, stick)
        allowed = None if case.limit is None else case.limit * stick.slowness
        over = allowed is not None and figure > allowed
        limit = "" if allowed is None else f"<= {allowed:.5g}"
        print(f"{case.what:40} {figure:9.2f} us {limit:9} {'MISSED' if over else ''}".rstrip())
        missed = missed or over
    print(stick)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
