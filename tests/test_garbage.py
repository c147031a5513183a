from __future__ import annotations

import asyncio
import gc
from typing import Any

import uvicorn
from google.longrunning import operations_pb2, operations_pb2_grpc

from transcoder import Gateway
from transcoder.http_protocol import Protocol, State

REQUEST = b"GET /v1/operations/a HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n"
REQUESTS = 1000


class Operations(operations_pb2_grpc.OperationsServicer):
    async def GetOperation(
        self, request: operations_pb2.GetOperationRequest, context: Any
    ) -> operations_pb2.Operation:
        return operations_pb2.Operation(name=request.name)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, times: int) -> None:
    """Send so many requests, each behind the answer to the one before."""
    for _ in range(times):
        writer.write(REQUEST)
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert b'"operations/a"' in await reader.readuntil(b"}")


async def garbage() -> int:
    """Return how many objects only the collector could free after REQUESTS requests."""
    gateway = Gateway()
    operations_pb2_grpc.add_OperationsServicer_to_server(Operations(), gateway)  # type: ignore[no-untyped-call]
    gateway.compile()
    config = uvicorn.Config(
        gateway, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False
    )
    config.load()
    state = State()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Protocol(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await ask(reader, writer, 10)
        gc.collect()
        await ask(reader, writer, REQUESTS)
        found = gc.collect()
        writer.close()
        await writer.wait_closed()
    return found


def test_requests_leave_no_garbage() -> None:
    """What unary requests over HTTP hold is freed with them: no ring waits for the collector."""
    gc.collect()
    gc.disable()
    try:
        found = asyncio.run(garbage())
    finally:
        gc.enable()

    assert found < REQUESTS // 10
