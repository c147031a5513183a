"""Streams over WebSocket, under ASGI servers that are not ours."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from hypercorn.asyncio import serve
from hypercorn.config import Config

import streams
from sockets import Door, Ended
from streams import POOL, Streams
from transcoder import Gateway

FIRST = '{"text":"a"}'


@contextlib.asynccontextmanager
async def under_uvicorn(app: Any, listening: socket.socket) -> AsyncIterator[None]:
    """Serve an application by uvicorn, with what it chooses itself."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve([listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await running


@contextlib.asynccontextmanager
async def under_hypercorn(app: Any, listening: socket.socket) -> AsyncIterator[None]:
    """Serve an application by hypercorn."""
    over = asyncio.Event()
    config = Config()
    # It closes what it is given.
    config.bind = [f"fd://{os.dup(listening.fileno())}"]
    config.errorlog = None
    running = asyncio.create_task(serve(app, config, shutdown_trigger=over.wait))
    try:
        yield
    finally:
        over.set()
        await running


@pytest.fixture(params=[under_uvicorn, under_hypercorn])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[Door], Any]], Any]:
    """Returns what a coroutine function makes of a server."""

    async def main(fact: Callable[[Door], Any]) -> Any:
        gateway = Gateway(pool=POOL)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            host, port = listening.getsockname()
            door = Door(f"{host}:{port}", None)
            streams.register(Streams(door.note), gateway)
            async with request.param(gateway, listening), asyncio.timeout(30):
                return await fact(door)

    return lambda fact: asyncio.run(main(fact))


def test_a_stream(run: Any) -> None:
    """A stream goes both ways, and ends well."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/echo", "{}", b"", "")

    assert run(fact) == Ended([FIRST, '{"number":"1"}'], 1000, "")


def test_an_error(run: Any) -> None:
    """An error is in the close frame."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/told?count=2&failAt=1")

    ended = run(fact)

    assert (ended.messages[0], ended.code, ended.reason) == (
        FIRST,
        4011,
        "OUT_OF_RANGE: no message 1",
    )


def test_a_refusal(run: Any) -> None:
    """A refusal is an HTTP status."""

    async def fact(door: Door) -> tuple[int, int]:
        wrong = await door.refused("/v1/a/told?count=x")
        return wrong.status, (await door.refused("/v1/nothing")).status

    assert run(fact) == (400, 404)


def test_a_client_that_goes(run: Any) -> None:
    """A client that goes away ends the call."""

    async def fact(door: Door) -> list[str]:
        async with door.open("/v1/a/told?count=9&pause=20"):
            pass
        return await door.noted(bool)

    assert run(fact) == ["cancelled 0"]
