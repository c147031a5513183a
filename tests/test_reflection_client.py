from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import trustme
from google.longrunning import operations_pb2, operations_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import (
    FileDescriptorResponse,
    ListServiceResponse,
    ServerReflectionRequest,
    ServerReflectionResponse,
    ServiceResponse,
)

from over_tls import CA, CLIENT, over_tls
from transcoder.errors import ConfigError
from transcoder.reflection_client import reflect
from transcoder.upstream.tls import Tls

if TYPE_CHECKING:
    from tests.conftest import Start

OPERATIONS = "google.longrunning.Operations"
SERVED = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
Prepare = Callable[[grpc.Server], None]
Serve = Callable[[Prepare], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve in this process what was prepared; the target is handed back."""
    started: list[grpc.Server] = []

    def serve(prepare: Prepare) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(2))
        prepare(server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        started.append(server)
        return f"127.0.0.1:{port}"

    yield serve
    for server in started:
        server.stop(None).wait()


def v1alpha(server: grpc.Server) -> None:
    """Have operations, and reflection in its old version only."""
    servicer = operations_pb2_grpc.OperationsServicer()
    operations_pb2_grpc.add_OperationsServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    reflection.enable_server_reflection([OPERATIONS, reflection.SERVICE_NAME], server)


def answering(answer: Callable[[ServerReflectionRequest], ServerReflectionResponse]) -> Prepare:
    """Have reflection that answers each request on its own."""

    def info(requests: Iterator[Any], context: Any) -> Iterator[ServerReflectionResponse]:
        return map(answer, requests)

    handler = grpc.stream_stream_rpc_method_handler(
        info,
        ServerReflectionRequest.FromString,
        ServerReflectionResponse.SerializeToString,
    )
    name = "grpc.reflection.v1.ServerReflection"
    generic = grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})
    return lambda server: server.add_generic_rpc_handlers((generic,))


def listing(*names: str) -> ServerReflectionResponse:
    services = [ServiceResponse(name=name) for name in names]
    return ServerReflectionResponse(list_services_response=ListServiceResponse(service=services))


def files(*serialized: bytes) -> ServerReflectionResponse:
    response = FileDescriptorResponse(file_descriptor_proto=serialized)
    return ServerReflectionResponse(file_descriptor_response=response)


def test_old_version(serve: Serve) -> None:
    """A server that has v1alpha only is read as well."""
    descriptors = reflect(serve(v1alpha))

    assert [service.full_name for service in descriptors.services] == [OPERATIONS]


def test_tls() -> None:
    """A server that speaks TLS is read by who trusts its authority."""
    with over_tls() as target:
        descriptors = reflect(target, tls=Tls(ca=CA.cert_pem.bytes()))

    assert [service.full_name for service in descriptors.services] == [OPERATIONS]


def test_mutual_tls() -> None:
    """A server that asks for a certificate is shown ours."""
    tls = Tls(
        ca=CA.cert_pem.bytes(),
        certificate=CLIENT.cert_chain_pems[0].bytes(),
        key=CLIENT.private_key_pem.bytes(),
    )
    with over_tls(mutual=True) as target:
        descriptors = reflect(target, tls=tls)

    assert [service.full_name for service in descriptors.services] == [OPERATIONS]


@pytest.mark.parametrize(
    "tls",
    [
        None,
        Tls(),  # gRPC's own authorities
        Tls(ca=trustme.CA().cert_pem.bytes()),
    ],
)
def test_tls_without_trust(tls: Tls | None) -> None:
    """A server of an unknown authority, or one that is not spoken to in TLS, does not answer."""
    with (
        over_tls() as target,
        pytest.raises(ConfigError, match=rf"^{target} does not answer: UNAVAILABLE: .+$"),
    ):
        reflect(target, tls=tls)


def test_our_server(start: Start) -> None:
    """Our own server describes its services; one without a descriptor is left out."""
    descriptors = reflect(start().grpc_target)

    assert [service.full_name for service in descriptors.services] == [
        OPERATIONS,
        "grpc.health.v1.Health",
    ]
    assert (
        descriptors.services[0].methods_by_name["GetOperation"].input_type.fields[0].name == "name"
    )


def test_one_file_at_a_time(serve: Serve) -> None:
    """Imports that a server did not send at once are asked for."""
    pool = SERVED.file.pool

    def answer(request: ServerReflectionRequest) -> ServerReflectionResponse:
        if request.file_containing_symbol:
            return files(
                pool.FindFileContainingSymbol(request.file_containing_symbol).serialized_pb
            )
        if request.file_by_filename:
            return files(pool.FindFileByName(request.file_by_filename).serialized_pb)
        return listing(OPERATIONS)

    descriptors = reflect(serve(answering(answer)))

    assert [service.full_name for service in descriptors.services] == [OPERATIONS]


def without_imports(request: ServerReflectionRequest) -> ServerReflectionResponse:
    """Describe one file, whatever is asked."""
    return files(SERVED.file.serialized_pb) if request.file_containing_symbol else listing("a.B")


def test_missing_import(serve: Serve) -> None:
    """A server that keeps an import to itself is told, and not asked for ever."""
    target = serve(answering(without_imports))
    with pytest.raises(ConfigError) as refused:
        reflect(target)

    missing = min(file.name for file in SERVED.file.dependencies)
    assert str(refused.value) == (f"{target} does not describe {missing}, which its files import")


def test_nonsense(serve: Serve) -> None:
    """Bytes that are no file are told."""
    target = serve(answering(lambda _: files(b"\xff")))
    listed = serve(
        answering(
            lambda request: files(b"\xff") if request.file_containing_symbol else listing("a.B")
        )
    )

    assert reflect(target).services == ()
    with pytest.raises(ConfigError, match=f"^{listed} describes no files: "):
        reflect(listed)


def test_no_reflection(serve: Serve) -> None:
    """A server without reflection is told what to do."""
    target = serve(lambda _: None)
    with pytest.raises(ConfigError) as refused:
        reflect(target)

    assert str(refused.value) == (
        f"{target} has no server reflection: switch it on, or use a descriptor set"
    )


def test_nobody_there() -> None:
    """A target where nobody listens is told in one line."""
    with pytest.raises(ConfigError, match=r"^127\.0\.0\.1:1 does not answer: UNAVAILABLE: .+$"):
        reflect("127.0.0.1:1")


def test_silence(serve: Serve) -> None:
    """A server that says nothing is left at the timeout."""
    release = futures.Future[ServerReflectionResponse]()
    target = serve(answering(lambda _: release.result()))
    try:
        with pytest.raises(ConfigError, match="does not answer: DEADLINE_EXCEEDED"):
            reflect(target, timeout=0.2)
    finally:
        release.set_result(listing())
