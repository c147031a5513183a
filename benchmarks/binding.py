"""What binding a request costs: path variables and query parameters to a message.

CPU time, the median of many rounds, in microseconds for each call of a RequestDecoder. Left out:
the match that comes before, JSON bodies, everything around the transcoder. The messages are those
of `google.longrunning`, so that there is nothing to generate, and one described below.

    python benchmarks/binding.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from google.api.http_pb2 import HttpRule
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from transcoder.http_rule import bindings
from transcoder.profile import GOOGLE
from transcoder.request import RequestDecoder

ROUNDS = 41
CALLS = 5_000
Field = descriptor_pb2.FieldDescriptorProto


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


def cost(call: Callable[[], object]) -> float:
    """Return the median CPU time of one call, in microseconds."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        for _ in range(CALLS):
            call()
        rounds.append((time.process_time_ns() - start) / CALLS / 1_000)
    return statistics.median(rounds)


def main() -> None:
    """Print the figures."""
    one, two = decoder("/v1/{parent}/books"), decoder("/v1/{parent}/shelves/{shelf}/books")
    plain = b"page_size=50&pageToken=abc&filter=title&show_deleted=true"
    escaped = b"page_size=50&pageToken=a%2Fb&filter=title+x&show_deleted=true"
    cases: dict[str, tuple[Callable[[], object], str]] = {
        "one string path variable, no query": (lambda: one(("a",), b"", b"", ""), "about 1"),
        "two path variables, four parameters": (lambda: two(("a", "7"), plain, b"", ""), "6"),
        "the same with escapes": (lambda: two(("a", "7"), escaped, b"", ""), "-"),
    }
    for name, (call, budget) in cases.items():
        print(f"{name:40} {cost(call):6.2f} µs   (budget {budget})")


if __name__ == "__main__":
    main()
