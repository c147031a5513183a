"""A gateway to be served by processes that the tests start.

The servicer is `google.longrunning.Operations`, whose descriptor and rules are installed with the
common protos. What it does is written in the operation's name, after "operations/":
"<milliseconds>/<anything>" waits that long, and the reply's name ends with the process id.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2

from transcoder import Gateway


class Operations(operations_pb2_grpc.OperationsServicer):
    async def GetOperation(self, request: Any, context: Any) -> operations_pb2.Operation:
        note(f"ran {request.name}")
        await asyncio.sleep(int(request.name.split("/")[1]) / 1000)
        return operations_pb2.Operation(name=f"{request.name}/{os.getpid()}")

    def DeleteOperation(self, request: Any, context: Any) -> empty_pb2.Empty:
        note(f"ran {request.name}")
        time.sleep(int(request.name.split("/")[1]) / 1000)
        return empty_pb2.Empty()


async def count(request: bytes, context: Any) -> AsyncIterator[bytes]:
    """Send numbers until somebody ends it."""
    number = 0
    while True:
        yield b"%d" % number
        number += 1
        await asyncio.sleep(0.01)


def note(text: str) -> None:
    """Write a line to the ledger of the test that started this process."""
    if ledger := os.environ.get("LEDGER"):
        with Path(ledger).open("a") as file:
            file.write(f"{text}\n")


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Note when the application starts and stops."""
    note("started")
    yield
    note("stopped")


def create() -> Gateway:
    """Return the gateway."""
    gateway = Gateway(lifespan=lifespan)
    operations_pb2_grpc.add_OperationsServicer_to_server(Operations(), gateway)  # type: ignore[no-untyped-call]
    stream: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(count)
    gateway.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test.Numbers", {"Count": stream})]
    )
    return gateway


@asynccontextmanager
async def failing(app: Any) -> AsyncIterator[None]:
    """Fail to start."""
    if app is not None:
        raise RuntimeError("no database\nat all")
    yield


def create_failing() -> Gateway:
    """Return a gateway whose lifespan fails."""
    return Gateway(lifespan=failing)


@asynccontextmanager
async def slow(_app: Any) -> AsyncIterator[None]:
    """Take a minute to start."""
    note("starting")
    try:
        await asyncio.sleep(60)
    finally:
        note("interrupted")
    yield


def create_slow() -> Gateway:
    """Return a gateway that takes a minute to start."""
    return Gateway(lifespan=slow)


@asynccontextmanager
async def hung(_app: Any) -> AsyncIterator[None]:
    """Take a minute to stop."""
    yield
    note("stopping")
    await asyncio.sleep(60)


def create_hung() -> Gateway:
    """Return a gateway that takes a minute to stop."""
    return Gateway(lifespan=hung)


@asynccontextmanager
async def blocked(_app: Any) -> AsyncIterator[None]:
    """Block the event loop, a moment after the start."""
    asyncio.get_running_loop().call_later(0.2, time.sleep, 30)
    yield


def create_blocked() -> Gateway:
    """Return a gateway whose event loop will be blocked."""
    return Gateway(lifespan=blocked)


app = create()
not_a_gateway = 42
