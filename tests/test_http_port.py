"""Several ports for HTTP, on one server."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from entrances import open_doors
from over_tls import CA, HERE, trust, write
from says import Says
from transcoder import ConnectionLimits, Gateway, HttpPort, Server, ServerTls
from transcoder.errors import ConfigError
from transcoder.http_port import Ports

LOCAL = "127.0.0.1:0"
FILE = """
listen: {{http: "127.0.0.1:0", grpc: "127.0.0.1:0"}}
server: {{workers: {workers}, settle: 0}}
listeners:
  - http: "127.0.0.1:0"
    hosts: [user.example.com, "*.shop.example.com"]
    tls: {{certificate: server.pem, key: server.key}}
upstreams:
  users: {{target: "localhost:1"}}
services:
  - {{module: services.user.v1.user_service_pb2, upstream: users}}
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port: int = reserved.getsockname()[1]
        return port


async def ask(
    address: object, host: str, path: str = "/v1/x", *, tls: bool = False
) -> tuple[int, str]:
    """Return the status and the text of an answer; TLS is asked for no host."""
    name, _, port = str(address).partition(":")
    context = trust() if tls else None
    reader, writer = await asyncio.open_connection(name, int(port), ssl=context)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


def test_hosts_and_tls_by_port(tmp_path: Path) -> None:
    """A port answers its own hosts, over its own TLS; others are misdirected, health is told."""
    tls = ServerTls(**write(tmp_path, HERE))
    port = free_port()
    gateway = Gateway()
    gateway.forward("/v1/{rest=**}", Says("secured"), hosts=[f"a.example:{port}"])
    gateway.forward("/v1/{rest=**}", Says("any"), hosts=["a.example", "b.example"])

    async def running() -> list[Any]:
        secured = HttpPort(f"127.0.0.1:{port}", ["a.example", "*.b.example"], tls)
        async with asyncio.timeout(60), open_doors(gateway, http=[LOCAL, secured]) as listening:
            plain, over = listening.http, listening.also[0]
            assert listening.also[0].port == port
            return [
                await ask(plain, "a.example"),
                await ask(plain, "b.example"),
                await ask(over, "a.example", tls=True),
                (await ask(over, "b.example", tls=True))[0],
                (await ask(over, "x.b.example", tls=True))[0],
                (await ask(over, "b.example", "/livez", tls=True))[0],
            ]

    assert asyncio.run(running()) == [
        (200, "any"),
        (200, "any"),
        (200, "secured"),
        421,
        404,
        200,
    ]


def test_tls_of_the_server(tmp_path: Path) -> None:
    """A port that says nothing of TLS has what the server has; one that says None has none."""
    tls = ServerTls(**write(tmp_path, HERE))
    gateway = Gateway()
    gateway.forward("/v1/{rest=**}", Says("here"))

    async def running() -> list[Any]:
        ports: Ports = [LOCAL, HttpPort(LOCAL), HttpPort(LOCAL, tls=None)]
        async with asyncio.timeout(60), open_doors(gateway, http=ports, tls=tls) as listening:
            like, clear = listening.also
            return [
                await ask(listening.http, "a", tls=True),
                await ask(like, "a", tls=True),
                await ask(clear, "a"),
            ]

    assert asyncio.run(running()) == [(200, "here")] * 3


def test_fresh_certificate(tmp_path: Path) -> None:
    """The certificate of a further port is read again when it changes."""
    tls = ServerTls(**write(tmp_path, HERE))

    async def shown(port: int) -> bytes:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust())
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return found

    async def running() -> None:
        ports: Ports = [LOCAL, HttpPort(LOCAL, tls=tls)]
        async with asyncio.timeout(60), open_doors(Gateway(), http=ports) as listening:
            port = listening.also[0].port
            before = await shown(port)
            write(tmp_path, CA.issue_cert("127.0.0.1"))
            while await shown(port) == before:  # noqa: ASYNC110  the file is looked at once a second
                await asyncio.sleep(0.1)

    asyncio.run(running())


def test_limits_are_of_all_ports() -> None:
    """The connections of all ports count together."""
    gateway = Gateway()
    gateway.forward("/v1/{rest=**}", Says("here"))

    async def running() -> tuple[int, str]:
        limits = ConnectionLimits(total=1)
        async with (
            asyncio.timeout(60),
            open_doors(gateway, http=[LOCAL, LOCAL], connections=limits) as listening,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", listening.http.port)
            writer.write(b"GET /v1/x HTTP/1.1\r\nhost: a\r\n\r\n")
            await reader.readuntil(b"here")
            try:
                return await ask(listening.also[0], "a")
            finally:
                writer.close()

    assert asyncio.run(running())[0] == 503


def test_one_in_use() -> None:
    """Where one port is in use, none is held."""

    async def running() -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            first, taken = free_port(), other.getsockname()[1]
            ports = [f"127.0.0.1:{first}", f"127.0.0.1:{taken}"]
            with pytest.raises(ConfigError, match=f"http: 127.0.0.1:{taken} is in use"):
                await Server(Gateway()).serve(ports, LOCAL)
            with socket.socket() as again:
                again.bind(("127.0.0.1", first))

    asyncio.run(running())


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"address": "8443"}, "'8443' is no address"),
        ({"address": ":8443", "hosts": ["a b"]}, ":8443: host 'a b': NAME"),
        ({"address": ":8443", "hosts": "a.example"}, "a sequence is expected"),
        (
            {"address": ":8443", "hosts": ["a.example:9443"]},
            ":8443: host 'a.example:9443': connections come to port 8443",
        ),
    ],
)
def test_wrong(given: dict[str, Any], problem: str) -> None:
    """An address and hosts are checked at once."""
    with pytest.raises(ConfigError, match=re.escape(problem)):
        HttpPort(**given)


def test_none() -> None:
    """A server has one port for HTTP at least."""
    with pytest.raises(ConfigError, match="http: an address is expected"):
        HttpPort.all_of([])


@pytest.mark.parametrize("workers", [1, 2])
def test_file(tmp_path: Path, workers: int) -> None:
    """A file's ports are held by all workers, answer as it says, and close together."""
    write(tmp_path, HERE)
    (tmp_path / "g.yaml").write_text(FILE.format(workers=workers))
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("transcoder")), "gateway", "g.yaml"],
        cwd=tmp_path,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 60)
        line = process.stdout.readline() if ready else ""
        found = re.fullmatch(r"REST on (\S+) and (\S+), gRPC on \S+\n", line)
        assert found is not None, line
        plain, over = found[1], found[2]

        async def asked() -> list[int]:
            return [
                (await ask(plain, "other.example", "/v1"))[0],
                (await ask(over, "user.example.com", "/v1", tls=True))[0],
                (await ask(over, "a.shop.example.com", "/v1", tls=True))[0],
                (await ask(over, "shop.example.com", "/v1", tls=True))[0],
            ]

        assert asyncio.run(asked()) == [404, 404, 404, 421]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        for address in (plain, over):
            with pytest.raises(ConnectionRefusedError):
                asyncio.run(ask(address, "user.example.com"))
    finally:
        process.kill()
        process.communicate()
