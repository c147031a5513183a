"""The servers that scripts measure, each a process of its own that tells its ports by a pipe."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import uvicorn

from transcoder import Gateway, Listening, Server


def started(serve: Callable[..., None], *arguments: object) -> tuple[BaseProcess, Connection]:
    """Start a process, and return it with a pipe to it.

    Args:
        serve: what it does; it gets the other end of the pipe, and
        arguments: these.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(theirs, *arguments), daemon=True)
    process.start()
    return process, ours


def run_gateway(gateway: Gateway, ready: Connection) -> None:
    """Run the whole stack."""

    def tell(listening: Listening) -> None:
        ready.send((listening.http.port, listening.grpc.port))

    Server(gateway, on_ready=tell).run(http="127.0.0.1:0", grpc="127.0.0.1:0")


async def all_kept(
    parts: Mapping[str, Callable[[], Awaitable[bool]]], chosen: Sequence[str]
) -> bool:
    """Run parts of a measurement, all of them unless some are chosen; say whether gates are kept.

    Raises:
        SystemExit: there is no part of a chosen name.
    """
    for name in set(chosen) - parts.keys():
        raise SystemExit(f"{name}: one of {', '.join(parts)} is expected")
    kept = [await parts[name]() for name in chosen or parts]
    return all(kept)


def run_uvicorn(app: Any, ready: Connection) -> None:
    """Run an application as uvicorn alone does it fastest, while others are measured too."""
    listener = socket.create_server(("127.0.0.1", 0))
    ready.send((listener.getsockname()[1], 0))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_keep_alive=600,
        lifespan="off",
    )
    uvicorn.Server(config).run(sockets=[listener])


def run_constant(body: bytes, ready: Connection) -> None:
    """Run what answers every request with some JSON."""
    start, end = answer_of(body)

    async def app(
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        await send(start)
        await send(end)

    run_uvicorn(app, ready)


def answer_of(body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the events of an answer of some JSON."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    return start, {"type": "http.response.body", "body": body}
