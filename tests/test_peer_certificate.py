"""Clients known by their certificates, over real TLS."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
import uvicorn
from cryptography import x509
from tests.conftest import Served, Start
from websockets.sync.client import connect as websocket

from chunked import Chunked
from over_tls import CLIENT, HERE, SECURED, connect, credentials, issue, trust, write, write_ca
from services.user.v1.user_service_pb2 import GetUserRequest, User
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from streams import Told
from transcoder import Gateway
from transcoder.http_protocol import Protocol
from transcoder.peer_certificate import identity
from wire import request


class Users(UserServiceServicer):
    """Says who asks, and what it was told."""

    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        internal = [value for key, value in context.invocation_metadata() if key == "x-internal"]
        names = context.auth_context().get("x509_subject_alternative_name", [])
        return User(name=",".join(internal), tags=[name.decode() for name in names])


def asked(authority: trustme.CA, folder: Path, client: trustme.LeafCert | None) -> str:
    """Return the answer to a client that says it is internal."""
    gateway: Any = Gateway(trusted_peers=["edge.internal"])
    add_UserServiceServicer_to_server(Users(), gateway)
    server_file, authority_file = folder / "server.pem", folder / "ca.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(server_file)
    authority.cert_pem.write_to_path(authority_file)
    config = uvicorn.Config(
        gateway,
        http=Protocol,
        lifespan="off",
        log_config=None,
        ssl_certfile=str(server_file),
        ssl_cert_reqs=ssl.CERT_OPTIONAL,
        ssl_ca_certs=str(authority_file),
    )
    context = ssl.create_default_context(cafile=str(authority_file))
    if client is not None:
        client.configure_cert(context)

    def ask(port: int) -> str:
        connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
        connection.request("GET", "/v1/users/7", headers={"x-internal": "1"})
        body = connection.getresponse().read()
        connection.close()
        return body.decode()

    async def serve() -> str:
        server = uvicorn.Server(config)
        with socket.create_server(("localhost", 0)) as listening:
            serving = asyncio.create_task(server.serve([listening]))
            try:
                return await asyncio.to_thread(ask, listening.getsockname()[1])
            finally:
                server.should_exit = True
                await serving

    return asyncio.run(serve())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who vouches for server and clients."""
    return trustme.CA()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("edge.internal", '{"name":"1","tags":["edge.internal"]}'),
        ("other.internal", '{"tags":["other.internal"]}'),
        ("", "{}"),
    ],
)
def test_trusted_peer(authority: trustme.CA, tmp_path: Path, name: str, told: str) -> None:
    """What is on the strip list comes from listed peers alone; the servicer knows who asks."""
    client = authority.issue_cert(name) if name else None

    assert asked(authority, tmp_path, client) == told


def test_names() -> None:
    """Names of all kinds are told, and the common name beside them."""
    certificate = {
        "subject": ((("commonName", "edge"),),),
        "subjectAltName": (("DNS", "a.example"), ("URI", "spiffe://a/b"), ("DirName", "x")),
    }

    assert identity(certificate) == {
        "transport_security_type": [b"ssl"],
        "x509_subject_alternative_name": [b"a.example", b"spiffe://a/b"],
        "x509_common_name": [b"edge"],
    }
    assert identity({}) == {}


EDGE = issue(
    x509.DNSName("edge.internal"),
    x509.UniformResourceIdentifier("spiffe://example.com/edge"),
    x509.IPAddress(ipaddress.ip_address("2001:db8::7")),
    x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
    x509.RFC822Name("edge@example.com"),
    common_name="the edge",
)
NAMES = [
    "edge.internal",
    "spiffe://example.com/edge",
    "2001:db8::7",
    "192.0.2.7",
    "edge@example.com",
]


@pytest.fixture(scope="module")
def secured(start_shared: Start, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server that tells its clients who they are."""
    folder = tmp_path_factory.mktemp("files")
    return start_shared(
        "identified:create", tls={**write(folder, HERE), "client_ca": write_ca(folder)}
    )


def over_http(served: Served, client: trustme.LeafCert) -> str:
    with connect(served.http_target, context=trust(client)) as connection:
        connection.sendall(request("GET", "/v1/a/single"))
        body = connection.recv(1 << 16).partition(b"\r\n\r\n")[2]
    return str(json.loads(body)["text"])


def over_events(served: Served, client: trustme.LeafCert) -> str:
    raw = request("GET", "/v1/a/told", "Accept: text/event-stream")
    with Chunked(served.http_target, raw, context=trust(client)) as stream:
        assert stream.head() == 200
        first = stream.rest()[0].partition(b"\n")[0]
    return str(json.loads(first.removeprefix(b"data: "))["text"])


def over_websocket(served: Served, client: trustme.LeafCert) -> str:
    address = served.http_target.replace(SECURED, "wss://") + "/v1/a/echo"
    with websocket(address, ssl=trust(client), proxy=None, open_timeout=20) as connection:
        connection.send("{}")
        return str(json.loads(connection.recv(timeout=20))["text"])


def over_grpc(served: Served, client: trustme.LeafCert) -> str:
    target = served.grpc_target.removeprefix(SECURED)
    with grpc.secure_channel(target, credentials(client)) as channel:
        call = channel.unary_unary("/streams.v1.Streams/Single", bytes, Told.FromString)
        return str(call(b"", timeout=20).text)


@pytest.mark.parametrize("door", [over_http, over_events, over_websocket, over_grpc])
@pytest.mark.parametrize(
    ("client", "common", "names"),
    [(EDGE, ["the edge"], NAMES), (CLIENT, [""], ["developer@example.com"])],
    ids=["names of all kinds", "one name"],
)
def test_same_on_both_doors(
    secured: Served, door: Any, client: trustme.LeafCert, common: list[str], names: list[str]
) -> None:
    """A servicer learns the same of a client, in the same words, whichever way it calls."""
    assert json.loads(door(secured, client)) == {
        "transport_security_type": ["ssl"],
        "x509_common_name": common,
        "x509_subject_alternative_name": names,
    }
