"""TLS and flow control of the gRPC port; what else it does stands in test_server.py."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import trustme
from google.longrunning import operations_pb2
from tests.conftest import Served, Start

import operations
from over_tls import CLIENT, EXPIRED, HERE, ROGUE, SECURED, connect, credentials, trust, write
from over_tls import write_ca as authority
from streams import SERVICE, Ask
from transcoder import ConfigError, Server, ServerTls

GET = "/google.longrunning.Operations/GetOperation"


@pytest.fixture(scope="module")
def served(start_shared: Start, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server whose clients must show certificates, on the gRPC port alone."""
    folder = tmp_path_factory.mktemp("files")
    files = {**write(folder, HERE), "client_ca": authority(folder), "handshake_timeout": 1.0}
    return start_shared(grpc_tls=files)


def name(served: Served, client: trustme.LeafCert | None) -> str:
    """Return what a client gets."""
    target = served.grpc_target.removeprefix(SECURED)
    alone = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(target, credentials(client), alone) as channel:
        call = channel.unary_unary(
            GET,
            operations_pb2.GetOperationRequest.SerializeToString,
            operations_pb2.Operation.FromString,
        )
        reply = call(operations_pb2.GetOperationRequest(name="operations/0/a"), timeout=20)
    return str(reply.name)


def test_client_that_shows_a_certificate(served: Served) -> None:
    """A client with a certificate of the authority is served; the other port is in the clear."""
    assert name(served, CLIENT) == f"operations/0/a/{served.process.pid}"
    assert served.get("/v1/operations/0/a")[0] == 200
    assert not served.http_target.startswith(SECURED)


@pytest.mark.parametrize("client", [None, ROGUE, EXPIRED], ids=["none", "rogue", "expired"])
def test_refused_client(served: Served, client: trustme.LeafCert | None) -> None:
    """A client without the certificate that is wanted makes no call."""
    with pytest.raises(grpc.RpcError) as caught:
        name(served, client)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_old_versions(served: Served) -> None:
    """What speaks TLS 1.2 may connect, and nothing older."""
    context = trust(CLIENT)
    context.set_alpn_protocols(["h2"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with connect(served.grpc_target, context=context) as client:
        assert isinstance(client, ssl.SSLSocket)
        assert client.version() == "TLSv1.2"
        assert client.selected_alpn_protocol() == "h2"
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        connect(served.grpc_target, context=context)


def test_sessions_are_not_resumed(served: Served) -> None:
    """Each connection shows its certificate anew."""
    context = trust(CLIENT)
    context.set_alpn_protocols(["h2"])
    with connect(served.grpc_target, context=context) as client:
        assert isinstance(client, ssl.SSLSocket)
        client.recv(1 << 16)
        session = client.session
    host, _, port = served.grpc_target.removeprefix(SECURED).rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=host, session=session) as again,
    ):
        assert not again.session_reused


def test_handshake_that_does_not_end(served: Served) -> None:
    """Who does not finish the handshake in time is cut."""
    start = time.monotonic()
    with connect(served.grpc_target.removeprefix(SECURED)) as client:
        assert client.recv(1) == b""

    assert time.monotonic() - start > 0.9


@pytest.mark.parametrize("door", ["tls", "grpc_tls"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"client_ca": "ca.pem", "client_certificates": "optional"},
            "client_certificates: the gRPC port knows 'required' or 'none' only",
        ),
        ({"min_version": "1.3"}, "min_version: the gRPC port knows '1.2' only"),
    ],
)
def test_what_grpc_does_not_have(tmp_path: Any, door: str, options: Any, words: str) -> None:
    """What gRPC cannot do is refused at start; the HTTP port alone may have it."""
    given = {**options, "client_ca": authority(tmp_path)} if "client_ca" in options else options
    tls: Any = {door: ServerTls(**write(tmp_path, HERE), **given)}
    with pytest.raises(ConfigError) as caught:
        asyncio.run(Server(operations.create(), **tls).serve("127.0.0.1:0", "127.0.0.1:0"))

    advice = "; give it a grpc_tls of its own" if door == "tls" else ""
    assert str(caught.value) == f"{door}: {words}{advice}"


def test_servicer_that_does_not_read(start_shared: Start) -> None:
    """A servicer that does not read stops its client, and little waits for it."""
    asked = 0

    def asks() -> Iterator[bytes]:
        nonlocal asked
        yield Ask(pause=30).SerializeToString()
        while True:
            asked += 1
            yield Ask(topic="x" * 100_000).SerializeToString()

    with start_shared("streams:create").channel() as channel:
        collect: Any = channel.stream_unary(f"/{SERVICE.full_name}/Collect")
        call, before = collect.future(asks()), -1
        while before < asked:
            before = asked
            time.sleep(0.1)
        call.cancel()

    assert asked * 100_000 < 1 << 20
