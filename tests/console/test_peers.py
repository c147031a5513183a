from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from transcoder.console import peers
from transcoder.console.peers import Address, Peer, Peers
from transcoder.errors import ConfigError
from transcoder.topology import Topology

TOLD = Topology(name="users", services=("u.U",))
BODY = json.dumps(TOLD.as_json()).encode()


def answer(body: bytes = BODY, status: bytes = b"200 OK") -> bytes:
    """Return an answer of HTTP."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


@contextlib.asynccontextmanager
async def answering(data: bytes | None, heard: list[bytes]) -> AsyncIterator[Address]:
    """Answer every request alike; None is for never."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            heard.append(await reader.readuntil(b"\r\n\r\n"))
            if data is not None:
                writer.write(data)
            else:
                await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])


def looked(data: bytes | None, token: str = "") -> tuple[Peer, list[bytes]]:
    """Return what is known of a peer that answers so, and what it heard."""

    async def looking() -> tuple[Peer, list[bytes]]:
        heard: list[bytes] = []
        async with answering(data, heard) as address:
            (found,) = await Peers([address], token, time.monotonic).look()
        return found, heard

    return asyncio.run(looking())


def test_topology() -> None:
    """A peer tells what it sees."""
    found, heard = looked(answer())
    assert (found.topology, found.problem, found.name) == (TOLD, "", "users")
    assert heard[0].startswith(b"GET /topology HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"authorization" not in heard[0]


def test_token() -> None:
    """It is shown the token."""
    _, heard = looked(answer(), "s3cret")
    assert b"\r\nauthorization: Bearer s3cret\r\n" in heard[0]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (answer(status=b"401 Unauthorized"), "status 401"),
        (answer(status=b"302 Found"), "status 302"),  # Nobody is led elsewhere.
        (answer(b"[]"), "it is no object"),
        (answer(b"{"), "end of data"),
        (answer()[:-5], "bytes read"),
        (b"", "bytes read"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "over 1048576 bytes"),
        (b"x" * (3 << 20), "no HTTP"),
    ],
)
def test_odd_answers(data: bytes, problem: str) -> None:
    """Whatever it is that answers, the console says why it is no peer."""
    found, _ = looked(data)
    assert found.topology is None
    assert found.problem.startswith("not an answer of an admin port: ")
    assert problem in found.problem


def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes a connection and says nothing has a second."""
    monkeypatch.setattr(peers, "TIMEOUT", 0.05)
    found, _ = looked(None)
    assert found.problem == "no answer within 0.05 s"


def test_name_of_one_that_went() -> None:
    """One that no longer answers keeps its name; one that never did has its address."""
    now = 0.0

    async def looking() -> Any:
        heard: list[bytes] = []
        async with answering(answer(), heard) as address:
            asking = Peers([address, Address("127.0.0.1", 1)], "", lambda: now)
            first = await asking.look()
            again = await asking.look()
            later()
        return first, again, await asking.look(), len(heard)

    def later() -> None:
        nonlocal now
        now += peers.KEPT

    first, again, last, asked = asyncio.run(looking())
    assert [each.name for each in first] == ["users", "127.0.0.1:1"]
    assert first[1].problem == "Connection refused"
    assert (again, asked) == (first, 1)
    assert [(each.name, each.topology) for each in last] == [
        ("users", None),
        ("127.0.0.1:1", None),
    ]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9901", "127.0.0.1", 9901),
        ("http://users.internal:9901", "users.internal", 9901),
        ("http://users.internal:9901/", "users.internal", 9901),
        ("[::1]:9901", "::1", 9901),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    """An address is a host and a port."""
    assert Address.parse(text) == Address(host, port)
    assert str(Address.parse(text)) == text.removeprefix("http://").rstrip("/")


@pytest.mark.parametrize(
    "text",
    ["", "users", ":9901", "https://users:9901", "users:0", "users:99999", "a b:1", "users:1/x"],
)
def test_no_addresses(text: str) -> None:
    """What is none is told at the start."""
    with pytest.raises(ConfigError, match=r"admin: peer .*HOST:PORT or http://HOST:PORT"):
        Address.parse(text)
