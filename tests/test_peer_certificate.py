"""Clients known by their certificates, over real TLS."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvicorn

from services.user.v1.user_service_pb2 import GetUserRequest, User
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Gateway
from transcoder.http_protocol import Protocol
from transcoder.peer_certificate import identity


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
