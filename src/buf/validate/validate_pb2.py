"""The proto of protovalidate's rules, for the generated code of protos that use them.

No package has the Python code that protoc makes of it. Generated code needs it to be in the pool,
and nothing more; protovalidate has it compiled.
"""

from __future__ import annotations

from google.protobuf import (  # noqa: F401  they have to be in the pool before
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    timestamp_pb2,
)
from protovalidate import ViolationPb

DESCRIPTOR = descriptor_pool.Default().AddSerializedFile(ViolationPb.desc().file.proto.to_binary())
