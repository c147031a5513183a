"""How long a client keeps a connection to a server."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from backend import GET, SERVICE, Users
from entrances import open_doors
from nameserver import name_server
from services.user.v1.user_service_pb2_grpc import add_UserServiceServicer_to_server
from transcoder import Balanced, ConfigError, Gateway, HttpUpstream, Server
from transcoder.discovery import Endpoint, Listed

PATIENCE = 60.0
HOSTS = "127.0.0.2", "127.0.0.3"


def gateway(users: Users) -> Gateway:
    """Return a gateway that serves users."""
    made: Any = Gateway()
    add_UserServiceServicer_to_server(users, made)
    found: Gateway = made
    return found


def port_of_both() -> int:
    """Return a port that nobody listens on at either host."""
    with contextlib.ExitStack() as stack:
        port = 0
        for host in HOSTS:
            reserved = stack.enter_context(socket.socket())
            reserved.bind((host, port))
            port = reserved.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def replica(users: Users, host: str, port: int) -> AsyncIterator[None]:
    """Serve users at one address, whose connections live for half a second."""
    ready = asyncio.Event()
    server = Server(
        gateway(users), settle=0, max_connection_age=0.5, on_ready=lambda _: ready.set()
    )
    task = asyncio.create_task(server.serve(f"{host}:0", f"{host}:{port}"))
    try:
        await ready.wait()
        yield
    finally:
        server.stop()
        await task


def test_a_replica_that_comes_later(tmp_path: Path) -> None:
    """A gRPC client that stays finds by DNS a replica that comes later, and loses no call."""

    async def running() -> None:
        first, second, port = Users(), Users(), port_of_both()
        records = [f"host-record=users.test,{host}" for host in HOSTS]
        with name_server(tmp_path, records[0]) as server:
            target = f"dns://{server.address}/users.test:{port}"
            options = [
                ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
                # gRPC would wait for half a minute.
                ("grpc.dns_min_time_between_resolutions_ms", 100),
            ]
            async with (
                asyncio.timeout(PATIENCE),
                replica(first, HOSTS[0], port),
                grpc.aio.insecure_channel(target, options) as channel,
            ):
                get: Any = channel.unary_unary(GET)
                for _ in range(5):
                    await get(b"\n\x017", timeout=PATIENCE)
                async with replica(second, HOSTS[1], port):
                    await asyncio.to_thread(server.tell, *records)
                    while not second.calls:
                        await get(b"\n\x017", timeout=PATIENCE)
                    await channel.close()
        assert first.calls >= 5

    asyncio.run(running())


async def status(target: str, path: str) -> int:
    """Return the status of the answer to a GET, on a connection of its own."""
    host, _, port = target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


def test_a_replica_that_drains() -> None:
    """A replica that drains fails no call of a gateway before it, whatever door it came by."""

    async def running() -> None:
        users = [Users(), Users()]
        ready = [asyncio.get_running_loop().create_future() for _ in users]
        servers = [
            Server(gateway(each), settle=0.2, on_ready=told.set_result)
            for each, told in zip(users, ready, strict=True)
        ]
        tasks = [asyncio.create_task(each.serve("127.0.0.1:0", "127.0.0.1:0")) for each in servers]
        listening = [await told for told in ready]
        front, seen, over = Gateway(), set[int](), asyncio.Event()
        front.route(SERVICE, Balanced(Listed([Endpoint(each.grpc.target) for each in listening])))
        source = Listed([Endpoint(each.http.target) for each in listening])
        passed = HttpUpstream("http://users", source=source)
        front.forward("/passed/**", passed, strip_prefix="/passed")

        async def call(target: str, path: str) -> None:
            while not over.is_set():
                seen.add(await status(target, path))

        async with asyncio.timeout(PATIENCE), open_doors(front) as door:
            paths = ["/v1/users/wait-5", "/passed/v1/users/wait-5"] * 3
            calling = asyncio.gather(*(call(door.http.target, path) for path in paths))
            while not all(each.calls > 20 for each in users):  # noqa: ASYNC110  it has no event
                await asyncio.sleep(0.01)
            servers[0].stop()
            await tasks[0]
            before = users[1].calls
            while users[1].calls < before + 20:  # noqa: ASYNC110  as above
                await asyncio.sleep(0.01)
            over.set()
            await calling
        servers[1].stop()
        await tasks[1]
        assert seen == {200}

    asyncio.run(running())


def closes(connection: http.client.HTTPConnection) -> bool:
    """Make a call; say whether the server closes its connection behind it."""
    connection.request("GET", "/v1/users/7")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return answer.getheader("connection") == "close"


def test_an_old_connection() -> None:
    """A connection of HTTP that is old is closed behind its next answer; the next one is new."""

    async def running() -> None:
        async with open_doors(gateway(Users()), max_connection_age=1.0) as listening:

            def ask() -> None:
                connection = http.client.HTTPConnection(listening.http.target, timeout=PATIENCE)
                for _ in range(2):
                    began = time.monotonic()
                    while not closes(connection):
                        assert time.monotonic() - began < PATIENCE
                    # It is older than the age less a tenth.
                    assert time.monotonic() - began > 0.85
                connection.close()

            await asyncio.to_thread(ask)

    asyncio.run(running())


def test_pipelined_requests_on_an_old_connection() -> None:
    """Requests that came together on an old connection are all answered, and the last closes."""

    async def running() -> bytes:
        async with open_doors(gateway(Users()), max_connection_age=0.05) as listening:
            host, port = listening.http.host, listening.http.port
            reader, writer = await asyncio.open_connection(host, port)
            await asyncio.sleep(0.1)
            writer.write(b"GET /v1/users/7 HTTP/1.1\r\nhost: a\r\n\r\n" * 3)
            async with asyncio.timeout(PATIENCE):
                answers = await reader.read()
            writer.close()
            return answers

    answers = asyncio.run(running())

    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.lower().count(b"connection: close") == 1


@pytest.mark.parametrize("age", [0, -1, float("nan"), 100_000])
def test_no_age(age: float) -> None:
    """An age that is none is told."""
    with pytest.raises(
        ConfigError, match=r"max_connection_age: .* s: seconds above 0 are expected"
    ):
        Server(Gateway(), max_connection_age=age)
