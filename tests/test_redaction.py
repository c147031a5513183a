"""What is told of files of which some is hidden."""

from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.redaction import Redaction


class Audits:
    """Withholds methods by their name."""

    def __call__(self, rpc: MethodDescriptor) -> bool:
        return rpc.name == "Audit"

    def is_internal(self, name: str, *options: object) -> bool:
        return name.endswith(".Audit")


def test_once() -> None:
    """A file is redacted once, whoever asks for it, and however often."""
    pool = DescriptorPool()
    item = FileDescriptorProto(name="item.proto", package="v1", syntax="proto3")
    item.message_type.add(name="Item")
    file = FileDescriptorProto(
        name="stock.proto", package="v1", syntax="proto3", dependency=["item.proto"]
    )
    file.message_type.add(name="Kept")
    service = file.service.add(name="Stock")
    service.method.add(name="Get", input_type=".v1.Item", output_type=".v1.Item")
    service.method.add(name="Audit", input_type=".v1.Kept", output_type=".v1.Item")
    pool.Add(item)
    pool.Add(file)
    redaction = Redaction(["v1.Stock"], [pool], Audits())

    first = redaction.files(pool.FindFileByName("stock.proto"))
    again = redaction.files(pool.FindFileByName("stock.proto"))
    below = redaction.files(pool.FindFileByName("item.proto"))

    assert [FileDescriptorProto.FromString(data).name for data in first] == [
        "stock.proto",
        "item.proto",
    ]
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert below[0] is first[1]
