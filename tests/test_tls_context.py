from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from over_tls import HERE, trust, write
from transcoder import ServerTls
from transcoder.tls_context import context_of

INVALID = b"GET / HTTP/1.1\r\n\r\n"


def wrapped(tmp_path: Path, refused: Any) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    """Return a connection of a server, and its two ends."""
    files = write(tmp_path, HERE)
    context = context_of(ServerTls(**files))
    context.load_cert_chain(files["certificate"], files["key"])
    context.refused = refused
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(incoming, outgoing, server_side=True), incoming, outgoing


def test_failure_is_told_before_it_is_raised(tmp_path: Path) -> None:
    """The first time a failed handshake looks like a waiting one, so that its alert is sent."""
    told: list[ssl.SSLError] = []
    server, incoming, _ = wrapped(tmp_path, told.append)
    incoming.write(INVALID)

    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    assert [error.reason for error in told] == ["HTTP_REQUEST"]
    for _ in range(2):
        with pytest.raises(ssl.SSLError) as caught:
            server.do_handshake()
        assert caught.value is told[0]


def test_failure_that_nobody_wants_to_know(tmp_path: Path) -> None:
    """Where nobody asked to be told, a handshake fails as any."""
    server, incoming, _ = wrapped(tmp_path, None)
    incoming.write(INVALID)

    with pytest.raises(ssl.SSLError) as caught:
        server.do_handshake()
    assert caught.value.reason == "HTTP_REQUEST"


def test_each_handshake_has_its_own_listener(tmp_path: Path) -> None:
    """Who wants to know of one handshake is not told of the next, nor held once it is over."""
    told: list[ssl.SSLError] = []
    server, incoming, outgoing = wrapped(tmp_path, told.append)
    client = trust().wrap_bio(outgoing, incoming, server_hostname="localhost")
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    server.do_handshake()
    other: Any = server.context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)

    assert (other.refused, vars(server)["refused"], told) == (None, None, [])


@pytest.mark.parametrize(
    ("tls", "tickets"),
    [
        ({}, True),
        ({"client_ca": "ca.pem"}, False),
        ({"client_ca": "ca.pem", "client_certificates": "optional"}, False),
    ],
)
def test_tickets(tls: Any, tickets: bool) -> None:  # noqa: FBT001  a column
    """Sessions may be resumed where no client shows a certificate."""
    context = context_of(ServerTls(certificate="a.pem", key="a.key", **tls))

    assert (context.num_tickets > 0) is tickets
    assert not context.options & ssl.OP_NO_TICKET or not tickets


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_versions(version: Any) -> None:
    """The oldest version is the one that is said; renegotiation is of none."""
    context = context_of(ServerTls(certificate="a.pem", key="a.key", min_version=version))

    assert context.minimum_version.name == f"TLSv{version.replace('.', '_')}"
    assert context.options & ssl.OP_NO_RENEGOTIATION
