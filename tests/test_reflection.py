from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2

if TYPE_CHECKING:
    from tests.conftest import Start

Response = reflection_pb2.ServerReflectionResponse


@pytest.fixture(scope="module")
def channel(start_shared: Start) -> Iterator[grpc.Channel]:
    """A channel to a server whose gateway has a descriptor pool of its own."""
    with start_shared("catalogue:create").channel() as channel:
        yield channel


def ask(channel: grpc.Channel, version: str = "v1", **question: Any) -> Response:
    """Ask one question."""
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    (answer,) = call(iter([reflection_pb2.ServerReflectionRequest(**question)]), timeout=10)
    found: Response = answer
    return found


def files(answer: Response) -> list[str]:
    """Return the names of the files in an answer."""
    described = answer.file_descriptor_response.file_descriptor_proto
    return [FileDescriptorProto.FromString(file).name for file in described]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_services_are_listed(channel: grpc.Channel, version: str) -> None:
    """Both versions list the gateway's services, health and reflection."""
    answer = ask(channel, version, list_services="*")

    assert [service.name for service in answer.list_services_response.service] == [
        "catalogue.v1.Catalogue",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    ]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_what_is_listed_is_described(channel: grpc.Channel, version: str) -> None:
    """A service of the gateway's own pool comes with its file and all that this imports."""
    listed = ask(channel, version, list_services="*").list_services_response.service

    described = {
        service.name: files(ask(channel, version, file_containing_symbol=service.name))
        for service in listed
    }

    assert {name: found[:1] for name, found in described.items()} == {
        "catalogue.v1.Catalogue": ["catalogue.proto"],
        "grpc.health.v1.Health": ["grpc_health/v1/health.proto"],
        "grpc.reflection.v1alpha.ServerReflection": ["grpc_reflection/v1alpha/reflection.proto"],
    }
    assert "google/api/annotations.proto" in described["catalogue.v1.Catalogue"]


def test_details_of_errors_are_described(channel: grpc.Channel) -> None:
    """A message of the default pool, as errors carry them, is described beside another pool."""
    name = error_details_pb2.BadRequest.DESCRIPTOR.full_name

    assert files(ask(channel, file_containing_symbol=name))[0] == "google/rpc/error_details.proto"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("catalogue.v1.Catalogue.Get", "catalogue.proto"),
        ("everything.v1.Everything.child", "everything.proto"),
        ("grpc.health.v1.Health.Check", "grpc_health/v1/health.proto"),
    ],
)
def test_members_are_described(channel: grpc.Channel, name: str, file: str) -> None:
    """A method is described by the file of its service, as a field is by that of its message."""
    answer = ask(channel, file_containing_symbol=name)

    assert files(answer)[0] == file
    assert answer.original_request.file_containing_symbol == name


@pytest.mark.parametrize(
    "question",
    [
        {"file_by_filename": "no/such.proto"},
        {"file_containing_symbol": "no.such.Service"},
        {"file_containing_symbol": "catalogue.v1.Catalogue.NoSuch"},
    ],
)
def test_what_no_pool_has_is_not_found(channel: grpc.Channel, question: dict[str, str]) -> None:
    """A question about something unknown is answered NOT_FOUND."""
    answer = ask(channel, **question)

    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
