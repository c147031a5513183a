"""How long the OpenAPI document of 500 methods takes.

    .venv/bin/python benchmarks/openapi.py

Each method has a request and a reply of its own, which share a resource with fields of all kinds,
comments, behaviors and a oneof. CPU time, the median of several rounds; the document, its JSON and
its YAML are told apart. Exit code 1: document and JSON took longer than 1.5 s.

Left out: to read descriptors and comments, and to compile the routes, which a server does anyway.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder import Transcoder
from transcoder.comments import comments_of
from transcoder.openapi import document, to_json, to_yaml

METHODS = 500
ROUNDS = 5
LIMIT = 1.5

HEAD = """
syntax = "proto3";
package big.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
// What a part is made of.
message Part { string name = 1; int64 size = 2; map<string, string> labels = 3; Part inside = 4; }
"""
RESOURCE = """
// A thing of one kind.
message Thing%(n)d {
  // Its name, for example `things/7`.
  string name = 1 [(google.api.field_behavior) = REQUIRED];
  // When it was made.
  google.protobuf.Timestamp create_time = 2 [(google.api.field_behavior) = OUTPUT_ONLY];
  repeated string tags = 3; map<string, int64> counts = 4; double weight = 5; bool done = 6;
  oneof kind { string text = 7; Part part = 8; }
  optional int32 rank = 9; bytes data = 10;
}
message Get%(n)dRequest { string name = 1; int32 view = 2; }
message List%(n)dRequest { string parent = 1; int32 page_size = 2; string page_token = 3; }
message List%(n)dResponse { repeated Thing%(n)d things = 1; string next_page_token = 2; }
message Update%(n)dRequest { Thing%(n)d thing = 1; google.protobuf.FieldMask update_mask = 2; }
"""
RULES = """
  // Returns a thing.
  rpc Get%(n)d(Get%(n)dRequest) returns (Thing%(n)d) {
    option (google.api.http) = {get: "/v1/{name=kind%(n)d/*/things/*}"}; }
  // Lists things.
  rpc List%(n)d(List%(n)dRequest) returns (List%(n)dResponse) {
    option (google.api.http) = {get: "/v1/{parent=kind%(n)d/*}/things"}; }
  // Creates a thing.
  rpc Create%(n)d(Thing%(n)d) returns (Thing%(n)d) {
    option (google.api.http) = {post: "/v1/kind%(n)d" body: "*"}; }
  // Changes a thing.
  rpc Update%(n)d(Update%(n)dRequest) returns (Thing%(n)d) {
    option (google.api.http) = {
      patch: "/v1/{thing.name=kind%(n)d/*/things/*}" body: "thing"}; }
  // Asks for many.
  rpc Watch%(n)d(Get%(n)dRequest) returns (stream Thing%(n)d) {
    option (google.api.http) = {get: "/v1/{name=kind%(n)d/*/things/*}:watch"}; }
"""


def files() -> FileDescriptorSet:
    """Return the proto of all methods, compiled with its comments."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "apps"))
    from compiled import descriptor_set  # noqa: PLC0415  found only now

    kinds = range(METHODS // 5)
    resources = "".join(RESOURCE % {"n": number} for number in kinds)
    rules = "".join(RULES % {"n": number} for number in kinds)
    text = f"{HEAD}{resources}service Things {{{rules}}}"
    return FileDescriptorSet.FromString(descriptor_set(text))


def measure(work: Callable[[], Any]) -> float:
    """Return the median CPU seconds of some rounds."""
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return statistics.median(took)


def main() -> int:
    """Print the figures and return the exit code."""
    compiled = files()
    pool = DescriptorPool()
    for file in compiled.file:
        pool.Add(file)
    transcoder = Transcoder([pool.FindServiceByName("big.v1.Things")])
    transcoder.compile()
    comments = comments_of(compiled.file)
    made = document(transcoder, comments=comments)
    took = measure(lambda: document(transcoder, comments=comments))
    in_json = measure(lambda: to_json(made))
    size = len(to_json(made))
    print(f"{METHODS} methods: document {took:.3f} s, JSON {in_json:.3f} s ({size} bytes)")
    print(f"YAML {measure(lambda: to_yaml(made)):.3f} s")
    total = took + in_json
    print(f"document and JSON: {total:.3f} s of at most {LIMIT} s")
    return 0 if total <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
