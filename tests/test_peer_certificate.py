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

import pytest
import trustme
import uvicorn
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import Served, Start

from over_tls import (
    CLIENT,
    HERE,
    der,
    issue,
    raw_names,
    write,
    write_ca,
)
from services.user.v1.user_service_pb2 import GetUserRequest, User
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from shown import DOORS, Answer
from transcoder import Gateway
from transcoder.http_protocol import Protocol
from transcoder.peer_certificate import exact, identity, is_secured


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


EDGE = issue(
    x509.SubjectAlternativeName(
        [
            x509.DNSName("edge.internal"),
            x509.DirectoryName(x509.Name([])),
            x509.UniformResourceIdentifier("spiffe://example.com/edge"),
            x509.IPAddress(ipaddress.ip_address("2001:db8::7")),
            x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
            x509.RFC822Name("edge@example.com"),
        ]
    ),
    "the edge",
    "another",
)
NAMES = [
    "edge.internal",
    "spiffe://example.com/edge",
    "2001:db8::7",
    "192.0.2.7",
    "edge@example.com",
]


def told_by(answer: Answer) -> Any:
    """Return what a call told that was answered."""
    assert answer.code == 0
    return json.loads(answer.text)


@pytest.fixture(scope="module")
def secured(start_shared: Start, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server that tells its clients who they are."""
    folder = tmp_path_factory.mktemp("files")
    return start_shared(
        "identified:create", tls={**write(folder, HERE), "client_ca": write_ca(folder)}
    )


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("client", "common", "names"),
    [(EDGE, ["the edge"], NAMES), (CLIENT, [""], ["developer@example.com"])],
    ids=["names of all kinds", "one name"],
)
def test_same_on_both_doors(
    secured: Served, door: str, client: trustme.LeafCert, common: list[str], names: list[str]
) -> None:
    """A servicer learns the same of a client, in the same words, whichever way it calls."""
    assert told_by(DOORS[door](secured, client)) == {
        "transport_security_type": ["ssl"],
        "x509_common_name": common,
        "x509_subject_alternative_name": names,
    }


DNS, URI, EMAIL = 0x82, 0x86, 0x81


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([(DNS, b"edge.internal\0.evil")], ["edge.internal\0.evil"]),
        ([(URI, b"spiffe://a\0b"), (EMAIL, b"a\0@b")], ["spiffe://a\0b", "a\0@b"]),
        ([(DNS, b"\xffedge"), (DNS, b"edge")], ["\xffedge", "edge"]),
        ([(DNS, b"")], [""]),
    ],
    ids=["NUL", "NULs", "no UTF-8", "empty"],
)
def test_odd_names(secured: Served, door: str, names: Any, told: list[str]) -> None:
    """A name is told to its last byte on both doors: none passes for one that it begins with."""
    log = secured.ledger.with_name("log")
    before = log.read_text()
    answer = told_by(DOORS[door](secured, issue(raw_names(*names), "edge")))

    assert answer["x509_subject_alternative_name"] == told
    assert log.read_text() == before


def test_other_words_of_grpc() -> None:
    """What gRPC says besides of the names, by their kinds and as identities, is not cut either."""
    odd = issue(raw_names((DNS, b"edge.internal\0.evil"), (URI, b"a:b")))
    pem = ssl.DER_cert_to_PEM_cert(der(odd)).encode()
    cut = {
        "x509_pem_cert": [pem],
        "x509_subject_alternative_name": [b"edge.internal", b"a:b"],
        "peer_dns": [b"edge.internal"],
        "security_level": [b"TSI_PRIVACY_AND_INTEGRITY"],
    }

    assert exact(cut) == {
        "x509_pem_cert": [pem],
        "x509_subject_alternative_name": [b"edge.internal\0.evil", b"a:b"],
        "x509_common_name": [b""],
        "peer_dns": [b"edge.internal\0.evil"],
        "peer_uri": [b"a:b"],
        "security_level": [b"TSI_PRIVACY_AND_INTEGRITY"],
    }


def test_nothing_shown() -> None:
    """Who shows no certificate has no names, and what gRPC tells of the connection stays."""
    insecure = {"transport_security_type": [b"insecure"]}
    secure = {"transport_security_type": [b"ssl"]}

    assert identity(b"") == {}
    assert exact(insecure) is insecure
    assert [is_secured(told) for told in (secure, insecure, {})] == [True, False, False]


@pytest.mark.parametrize(
    ("common", "told"),
    [((), b""), (("a", "b"), b"a"), (("\u4e2d",), "\u4e2d".encode())],
)
def test_common_name(common: tuple[str, ...], told: bytes) -> None:
    """The first common name is told, in UTF-8; an empty one where there is none."""
    found = identity(der(issue(x509.SubjectAlternativeName([x509.DNSName("a")]), *common)))

    assert found["x509_common_name"] == [told]


def test_without_names() -> None:
    """A certificate without alternative names has none, nor has one whose names are broken."""
    broken = issue(raw_names((0x87, b"\1\2\3")), "edge")
    without = issue(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), "edge")

    for leaf in (broken, without):
        assert identity(der(leaf)) == {
            "transport_security_type": [b"ssl"],
            "x509_common_name": [b"edge"],
        }


NAME = st.one_of(
    st.builds(x509.DNSName, st.text(st.characters(codec="ascii"), max_size=300)),
    st.builds(x509.RFC822Name, st.emails()),
    st.builds(x509.IPAddress, st.ip_addresses()),
)


@given(st.lists(NAME, min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_names(names: list[x509.GeneralName]) -> None:
    """Names of any number and length are read as the library that wrote them has them."""
    found = identity(der(issue(x509.SubjectAlternativeName(names))))

    assert found["x509_subject_alternative_name"] == [str(name.value).encode() for name in names]


@given(st.binary(max_size=60), st.integers(0, 400))
@settings(max_examples=300, deadline=None)
def test_bytes_that_are_no_certificate(junk: bytes, at: int) -> None:
    """What is no certificate, or a spoiled one, is read without an error."""
    whole = der(EDGE)

    for spoiled in (junk, whole[:at], whole[:at] + junk + whole[at + len(junk) :]):
        assert identity(spoiled).keys() <= {
            "transport_security_type",
            "x509_common_name",
            "x509_subject_alternative_name",
        }
