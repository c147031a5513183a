from __future__ import annotations

import pytest
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.descriptors import SourceInfo
from transcoder.plugin.naming import names_of, unnamable


def file(*services: str, name: str = "a.proto", method: str = "Get") -> FileDescriptor:
    """Return a file of services that have a method each."""
    proto = FileDescriptorProto(name=name, package="a")
    proto.message_type.add(name="Told")
    for service in services:
        proto.service.add(name=service).method.add(
            name=method, input_type="Told", output_type="Told"
        )
    pool = DescriptorPool()
    pool.AddSerializedFile(proto.SerializeToString())
    found: FileDescriptor = pool.FindFileByName(name)
    return found


@pytest.mark.parametrize(
    ("services", "tables"),
    [
        (["UserService"], ["USER_SERVICE"]),
        (["ISBNRegistry", "user"], ["ISBN_REGISTRY", "USER"]),
        (["ReaderAPI", "ReaderApi"], ["ReaderAPI", "ReaderApi"]),  # reader_api, both.
        (["foo", "FOO"], ["foo", "FOO"]),  # foo in capitals is the other one.
        (["Foo", "FOO", "foo"], ["Foo", "FOO", "foo"]),
    ],
)
def test_names(services: list[str], tables: list[str]) -> None:
    """No two services of a file have one name for their tables or for their functions."""
    names = names_of(list(file(*services).services_by_name.values()))

    assert [name.table for name in names] == [f"{table}_ROUTES" for table in tables]
    assert len({each for name in names for each in name}) == 2 * len(services)


@pytest.mark.parametrize(
    ("path", "service", "method", "wrong"),
    [
        ("class/v1/x.proto", "A", "Get", "class is a keyword"),
        ("a/v1.import/x.proto", "A", "Get", "import is a keyword"),  # A dot makes a folder.
        ("a/2x.proto", "A", "Get", "2x_pb2 is no identifier"),
        ("a b/x.proto", "A", "Get", "a b is no identifier"),
        ("x.proto", "None", "Get", "None is a keyword"),
        ("x.proto", "A", "def", "def is a keyword"),
        ("class.x/lambda.proto", "A", "Get", "class is a keyword"),
        # The name of a module has more behind it.
        ("a-b/lambda.proto", "Class", "Import", ""),
        ("match/type.proto", "case", "_", ""),
    ],
)
def test_unnamable(path: str, service: str, method: str, wrong: str) -> None:
    """What grpc's module could not be imported for is told, and nothing else."""
    found = unnamable(file(service, name=path, method=method), SourceInfo())

    assert [message for _, message in found] == [wrong] * bool(wrong)
