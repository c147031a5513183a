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


def stock(layers: int) -> DescriptorPool:
    """Return a pool of a service with a hidden method, above layers of files that import one."""
    pool = DescriptorPool()
    below: list[str] = []
    for layer in range(layers):
        file = FileDescriptorProto(
            name=f"{layer}.proto", package="v1", syntax="proto3", dependency=below
        )
        file.message_type.add(name=f"Item{layer}")
        pool.Add(file)
        below = [file.name]
    file = FileDescriptorProto(name="stock.proto", package="v1", syntax="proto3", dependency=below)
    file.message_type.add(name="Kept")
    service = file.service.add(name="Stock")
    item = f".v1.Item{layers - 1}"
    service.method.add(name="Get", input_type=item, output_type=item)
    service.method.add(name="Audit", input_type=".v1.Kept", output_type=item)
    pool.Add(file)
    return pool


def test_once() -> None:
    """A file is redacted once, whoever asks for it, and however often."""
    pool = stock(1)
    redaction = Redaction(["v1.Stock"], [pool], Audits())

    first = redaction.files(pool.FindFileByName("stock.proto"))
    again = redaction.files(pool.FindFileByName("stock.proto"))
    below = redaction.files(pool.FindFileByName("0.proto"))

    assert len(first) == len(again) == 2
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert below[0] is first[1]


def test_deep() -> None:
    """Files are told of however many import each other in a row."""
    pool = stock(1000)
    redaction = Redaction(["v1.Stock"], [pool], Audits())

    told = redaction.files(pool.FindFileByName("stock.proto"))

    names = [FileDescriptorProto.FromString(data).name for data in told]
    assert names == ["stock.proto", *(f"{layer}.proto" for layer in reversed(range(1000)))]
